"""THE operator table: every function that an expression can use, one row each.

A row says all that Python has to know; `Operator` explains its columns. The virtual machine's half
is `dso/native/machine/operators.hpp`; tests keep both equal. Protected rows bear the display name
of the function they guard.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from dso.library.operator import Interval, Inverse, Operator

EULER_GAMMA = 0.5772156649015328606

REAL = Interval()
NON_NEGATIVE = Interval(0.0)
POSITIVE = Interval(0.0, open_low=True)
NON_ZERO = Interval(excluded=(0.0,))
UNIT = Interval(-1.0, 1.0)
ZERO_TO_ONE = Interval(0.0, 1.0)

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)

_ARTANH: Inverse = ("mul", 0.5, ("log", ("div", ("add", 1.0, "y"), ("sub", 1.0, "y"))))
_ARSINH: Inverse = (
    "mul",
    ("sign", "y"),
    ("log", ("add", ("abs", "y"), ("sqrt", ("add", ("n2", "y"), 1.0)))),
)
_ARCOSH: Inverse = ("log", ("add", "y", ("sqrt", ("sub", ("n2", "y"), 1.0))))
_LOGIT: Inverse = ("log", ("div", "y", ("sub", 1.0, "y")))
_FOURTH_ROOT: Inverse = ("sqrt", ("sqrt", "y"))


def square(a: np.ndarray) -> np.ndarray:
    return a * a


def cube(a: np.ndarray) -> np.ndarray:
    return a * a * a


def fourth_power(a: np.ndarray) -> np.ndarray:
    return np.square(np.square(a))


def inverse(a: np.ndarray) -> np.ndarray:
    return np.divide(1.0, a)


def logabs(a: np.ndarray) -> np.ndarray:
    return np.log(np.abs(a))


def expneg(a: np.ndarray) -> np.ndarray:
    return np.exp(-np.asarray(a))


def sigmoid(a: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(a))  # never overflows
    return np.where(np.greater_equal(a, 0), 1.0, e) / (1.0 + e)


def harmonic(a: np.ndarray) -> np.ndarray:
    """Return digamma(a + 1) + Euler's gamma, accurate to a = 0; `vector_math.hpp` derives it."""
    a = np.asarray(a, dtype=np.float64)
    positive = np.where(a <= -1, -a, a)
    above = _harmonic_above(positive)
    reflected = above + np.divide(1.0, a) - np.divide(np.pi, np.tan(np.pi * (a - np.rint(a))))
    return np.where(a <= -1, reflected, above)


_DIGAMMA_TERMS = (1 / 24, -7 / 960, 31 / 8064, -127 / 30720, 511 / 67584, -1414477 / 67092480)


def _harmonic_above(a: np.ndarray) -> np.ndarray:
    shift = 10.5
    z = a + shift
    u, v = 1 / (z * z), 1 / shift**2
    slope, quotient = np.zeros_like(a), np.zeros_like(a)
    for k, coefficient in enumerate(_DIGAMMA_TERMS):
        quotient = quotient * v + u**k
        slope += coefficient * quotient
    total = sum(a / (j * (j + a)) for j in range(10, 0, -1))
    total = total + np.log1p(a / shift) - (a / z) * ((z + shift) / z) * v * slope
    return np.where(a > 1e17, np.log(a) + EULER_GAMMA, total)


def erf(a: np.ndarray) -> np.ndarray:
    from scipy import special  # when it is needed: importing it takes long

    return special.erf(a)


def erfinv(y: np.ndarray) -> np.ndarray:
    from scipy import special

    return special.erfinv(y)


def erfc(a: np.ndarray) -> np.ndarray:
    from scipy import special

    return special.erfc(a)


def gamma(a: np.ndarray) -> np.ndarray:
    """Return the gamma function, NaN at negative whole numbers, infinite at 0."""
    from scipy import special

    a = np.asarray(a, dtype=np.float64)
    return np.where((a < 0) & (a == np.floor(a)), np.nan, special.gamma(a))


def sinc(a: np.ndarray) -> np.ndarray:
    """Return sin(pi a) / (pi a); near whole numbers with more digits than numpy's."""
    a = np.asarray(a, dtype=np.float64)
    whole = np.rint(a)
    sine = np.sin(np.pi * (a - whole)) * np.where(np.mod(whole, 2) == 0, 1.0, -1.0)
    return np.where(a == 0, 1.0, np.divide(sine, np.pi * a))


def relu(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, 0.0)


def mod(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return numpy's remainder; a zero has no sign, so that what is divided by it keeps its own."""
    return np.mod(a, b) + 0.0


def greater(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.greater(a, b), 1.0, 0.0)


def greater_equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.greater_equal(a, b), 1.0, 0.0)


