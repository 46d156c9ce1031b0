"""Slow, obvious versions of what the native core does, against which it is tested."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
from scipy.special import digamma, erf, erfc, expit, gamma, zeta

from dso.library import HardCodedConstant, Library, PlaceholderConstant, StateChecker, Token
from dso.program import ProgramBatch

Nudge = Callable[[np.ndarray], np.ndarray]


def _harmonic_column(a: np.ndarray) -> np.ndarray:
    # Near 0 digamma(a + 1) + gamma cancels; its series a zeta(2) - a^2 zeta(3) + ... does not.
    k = np.arange(40, 1, -1)
    series = a * np.polyval(zeta(k) * (-1.0) ** k, np.clip(a, -0.3, 0.3))
    is_pole = (a <= -1) & (a == np.floor(a))
    value = np.where(np.abs(a) < 0.3, series, digamma(a + 1) + np.euler_gamma)
    return np.where(is_pole, np.inf, value)


VALUE = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "n2": lambda a: a**2,
    "n3": lambda a: a**3,
    "n4": lambda a: a**4,
    "neg": lambda a: -a,
    "abs": np.abs,
    "max": np.maximum,
    "min": np.minimum,
    "tanh": np.tanh,
    "inv": lambda a: 1 / a,
    "logabs": lambda a: np.log(np.abs(a)),
    "expneg": lambda a: np.exp(-a),
    "sigmoid": expit,
    "harmonic": _harmonic_column,
    "pow": np.power,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "cbrt": np.cbrt,
    "sign": np.sign,
    "erf": erf,
    "log10": np.log10,
    "log2": np.log2,
    "log1p": np.log1p,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "erfc": erfc,
    "gamma": lambda a: np.where((a < 0) & (a == np.floor(a)), np.nan, gamma(a)),
    # 0 to the last bit at whole numbers
    "sinc": lambda a: np.where((a == np.floor(a)) & np.isfinite(a), 1.0 * (a == 0), np.sinc(a)),
    "relu": lambda a: np.maximum(a, 0),
    "round": np.round,
    "floor": np.floor,
    "ceil": np.ceil,
    "arctan2": np.arctan2,
    "mod": np.mod,
    "greater": lambda a, b: 1.0 * (a > b),
    "greater_equal": lambda a, b: 1.0 * (a >= b),
    "less": lambda a, b: 1.0 * (a < b),
    "less_equal": lambda a, b: 1.0 * (a <= b),
    "cond": lambda a, b: np.where(a > 0, b, 0.0),
    "logical_or": lambda a, b: 1.0 * ((a > 0) | (b > 0)),
    "logical_and": lambda a, b: 1.0 * ((a > 0) & (b > 0)),
    # The guards let NaN fall to the replacement.
    "protected_div": lambda a, b: np.where(abs(b) > 0.001, a / b, 1.0),
    "protected_log": lambda a: np.where(abs(a) > 0.001, np.log(abs(a)), 0.0),
    "protected_exp": lambda a: np.where(a < 100, np.exp(a), 0.0),
    "protected_sqrt": lambda a: np.sqrt(abs(a)),
    "protected_n2": lambda a: np.where(abs(a) < 1e6, a**2, 0.0),
    "protected_n3": lambda a: np.where(abs(a) < 1e6, a**3, 0.0),
    "protected_n4": lambda a: np.where(abs(a) < 1e6, a**4, 0.0),
    "protected_inv": lambda a: np.where(abs(a) > 0.001, 1 / a, 0.0),
    "protected_logabs": lambda a: np.where(abs(a) > 0.001, np.log(abs(a)), 0.0),
    "protected_expneg": lambda a: np.where(a > -100, np.exp(-a), 0.0),
    "protected_sigmoid": lambda a: np.where(a > -100, expit(a), 1.0),
}

POLE = {
    "div": lambda a, b: b == 0,
    "inv": lambda a: a == 0,
    "log": lambda a: a == 0,
    "logabs": lambda a: a == 0,
    "pow": lambda a, b: a == 0,
    "harmonic": lambda a: a < 0,
    "log10": lambda a: a == 0,
    "log2": lambda a: a == 0,
    "log1p": lambda a: a == -1,
    "arctanh": lambda a: abs(a) == 1,
    "gamma": lambda a: a <= 0,
}


class Failed(Exception):
    """A node whose column is not finite."""

    def __init__(self, cause: int, node: int) -> None:
        super().__init__(cause, node)
        self.verdict = (cause, node)


def identity(column: np.ndarray) -> np.ndarray:
    return column


def nudger(seed: int) -> Nudge:
    """Return a function that moves every value by one ULP up or down at random; zero stays.

    With an even seed a column moves as a whole, so that equal rows stay equal. With every third
    seed one stays too, which comparisons return.
    """
    generator = np.random.default_rng(seed)

    def nudge(column: np.ndarray) -> np.ndarray:
        signs = generator.choice([-1, 1], column.shape if seed % 2 else ())
        return np.where((column == 1) & (seed % 3 == 0), column, column * (1 + signs * 2.0**-52))

    return nudge


def execute_row(
    library: Library, programs: ProgramBatch, b: int, X: np.ndarray, nudge: Nudge = identity
) -> tuple[np.ndarray | None, int, int]:
    """Execute program `b` on X (D, N): recursion over the tree, whole columns, numpy.

    Returns values (N,), cause and node; the values are None for an invalid program.
    """
    tokens = iter(enumerate(programs.row(b)))
    constants = iter(programs.constants[b])

    def subtree() -> np.ndarray:
        position, index = next(tokens)
        token = library.tokens[index]
        children = [subtree() for _ in range(token.arity)]
        column = nudge(_value(token, children, X, constants))
        if not np.isfinite(column).all():
            raise Failed(_cause(token, children, column), position)
        return column

    try:
        with np.errstate(all="ignore"):
            return subtree(), 0, -1
    except Failed as failure:
        return None, *failure.verdict


def _value(token: Token, children: list[np.ndarray], X: np.ndarray, constants) -> np.ndarray:
    if token.input_var is not None:
        return X[token.input_var]
    if isinstance(token, StateChecker):
        return np.where(X[token.state_index] < token.threshold, *children)
    if isinstance(token, HardCodedConstant):
        return np.full(X.shape[1], token.value)
    if isinstance(token, PlaceholderConstant):
        return np.full(X.shape[1], next(constants))
    return VALUE[token.operator.name](*children)


def _cause(token: Token, children: list[np.ndarray], column: np.ndarray) -> int:
    infinite = np.isinf(column)
    name = token.operator.name if token.operator else ""
    if name in POLE and (infinite & POLE[name](*children)).any():
        return 1
    return 2 if infinite.any() else 3


def random_programs(
    library: Library, n_programs: int, generator: np.random.Generator, max_length: int = 24
) -> ProgramBatch:
    """Return random expressions of 1 to `max_length` tokens (a little over) with constants."""
    of_arity = [library.tokens_of_arity[k].tolist() for k in range(3)]
    draw = random.Random(int(generator.integers(2**32)))
    rows = []
    for _ in range(n_programs):
        budget = draw.randint(1, max_length)
        row: list[int] = []
        n_open = 1
        while n_open:
            missing = budget - len(row) - n_open
            lowest = 1 if n_open == 1 and missing > 0 else 0  # do not end early
            arity = draw.randint(lowest, max(0, min(2, missing)))
            row.append(draw.choice(of_arity[arity]))
            n_open += arity - 1
        rows.append(row)
    batch = ProgramBatch.from_rows(rows)
    if library.const_token is None:
        return batch
    n_slots = int((batch.tokens == library.const_token).sum(axis=1).max(initial=0))
    constants = generator.normal(0, 2, (n_programs, n_slots))
    return ProgramBatch(batch.tokens, batch.lengths, constants)


def _guarded(condition: bool, otherwise: float, value: Callable[[], mpmath.mpf]) -> mpmath.mpf:
    return value() if condition else mpmath.mpf(otherwise)


def _sigmoid(a: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-a))


def _harmonic(a: mpmath.mpf) -> mpmath.mpf:
    # mpmath loses digits of digamma(1 + a) + gamma to cancellation; the series does not.
    if abs(a) < 1e-20:
        return mpmath.zeta(2) * a - mpmath.zeta(3) * a**2
    return mpmath.digamma(a + 1) + mpmath.euler


def _exactly(value: mpmath.mpf) -> Fraction:
    mantissa, exponent = value.man_exp
    size = Fraction(int(mantissa)) * Fraction(2) ** exponent
    return -size if value < 0 else size


def _mod(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
    rest = _exactly(a) % _exactly(b)
    return mpmath.mpf(rest.numerator) / rest.denominator


TRUTH: dict[str, Callable[..., mpmath.mpf]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "n2": lambda a: a**2,
    "n3": lambda a: a**3,
    "n4": lambda a: a**4,
    "neg": lambda a: -a,
    "abs": abs,
    "max": max,
    "min": min,
    "tanh": mpmath.tanh,
    "inv": lambda a: 1 / a,
    "logabs": lambda a: mpmath.log(abs(a)),
    "expneg": lambda a: mpmath.exp(-a),
    "sigmoid": _sigmoid,
    "harmonic": _harmonic,
    "pow": lambda a, b: a**b,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "cbrt": lambda a: mpmath.sign(a) * mpmath.cbrt(abs(a)),
    "sign": mpmath.sign,
    "erf": mpmath.erf,
    "log10": mpmath.log10,
    "log2": lambda a: mpmath.log(a, 2),
    "log1p": lambda a: mpmath.log(1 + a) if abs(a) > 1e-15 else a - a**2 / 2,
    "arcsinh": lambda a: mpmath.sign(a) * mpmath.asinh(abs(a)),
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "erfc": lambda a: mpmath.erfc(max(min(a, 50), -50)),
    "gamma": lambda a: mpmath.inf if a > 200 else mpmath.gamma(a),
    "sinc": mpmath.sincpi,
    "relu": lambda a: max(a, 0),
    "round": mpmath.nint,
    "floor": mpmath.floor,
    "ceil": mpmath.ceil,
    "arctan2": mpmath.atan2,
    "mod": lambda a, b: _mod(mpmath.mpf(a), mpmath.mpf(b)),
    "greater": lambda a, b: int(a > b),
    "greater_equal": lambda a, b: int(a >= b),
    "less": lambda a, b: int(a < b),
    "less_equal": lambda a, b: int(a <= b),
    "cond": lambda a, b: b if a > 0 else 0,
    "logical_or": lambda a, b: int(a > 0 or b > 0),
    "logical_and": lambda a, b: int(a > 0 and b > 0),
    "protected_div": lambda a, b: _guarded(abs(b) > mpmath.mpf(0.001), 1, lambda: a / b),
    "protected_log": lambda a: _guarded(abs(a) > mpmath.mpf(0.001), 0, lambda: mpmath.log(abs(a))),
    "protected_exp": lambda a: _guarded(a < 100, 0, lambda: mpmath.exp(a)),
    "protected_sqrt": lambda a: mpmath.sqrt(abs(a)),
    "protected_n2": lambda a: _guarded(abs(a) < 1e6, 0, lambda: a**2),
    "protected_n3": lambda a: _guarded(abs(a) < 1e6, 0, lambda: a**3),
    "protected_n4": lambda a: _guarded(abs(a) < 1e6, 0, lambda: a**4),
    "protected_inv": lambda a: _guarded(abs(a) > mpmath.mpf(0.001), 0, lambda: 1 / a),
    "protected_logabs": lambda a: _guarded(
        abs(a) > mpmath.mpf(0.001), 0, lambda: mpmath.log(abs(a))
    ),
    "protected_expneg": lambda a: _guarded(a > -100, 0, lambda: mpmath.exp(-a)),
    "protected_sigmoid": lambda a: _guarded(a > -100, 1, lambda: _sigmoid(a)),
}
"""Each token in arbitrary precision; complex, infinite or undefined results mean no real value."""


def error_in_ulp(value: float, truth: mpmath.mpf) -> float:
    """Return |value - truth| in units of the last place of a double at the truth."""
    if truth == 0:
        return abs(value) / 5e-324
    exponent = max(int(mpmath.floor(mpmath.log(abs(truth), 2))), -1022)
    ulp = mpmath.ldexp(1, min(exponent, 1023) - 52)
    limit = mpmath.ldexp(1, 1024)
    rounded = mpmath.mpf(value) if np.isfinite(value) else mpmath.sign(value) * limit
    clipped = max(-limit, min(limit, truth))  # beyond the largest double: infinity is right
    return float(abs(rounded - clipped) / ulp)
