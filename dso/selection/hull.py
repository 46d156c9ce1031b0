"""Whether a program behaves between the rows of data: it is defined there, and has no pole.

The rows' convex hull is connected, so what is positive in one place of it and negative in another
is zero in between. A divisor, or the argument of a logarithm, must not be.
"""

from __future__ import annotations

import numpy as np

from dso.library import Library, PlaceholderConstant, Token
from dso.program import FitData, ProgramBatch, execute
from dso.program.execute import VALID, Polynomials, column_of
from dso.program.traversal import child_positions

N_POINTS = 2000


def between_rows(columns: np.ndarray, n_points: int = N_POINTS) -> np.ndarray:
    """Return points (D, n_points) in the convex hull of rows (D, N): mixtures of two of them.

    Rows and shares come from a low-discrepancy sequence, so the points are the same every time.
    """
    n_rows = columns.shape[1]
    steps = np.arange(1, n_points + 1)[:, None]
    # The powers of the inverse of the root of x^4 = x + 1: fractional parts fill a cube evenly.
    fractions = (0.5 + steps * 0.8191725134 ** np.arange(1, 4)) % 1.0
    first, second = (fractions[:, :2] * n_rows).astype(int).T
    share = fractions[:, 2]
    return np.ascontiguousarray(share * columns[:, first] + (1 - share) * columns[:, second])


def is_tame(
    programs: ProgramBatch, data: FitData, points: np.ndarray, polynomials: Polynomials
) -> np.ndarray:
    """Tell which programs (B,) are defined at points between the rows, without a pole there.

    Parameters
    ----------
    programs : ProgramBatch
    data : FitData
    points : (D, M) float64
        See `between_rows`.
    polynomials : sequence of (FittedPolynomial or None), optional
    """
    library, is_tame = data.library, np.empty(len(programs), dtype=bool)
    causes = execute(library, programs, points, data.protected, 1, polynomials).cause
    for b, cause in enumerate(causes):
        row, is_plain = programs.row(b), polynomials is None or polynomials[b] is None
        is_tame[b] = cause == VALID
        if is_tame[b] and is_plain:  # the values of a polynomial are not among those of the tokens
            is_tame[b] = not has_pole(library, row, programs.constants[b], points)
    return is_tame


def has_pole(library: Library, row: np.ndarray, constants: np.ndarray, points: np.ndarray) -> bool:
    """Tell whether a program (T,) divides by what vanishes somewhere between points (D, M)."""
    children, tokens = child_positions(row, library.arities), [library.tokens[t] for t in row]
    numbers = np.full(len(row), np.nan)
    is_constant = np.array([isinstance(token, PlaceholderConstant) for token in tokens])
    numbers[is_constant] = constants[: is_constant.sum()]
    values: list[np.ndarray] = [np.empty(0)] * len(row)
    vanishes = np.zeros(len(row), dtype=bool)
    for t in reversed(range(len(row))):
        token, arguments = tokens[t], [values[child] for child in children[t]]
        zeros = vanishes[children[t]].tolist() if children[t] else []
        if any(zero and _divides(token, i, arguments) for i, zero in enumerate(zeros)):
            return True
        if token.name == "tan" and _crosses_zero(np.cos(arguments[0])):
            return True
        with np.errstate(all="ignore"):
            values[t] = column_of(token, arguments, points, numbers[t])
        vanishes[t] = _crosses_zero(values[t]) or _vanishes_with(token, zeros)
    return False


def _crosses_zero(values: np.ndarray) -> bool:
    return bool(values.min() <= 0 <= values.max())


def _divides(token: Token, i: int, arguments: list[np.ndarray]) -> bool:
    """Tell whether a node is infinite where its argument `i` is zero."""
    if token.operator is None or i >= len(token.operator.domain):
        return False
    if token.name == "pow":
        return i == 0 and bool((arguments[1] < 0).any())
    domain = token.operator.domain[i]
    return 0 in domain.excluded or (domain.low == 0 and domain.open_low)


def _vanishes_with(token: Token, zeros: list[bool]) -> bool:
    """Tell whether a node is zero where those of its arguments are that may be."""
    if token.operator is None or not zeros:
        return False
    if len(zeros) == 1:
        return zeros[0] and token.operator.numpy(0.0) == 0
    return any(zeros) if token.name == "mul" else zeros[0] and token.name in ("div", "pow")