def less(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.less(a, b), 1.0, 0.0)


def less_equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.less_equal(a, b), 1.0, 0.0)


def cond(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.greater(a, 0.0), b, 0.0)


def logical_or(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.greater(a, 0.0) | np.greater(b, 0.0), 1.0, 0.0)


def logical_and(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.greater(a, 0.0) & np.greater(b, 0.0), 1.0, 0.0)


def protected_div(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.abs(b) > 0.001, np.divide(a, b), 1.0)


def protected_log(a: np.ndarray) -> np.ndarray:
    return np.where(np.abs(a) > 0.001, logabs(a), 0.0)


def protected_exp(a: np.ndarray) -> np.ndarray:
    return np.where(np.less(a, 100.0), np.exp(a), 0.0)


def protected_sqrt(a: np.ndarray) -> np.ndarray:
    return np.sqrt(np.abs(a))


def protected_n2(a: np.ndarray) -> np.ndarray:
    return np.where(np.abs(a) < 1e6, square(a), 0.0)


def protected_n3(a: np.ndarray) -> np.ndarray:
    return np.where(np.abs(a) < 1e6, cube(a), 0.0)


def protected_n4(a: np.ndarray) -> np.ndarray:
    return np.where(np.abs(a) < 1e6, fourth_power(a), 0.0)


def protected_inv(a: np.ndarray) -> np.ndarray:
    return np.where(np.abs(a) > 0.001, inverse(a), 0.0)


def protected_logabs(a: np.ndarray) -> np.ndarray:
    return protected_log(a)


def protected_expneg(a: np.ndarray) -> np.ndarray:
    return np.where(np.greater(a, -100.0), expneg(a), 0.0)


def protected_sigmoid(a: np.ndarray) -> np.ndarray:
    return np.where(np.greater(a, -100.0), sigmoid(a), 1.0)


def _power(exponent: int) -> Callable[..., Any]:
    return lambda sp, a: sp.Pow(a, exponent)


def _quotient(sp: Any, a: Any, b: Any) -> Any:
    return sp.Mul(a, sp.Pow(b, -1))


def _logabs(sp: Any, a: Any) -> Any:
    return sp.log(sp.Abs(a))


def _expneg(sp: Any, a: Any) -> Any:
    return sp.exp(sp.Mul(a, -1))


def _sigmoid(sp: Any, a: Any) -> Any:
    return sp.Pow(sp.Add(1, sp.exp(sp.Mul(a, -1))), -1)


def _case(sp: Any, value: Any, condition: Any) -> Any:
    """Return a value where a condition holds, else 0."""
    return sp.Piecewise((value, condition), (0, True))


def _holds(xp: Any, condition: Any, like: Any) -> Any:
    """Return 1 where a condition holds, else 0, in the precision of `like`."""
    return xp.where(condition, xp.ones_like(like), xp.zeros_like(like))


def _if_greater(least: float, otherwise: int) -> Callable[..., tuple[Any, int]]:
    """Return the guard of operators that need a last argument of some magnitude."""
    return lambda sp, *arguments: (sp.Abs(arguments[-1]) > least, otherwise)


def _if_less(bound: float) -> Callable[..., tuple[Any, int]]:
    return lambda sp, a: (sp.Abs(a) < bound, 0)


def _at_zero(a: np.ndarray) -> np.ndarray:
    return a == 0


def _protected_div(xp: Any, a: Any, b: Any) -> Any:
    usable = xp.abs(b) > 0.001
    return xp.where(usable, a / xp.where(usable, b, 1.0), 1.0)


def _protected_log(xp: Any, a: Any) -> Any:
    usable = xp.abs(a) > 0.001
    return xp.where(usable, xp.log(xp.abs(xp.where(usable, a, 1.0))), 0.0)


def _protected_exp(xp: Any, a: Any) -> Any:
    usable = a < 100.0
    return xp.where(usable, xp.exp(xp.where(usable, a, 0.0)), 0.0)


def _gamma(xp: Any, a: Any) -> Any:
    """Return the gamma function, by reflection where a < 1/2."""
    is_low = a < 0.5
    size = xp.exp(xp.gammaln(xp.where(is_low, 1.0 - a, a)))
    return xp.where(is_low, math.pi / (xp.sin(math.pi * a) * size), size)


def _protected_power(exponent: int) -> Callable[..., Any]:
    def power(xp: Any, a: Any) -> Any:
        usable = xp.abs(a) < 1e6
        return xp.where(usable, xp.where(usable, a, 0.0) ** exponent, 0.0)

    return power


def _protected_inv(xp: Any, a: Any) -> Any:
    usable = xp.abs(a) > 0.001
    return xp.where(usable, 1.0 / xp.where(usable, a, 1.0), 0.0)


def _protected_sigmoid(xp: Any, a: Any) -> Any:
    return xp.where(a > -100.0, xp.sigmoid(a), 1.0)


_PROTECTED_LOG_CODES = (
    "protected_log(a) = np.where(np.abs(a) > 0.001, np.log(np.abs(a)), 0.0)",
    "protected_log(a) = fabs(a) > 0.001 ? log(fabs(a)) : 0.0",
)
_HARMONIC_IN_C = """\
static double harmonic_above(double a)
{
    static const double c[] = {1.0 / 24, -7.0 / 960, 31.0 / 8064, -127.0 / 30720, 511.0 / 67584,
                               -1414477.0 / 67092480};
    const double shift = 10.5, z = a + shift, u = 1 / (z * z), v = 1 / (shift * shift);
    double slope = 0, quotient = 0, power = 1, total = 0;
    for (int k = 0; k < 6; ++k) {
        quotient = quotient * v + power;
        slope += c[k] * quotient;
        power *= u;
    }
    for (int j = 10; j >= 1; --j) total += a / (j * (j + a));
    total += log1p(a / shift) - (a / z) * ((z + shift) / z) * v * slope;
    return a > 1e17 ? log(a) + 0.5772156649015329 : total;
}

static double harmonic(double a)
{
    const double pi = 3.141592653589793;
    if (!(a <= -1)) return harmonic_above(a);
    return harmonic_above(-a) + 1 / a - pi / tan(pi * (a - rint(a)));
}"""

_MOD_IN_C = """\
static double mod(double a, double b)
{
    const double rest = fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest + 0.0;
}"""

_UNPROTECTED = (
    Operator("add", 2, 1, "a + b", np.add, "Add", lambda xp, a, b: a + b,
             aliases=("+", "plus"), symmetry="even",
             derivative=("1", "1"), inverse=(("sub", "y", "b"), ("sub", "y", "a")), units="same"),
    Operator("sub", 2, 1, "a - b", np.subtract, lambda sp, a, b: sp.Add(a, sp.Mul(b, -1)),
             lambda xp, a, b: a - b, aliases=("-", "subtract"), symmetry="odd",
             derivative=("1", "-1"), inverse=(("add", "y", "b"), ("sub", "a", "y")), units="same"),
    Operator("mul", 2, 1, "a b", np.multiply, "Mul", lambda xp, a, b: a * b,
             aliases=("*", "multiply", "mult"), symmetry="even",
             derivative=("b", "a"), inverse=(("div", "y", "b"), ("div", "y", "a")), units=(1, 1)),
    Operator("div", 2, 2, "a / b", np.divide, _quotient, lambda xp, a, b: a / b,
             aliases=("/", "divide", "true_divide"), domain=(REAL, NON_ZERO),
             derivative=("1 / b", "-y / b"), inverse=(("mul", "y", "b"), ("div", "a", "y")),
             pole=lambda a, b: b == 0, protected="protected_div", units=(1, -1)),
    Operator("sin", 1, 3, "sin a", np.sin, "sin", "sin", "np.sin", "sin",
             range=UNIT, derivative=("cos(a)",), inverse=(("arcsin", "y"),),
             parity="odd", period=2 * np.pi, is_trigonometric=True, above_poly=False),
    Operator("cos", 1, 3, "cos a", np.cos, "cos", "cos", "np.cos", "cos",
             range=UNIT, derivative=("-sin(a)",), inverse=(("arccos", "y"),),
             parity="even", period=2 * np.pi, is_trigonometric=True, above_poly=False),
    Operator("tan", 1, 4, "tan a", np.tan, "tan", "tan", "np.tan", "tan",
             derivative=("1 + y**2",), inverse=(("arctan", "y"),),
             parity="odd", period=np.pi, is_trigonometric=True, above_poly=False),
    Operator("exp", 1, 4, "e^a", np.exp, "exp", "exp", "np.exp", "exp",
             range=POSITIVE, derivative=("y",), inverse=(("log", "y"),),
             protected="protected_exp", cancels="log"),
    Operator("log", 1, 4, "ln a", np.log, "log", "log", "np.log", "log",
             aliases=("ln",), domain=(POSITIVE,), derivative=("1 / a",), inverse=(("exp", "y"),),
             pole=_at_zero, protected="protected_log", cancels="exp"),
    Operator("sqrt", 1, 4, "square root of a", np.sqrt, "sqrt", "sqrt", "np.sqrt", "sqrt",
             domain=(NON_NEGATIVE,), range=NON_NEGATIVE,
             derivative=("1 / (2*y)",), inverse=(("n2", "y"),),
             protected="protected_sqrt", cancels="n2", units=(HALF,)),
    Operator("neg", 1, 1, "-a", np.negative, lambda sp, a: sp.Mul(a, -1), lambda xp, a: -a,
             aliases=("negative",), derivative=("-1",), inverse=(("neg", "y"),),
             parity="odd", cancels="neg", units="same"),
    Operator("abs", 1, 2, "|a|", np.abs, "Abs", "abs", "np.abs", "fabs",
             aliases=("absolute", "fabs"), range=NON_NEGATIVE,
             derivative=("sign(a)",), inverse=(("abs", "y"),), parity="even", above_poly=False,
             units="same"),
    Operator("max", 2, 4, "larger of a and b", np.maximum, "Max", "maximum", "np.maximum",
             "larger(a, b) = a > b || a != a ? a : b", aliases=("maximum",), symmetry="even",
             derivative=("(1 + sign(a - b)) / 2", "(1 - sign(a - b)) / 2"), units="same"),
    Operator("min", 2, 4, "smaller of a and b", np.minimum, "Min", "minimum", "np.minimum",
             "smaller(a, b) = a < b || a != a ? a : b", aliases=("minimum",), symmetry="even",
             derivative=("(1 - sign(a - b)) / 2", "(1 + sign(a - b)) / 2"), units="same"),
    Operator("sign", 1, 2, "-1, 0 or 1", np.sign, "sign", "sign", "np.sign",
             "sign(a) = a > 0 ? 1.0 : a < 0 ? -1.0 : a", range=UNIT, derivative=("0",),
             parity="odd", units=(0,)),
    Operator("n2", 1, 2, "a^2", square, _power(2), lambda xp, a: a**2, "np.square",
             "square(a) = a * a", aliases=("square", "abs2"), range=NON_NEGATIVE,
             derivative=("2*a",), inverse=(("sqrt", "y"),), parity="even",
             protected="protected_n2", cancels="sqrt", above_poly=False, units=(2,)),
    Operator("n3", 1, 3, "a^3", cube, _power(3), lambda xp, a: a**3, "cube(a) = a * a * a",
             "cube(a) = a * a * a", aliases=("cube",),
             derivative=("3*a**2",), inverse=(("cbrt", "y"),), parity="odd",
             protected="protected_n3", search_cost=2, units=(3,)),
    Operator("n4", 1, 3, "a^4", fourth_power, _power(4), lambda xp, a: a**4,
             "fourth_power(a) = np.square(np.square(a))", "fourth_power(a) = (a * a) * (a * a)",
             range=NON_NEGATIVE, derivative=("4*a**3",), inverse=(_FOURTH_ROOT,), parity="even",
             protected="protected_n4", above_poly=False, search_cost=2, units=(4,)),
    Operator("arcsin", 1, 4, "inverse sine of a", np.arcsin, "asin", "arcsin", "np.arcsin", "asin",
             aliases=("asin",), domain=(UNIT,), range=Interval(-np.pi / 2, np.pi / 2),
             derivative=("1 / sqrt(1 - a**2)",), inverse=(("sin", "y"),), parity="odd",
             is_trigonometric=True),
    Operator("arccos", 1, 4, "inverse cosine of a", np.arccos, "acos", "arccos", "np.arccos",
             "acos", aliases=("acos",), domain=(UNIT,), range=Interval(0.0, np.pi),
             derivative=("-1 / sqrt(1 - a**2)",), inverse=(("cos", "y"),),
             is_trigonometric=True),
    Operator("arctan", 1, 4, "inverse tangent of a", np.arctan, "atan", "arctan", "np.arctan",
             "atan", aliases=("atan",), range=Interval(-np.pi / 2, np.pi / 2),
             derivative=("1 / (1 + a**2)",), inverse=(("tan", "y"),), parity="odd",
             is_trigonometric=True),
    Operator("tanh", 1, 4, "hyperbolic tangent of a", np.tanh, "tanh", "tanh", "np.tanh", "tanh",
             range=UNIT, derivative=("1 - y**2",), inverse=(_ARTANH,), parity="odd"),
    Operator("inv", 1, 2, "1 / a", inverse, _power(-1), lambda xp, a: 1.0 / a,
             aliases=("reciprocal",), domain=(NON_ZERO,), range=NON_ZERO,
             derivative=("-y**2",), inverse=(("inv", "y"),), pole=_at_zero, parity="odd",
             protected="protected_inv", cancels="inv", units=(-1,)),
    Operator("logabs", 1, 4, "ln |a|", logabs, _logabs, lambda xp, a: xp.log(xp.abs(a)),
             "logabs(a) = np.log(np.abs(a))", "logabs(a) = log(fabs(a))", domain=(NON_ZERO,),
             derivative=("1 / a",), inverse=(("exp", "y"),), pole=_at_zero, parity="even",
             protected="protected_logabs"),
    Operator("expneg", 1, 4, "e^-a", expneg, _expneg, lambda xp, a: xp.exp(-a),
             "expneg(a) = np.exp(-a)", "expneg(a) = exp(-a)", range=POSITIVE,
             derivative=("-y",), inverse=(("neg", ("log", "y")),), protected="protected_expneg"),
    Operator("sigmoid", 1, 4, "1 / (1 + e^-a)", sigmoid, _sigmoid, "sigmoid",
             "sigmoid(a) = 1.0 / (1.0 + np.exp(-a))", "sigmoid(a) = 1.0 / (1.0 + exp(-a))",
             aliases=("logistic",), range=Interval(0.0, 1.0),
             derivative=("y*(1 - y)",), inverse=(_LOGIT,), protected="protected_sigmoid"),
    # Called, not named: shorter forms of an equation do not read it back.
    Operator("harmonic", 1, 4, "digamma(a + 1) + Euler's gamma", harmonic,
             lambda sp, a: sp.harmonic(a), lambda xp, a: xp.digamma(a + 1.0) + EULER_GAMMA,
             "harmonic(a) = digamma(a + 1.0) + 0.5772156649015329", ("harmonic", _HARMONIC_IN_C),
             scipy="digamma", domain=(Interval(-1.0, open_low=True),),
             derivative=("trigamma(a + 1)",), pole=lambda a: a < 0),
    Operator("pow", 2, 4, "a^b", np.power, "Pow", lambda xp, a, b: a**b, "np.power", "pow",
             aliases=("^", "**", "power"), domain=(NON_NEGATIVE, REAL),
             derivative=("b*a**(b - 1)", "y*log(a)"),
             inverse=(("pow", "y", ("inv", "b")), ("div", ("log", "y"), ("log", "a"))),
             pole=lambda a, b: a == 0, units="power"),
    Operator("sinh", 1, 4, "hyperbolic sine of a", np.sinh, "sinh", "sinh", "np.sinh", "sinh",
             derivative=("cosh(a)",), inverse=(_ARSINH,), parity="odd"),
    Operator("cosh", 1, 4, "hyperbolic cosine of a", np.cosh, "cosh", "cosh", "np.cosh", "cosh",
             range=Interval(1.0), derivative=("sinh(a)",), inverse=(_ARCOSH,), parity="even"),
    Operator("cbrt", 1, 4, "real cube root of a", np.cbrt,
             lambda sp, a: sp.Mul(sp.sign(a), sp.Pow(sp.Abs(a), sp.Rational(1, 3))),
             "cbrt", "np.cbrt", "cbrt",
             derivative=("1 / (3*y**2)",), inverse=(("n3", "y"),), parity="odd", units=(THIRD,)),
    Operator("erf", 1, 4, "error function of a", erf, "erf", "erf", "erf", "erf", scipy="erf",
             range=UNIT, derivative=("2 / sqrt(pi) * exp(-a**2)",), inverse=((erfinv, "y"),),
             parity="odd"),
    Operator("log10", 1, 4, "decimal logarithm of a", np.log10,
             lambda sp, a: sp.Mul(sp.log(a), sp.Pow(sp.log(10), -1)), "log10", "np.log10", "log10",
             domain=(POSITIVE,), derivative=("1 / (a*log(10))",), inverse=(("pow", 10.0, "y"),),
             pole=_at_zero),
    Operator("log2", 1, 4, "binary logarithm of a", np.log2,
             lambda sp, a: sp.Mul(sp.log(a), sp.Pow(sp.log(2), -1)), "log2", "np.log2", "log2",
             domain=(POSITIVE,), derivative=("1 / (a*log(2))",), inverse=(("pow", 2.0, "y"),),
             pole=_at_zero),
    Operator("log1p", 1, 4, "ln(1 + a)", np.log1p, lambda sp, a: sp.log(sp.Add(1, a)), "log1p",
             "np.log1p", "log1p", domain=(Interval(-1.0, open_low=True),),
             derivative=("1 / (1 + a)",), inverse=((np.expm1, "y"),), pole=lambda a: a == -1),
    Operator("arcsinh", 1, 4, "inverse hyperbolic sine of a", np.arcsinh, "asinh", "arcsinh",
             "np.arcsinh", "asinh", aliases=("asinh",), derivative=("1 / sqrt(a**2 + 1)",),
             inverse=(("sinh", "y"),), parity="odd"),
    Operator("arccosh", 1, 4, "inverse hyperbolic cosine of a", np.arccosh, "acosh", "arccosh",
             "np.arccosh", "acosh", aliases=("acosh",), domain=(Interval(1.0),),
             range=NON_NEGATIVE, derivative=("1 / sqrt(a**2 - 1)",), inverse=(("cosh", "y"),)),
    Operator("arctanh", 1, 4, "inverse hyperbolic tangent of a", np.arctanh, "atanh", "arctanh",
             "np.arctanh", "atanh", aliases=("atanh",),
             domain=(Interval(-1.0, 1.0, open_low=True, open_high=True),),
             derivative=("1 / (1 - a**2)",), inverse=(("tanh", "y"),), parity="odd",
             pole=lambda a: np.abs(a) == 1),
    Operator("erfc", 1, 4, "1 - error function of a", erfc, "erfc", "erfc", "erfc", "erfc",
             scipy="erfc", range=Interval(0.0, 2.0),
             derivative=("-2 / sqrt(pi) * exp(-a**2)",),
             inverse=((erfinv, ("sub", 1.0, "y")),)),
    Operator("gamma", 1, 4, "gamma function of a", gamma, "gamma",
             lambda xp, a: _gamma(xp, a), "gamma", "tgamma", scipy="gamma", domain=(POSITIVE,),
             derivative=("y*digamma(a)",), pole=lambda a: a <= 0),
    Operator("sinc", 1, 4, "sin(pi a) / (pi a)", sinc, lambda sp, a: sp.sinc(sp.Mul(sp.pi, a)),
             "sinc", "np.sinc",
             "sinc(a) = a == 0 ? 1.0 : sin(3.141592653589793 * a) / (3.141592653589793 * a)",
             range=UNIT, derivative=("(cos(pi*a) - y) / a",), parity="even"),
    Operator("relu", 1, 2, "a, 0 where a < 0", relu, lambda sp, a: sp.Max(a, 0),
             lambda xp, a: xp.where(a > 0, a, xp.zeros_like(a)),
             "relu(a) = np.maximum(a, 0.0)", "relu(a) = a > 0 ? a : 0.0", range=NON_NEGATIVE,
             derivative=("(1 + sign(a)) / 2",), units="same"),
    Operator("round", 1, 2, "whole number next to a, the even one of two", np.rint,
             lambda sp, a: sp.floor(sp.Add(a, sp.Rational(1, 2))), "round", "np.rint", "rint",
             aliases=("rint", "around"), derivative=("0",), parity="odd"),
    Operator("floor", 1, 2, "greatest whole number up to a", np.floor, "floor", "floor", "np.floor",
             "floor", derivative=("0",)),
    Operator("ceil", 1, 2, "least whole number from a on", np.ceil, "ceiling", "ceil", "np.ceil",
             "ceil", aliases=("ceiling",), derivative=("0",)),
    Operator("arctan2", 2, 4, "angle of the point (b, a)", np.arctan2, "atan2", "arctan2",
             "np.arctan2", "atan2", aliases=("atan2",), range=Interval(-np.pi, np.pi),
             derivative=("b / (a**2 + b**2)", "-a / (a**2 + b**2)"), units="alike"),
    Operator("mod", 2, 3, "a - b floor(a / b)", mod, "Mod",
             lambda xp, a, b: xp.remainder(a, b) + 0.0, "mod(a, b) = np.mod(a, b) + 0.0",
             ("mod", _MOD_IN_C), aliases=("%", "remainder"), domain=(REAL, NON_ZERO),
             derivative=("1", "(y - a) / b"), units="same"),
    Operator("greater", 2, 2, "1 where a > b, else 0", greater,
             lambda sp, a, b: _case(sp, 1, a > b), lambda xp, a, b: _holds(xp, a > b, a + b),
             "greater(a, b) = np.where(a > b, 1.0, 0.0)", "greater(a, b) = a > b ? 1.0 : 0.0",
             aliases=(">",), range=ZERO_TO_ONE, derivative=("0", "0"), units="alike"),
    Operator("greater_equal", 2, 2, "1 where a >= b, else 0", greater_equal,
             lambda sp, a, b: _case(sp, 1, a >= b), lambda xp, a, b: _holds(xp, a >= b, a + b),
             "greater_equal(a, b) = np.where(a >= b, 1.0, 0.0)",
             "greater_equal(a, b) = a >= b ? 1.0 : 0.0",
             aliases=(">=",), range=ZERO_TO_ONE, derivative=("0", "0"), units="alike"),
    Operator("less", 2, 2, "1 where a < b, else 0", less,
             lambda sp, a, b: _case(sp, 1, a < b), lambda xp, a, b: _holds(xp, a < b, a + b),
             "less(a, b) = np.where(a < b, 1.0, 0.0)", "less(a, b) = a < b ? 1.0 : 0.0",
             aliases=("<",), range=ZERO_TO_ONE, derivative=("0", "0"), units="alike"),
    Operator("less_equal", 2, 2, "1 where a <= b, else 0", less_equal,
             lambda sp, a, b: _case(sp, 1, a <= b), lambda xp, a, b: _holds(xp, a <= b, a + b),
             "less_equal(a, b) = np.where(a <= b, 1.0, 0.0)",
             "less_equal(a, b) = a <= b ? 1.0 : 0.0",
             aliases=("<=",), range=ZERO_TO_ONE, derivative=("0", "0"), units="alike"),
    Operator("cond", 2, 2, "b where a > 0, else 0", cond, lambda sp, a, b: _case(sp, b, a > 0),
             lambda xp, a, b: xp.where(a > 0, b, xp.zeros_like(b)),
             "cond(a, b) = np.where(a > 0, b, 0.0)", "cond(a, b) = a > 0 ? b : 0.0",
             derivative=("0", "greater(a, 0)"), units=(0, 1)),
    Operator("logical_or", 2, 2, "1 where a > 0 or b > 0, else 0", logical_or,
             lambda sp, a, b: _case(sp, 1, sp.Or(a > 0, b > 0)),
             lambda xp, a, b: _holds(xp, (a > 0) | (b > 0), a + b),
             "logical_or(a, b) = np.where((a > 0) | (b > 0), 1.0, 0.0)",
             "logical_or(a, b) = a > 0 || b > 0 ? 1.0 : 0.0",
             symmetry="even", range=ZERO_TO_ONE, derivative=("0", "0"), units=(0, 0)),
    Operator("logical_and", 2, 2, "1 where a > 0 and b > 0, else 0", logical_and,
             lambda sp, a, b: _case(sp, 1, sp.And(a > 0, b > 0)),
             lambda xp, a, b: _holds(xp, (a > 0) & (b > 0), a + b),
             "logical_and(a, b) = np.where((a > 0) & (b > 0), 1.0, 0.0)",
             "logical_and(a, b) = a > 0 && b > 0 ? 1.0 : 0.0",
             symmetry="even", range=ZERO_TO_ONE, derivative=("0", "0"), units=(0, 0)),
)  # fmt: skip

_PROTECTED = (
    Operator("protected_div", 2, 2, "a / b, 1 where |b| <= 0.001", protected_div, _quotient,
             _protected_div, "protected_div(a, b) = np.where(np.abs(b) > 0.001, a / b, 1.0)",
             "protected_div(a, b) = fabs(b) > 0.001 ? a / b : 1.0",
             derivative=("1 / b", "-y / b"), inverse=(("mul", "y", "b"), ("div", "a", "y")),
             display="div", guard=_if_greater(0.001, 1), units=(1, -1)),
    Operator("protected_log", 1, 4, "ln |a|, 0 where |a| <= 0.001", protected_log, _logabs,
             _protected_log, *_PROTECTED_LOG_CODES,
             derivative=("1 / a",), inverse=(("exp", "y"),), parity="even",
             display="log", guard=_if_greater(0.001, 0)),
    Operator("protected_logabs", 1, 4, "ln |a|, 0 where |a| <= 0.001", protected_logabs, _logabs,
             _protected_log, *_PROTECTED_LOG_CODES,
             derivative=("1 / a",), inverse=(("exp", "y"),), parity="even",
             display="logabs", guard=_if_greater(0.001, 0)),
    Operator("protected_exp", 1, 4, "e^a, 0 where a >= 100", protected_exp, "exp",
             _protected_exp, "protected_exp(a) = np.where(a < 100.0, np.exp(a), 0.0)",
             "protected_exp(a) = a < 100.0 ? exp(a) : 0.0", range=NON_NEGATIVE,
             derivative=("y",), inverse=(("log", "y"),),
             display="exp", guard=lambda sp, a: (a < 100, 0)),
    Operator("protected_expneg", 1, 4, "e^-a, 0 where a <= -100", protected_expneg, _expneg,
             lambda xp, a: _protected_exp(xp, -a),
             "protected_expneg(a) = np.where(a > -100.0, np.exp(-a), 0.0)",
             "protected_expneg(a) = a > -100.0 ? exp(-a) : 0.0", range=NON_NEGATIVE,
             derivative=("-y",), inverse=(("neg", ("log", "y")),),
             display="expneg", guard=lambda sp, a: (a > -100, 0)),
    Operator("protected_sqrt", 1, 4, "square root of |a|", protected_sqrt,
             lambda sp, a: sp.sqrt(sp.Abs(a)), lambda xp, a: xp.sqrt(xp.abs(a)),
             "protected_sqrt(a) = np.sqrt(np.abs(a))", "protected_sqrt(a) = sqrt(fabs(a))",
             range=NON_NEGATIVE, derivative=("sign(a) / (2*y)",), inverse=(("n2", "y"),),
             parity="even", display="sqrt", units=(HALF,)),
    Operator("protected_n2", 1, 2, "a^2, 0 where |a| >= 1e6", protected_n2, _power(2),
             _protected_power(2), "protected_square(a) = np.where(np.abs(a) < 1e6, a * a, 0.0)",
             "protected_square(a) = fabs(a) < 1e6 ? a * a : 0.0", range=NON_NEGATIVE,
             derivative=("2*a",), inverse=(("sqrt", "y"),), parity="even",
             display="n2", guard=_if_less(1e6), above_poly=False, units=(2,)),
    Operator("protected_n3", 1, 3, "a^3, 0 where |a| >= 1e6", protected_n3, _power(3),
             _protected_power(3), "protected_cube(a) = np.where(np.abs(a) < 1e6, a * a * a, 0.0)",
             "protected_cube(a) = fabs(a) < 1e6 ? a * a * a : 0.0",
             derivative=("3*a**2",), inverse=(("cbrt", "y"),), parity="odd",
             display="n3", guard=_if_less(1e6), search_cost=2, units=(3,)),
    Operator("protected_n4", 1, 3, "a^4, 0 where |a| >= 1e6", protected_n4, _power(4),
             _protected_power(4),
             "protected_fourth_power(a) = np.where(np.abs(a) < 1e6, np.square(np.square(a)), 0.0)",
             "protected_fourth_power(a) = fabs(a) < 1e6 ? (a * a) * (a * a) : 0.0",
             range=NON_NEGATIVE, derivative=("4*a**3",), inverse=(_FOURTH_ROOT,), parity="even",
             display="n4", guard=_if_less(1e6), above_poly=False, search_cost=2, units=(4,)),
    Operator("protected_inv", 1, 2, "1 / a, 0 where |a| <= 0.001", protected_inv, _power(-1),
             _protected_inv, "protected_inv(a) = np.where(np.abs(a) > 0.001, 1.0 / a, 0.0)",
             "protected_inv(a) = fabs(a) > 0.001 ? 1.0 / a : 0.0",
             derivative=("-y**2",), inverse=(("inv", "y"),), parity="odd",
             display="inv", guard=_if_greater(0.001, 0), units=(-1,)),
    Operator("protected_sigmoid", 1, 4, "1 / (1 + protected e^-a)", protected_sigmoid, _sigmoid,
             _protected_sigmoid,
             "protected_sigmoid(a) = np.where(a > -100.0, 1.0 / (1.0 + np.exp(-a)), 1.0)",
             "protected_sigmoid(a) = a > -100.0 ? 1.0 / (1.0 + exp(-a)) : 1.0",
             range=Interval(0.0, 1.0), derivative=("y*(1 - y)",), inverse=(_LOGIT,),
             display="sigmoid", guard=lambda sp, a: (a > -100, 1)),
)  # fmt: skip

OPERATORS: dict[str, Operator] = {row.name: row for row in (*_UNPROTECTED, *_PROTECTED)}

NAMES: dict[str, str] = {
    **{alias: row.name for row in OPERATORS.values() for alias in row.aliases},
    **{name: name for name in OPERATORS},
}
"""Every accepted name, aliases included, to the name of its row."""


def solve(inverse: Inverse, given: dict[str, np.ndarray]) -> np.ndarray:
    """Evaluate an inverse, given y and the other argument; NaN where there is none."""
    name, *operands = inverse
    function = name if callable(name) else OPERATORS[name].numpy
    values = [
        solve(operand, given) if isinstance(operand, tuple) else given.get(operand, operand)
        for operand in operands
    ]
    with np.errstate(all="ignore"):
        return function(*values)


BY_FUNCTION: dict[int, Operator] = {id(row.numpy): row for row in OPERATORS.values()}
"""Identity of a definition to its row. Not the function itself: a user's need not be hashable."""
