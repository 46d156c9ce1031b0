"""Each token against the correctly rounded value, over its whole domain."""

import mpmath
import numpy as np
import pytest

from dso.library import OPERATORS, HardCodedConstant, Library, Token, create_tokens
from dso.library.functions import EULER_GAMMA
from dso.library.library import OPCODES
from dso.native import _core
from dso.program import ProgramBatch, execute
from tests.reference import TRUTH, VALUE, error_in_ulp

COMPOSED = {"sigmoid", "expneg", "logabs", "gamma"}
SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 1e-310, 2.2250738585072014e-308, 1.0, -1.0, 2.0, 0.5, 1e300,
           -1e300, 1.7976931348623157e308, 709.78, 709.79, 710.4, -708.5, -745.13, -745.14, 99.9,
           100.0, -100.0, 0.001, -0.001, 0.0010000001, 1e6, 999999.9, 1e15, 1e16, 1e22, 3.0, -2.0,
           np.pi, np.pi / 2, np.nextafter(1, 0), np.nextafter(1, 2), 1e-8, -1e-8]  # fmt: skip


def strata(generator: np.random.Generator, n: int) -> np.ndarray:
    """Arguments of every size: near 0, 1, multiples of pi/2, thresholds, denormal, huge."""
    sign = generator.choice([-1.0, 1.0], n)
    bits = generator.integers(0, 2**63, n, dtype=np.uint64).view(np.float64)
    return np.concatenate(
        [
            generator.uniform(-1, 1, n),
            generator.uniform(-10, 10, n),
            generator.uniform(-750, 750, n),
            sign * np.exp2(generator.uniform(-60, 60, n)),
            sign * (1 + generator.uniform(-1e-3, 1e-3, n)),
            generator.integers(-1000, 1000, n) * (np.pi / 2),
            sign * bits[np.isfinite(bits)].take(range(n), mode="wrap"),
            sign * generator.integers(1, 2**52, n).view(np.float64),
        ]
    )


def run(name: str, *columns: np.ndarray) -> np.ndarray:
    """Execute the one token on columns of arguments; checks nothing on the way."""
    row = OPERATORS[name]
    library = Library([*create_tokens(2, []), Token(row.numpy, row.shown, row.arity, 1)])
    program = ProgramBatch.from_rows([[2, 0, 1][: row.arity + 1]])
    X = np.stack([columns[0], columns[-1]])
    return execute(library, program, X, protected=True).values[0]


def arguments(name: str, n: int) -> tuple[np.ndarray, ...]:
    """Return the columns to try a token on: special values and `n` of each stratum."""
    generator = np.random.default_rng(sum(map(ord, name)))
    first = np.concatenate([SPECIAL, strata(generator, n)])
    if OPERATORS[name].arity == 1:
        return (first,)
    if name == "pow":
        first = np.concatenate([first, np.abs(first), np.abs(first)])
        small = generator.integers(-20, 20, len(first)).astype(float)
        edge = generator.choice([1023.99, -1070.0, 3.3], len(first)) / np.log2(np.abs(first) + 3)
        second = np.where(generator.random(len(first)) < 0.5, small, edge)
    else:
        second = generator.permutation(first)
    return first, second


def truth_of(name: str, *values: float) -> mpmath.mpf | None:
    """Return the exact value; None where the token has none."""
    try:
        value = TRUTH[name](*(mpmath.mpf(float(value)) for value in values))
    except (ZeroDivisionError, ValueError):
        return None
    if isinstance(value, mpmath.mpc) or not mpmath.isfinite(value):
        return None
    return mpmath.mpf(value)


def check_accuracy(name: str, n: int) -> None:
    columns = arguments(name, n)
    values = run(name, *columns)
    allowed = 8 if name in COMPOSED or name.startswith("protected_") else 4
    n_real = 0
    with mpmath.workprec(140):
        for value, *given in zip(values, *columns, strict=True):
            truth = truth_of(name, *given)
            if truth is None:
                assert not np.isfinite(value), (given, value)
            else:
                n_real += 1
                assert error_in_ulp(value, truth) <= allowed, (given, value, truth)
    assert n_real > 100


@pytest.mark.parametrize("name", sorted(set(OPERATORS) - {"harmonic"}))
def test_within_four_ulp(name: str) -> None:
    check_accuracy(name, 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(OPERATORS) - {"harmonic"}))
def test_within_four_ulp_at_many_points(name: str) -> None:
    check_accuracy(name, 2000)


def test_harmonic_to_thirteen_digits() -> None:
    generator = np.random.default_rng(0)
    x = np.abs(np.concatenate([SPECIAL, strata(generator, 60), np.arange(60.0)]))
    values = run("harmonic", x)
    with mpmath.workprec(200):
        for value, argument in zip(values, x, strict=True):
            truth = truth_of("harmonic", argument)
            assert abs(value - truth) <= max(1e-13 * abs(truth), 4 * 5e-324), (argument, value)


def test_harmonic_numbers_and_negative_arguments() -> None:
    n = np.arange(1, 30)
    np.testing.assert_allclose(run("harmonic", n.astype(float)), np.cumsum(1 / n), rtol=1e-14)
    x = -np.random.default_rng(1).uniform(0, 20, 200)
    with mpmath.workprec(200):
        truth = np.array([float(truth_of("harmonic", argument)) for argument in x])
    np.testing.assert_allclose(run("harmonic", x), truth, rtol=1e-10, atol=1e-11)
    assert run("harmonic", np.array([0.0]))[0] == 0
    np.testing.assert_allclose(run("harmonic", np.array([-0.5])), -2 * np.log(2), rtol=1e-14)
    assert np.isinf(run("harmonic", np.array([-1.0, -2.0, -1e300]))).all()
    assert float(mpmath.euler) == EULER_GAMMA


@pytest.mark.parametrize("name", sorted(set(OPERATORS)))
def test_infinite_and_undefined_arguments(name: str) -> None:
    """Where an argument is not finite, the limits are those of numpy (C99)."""
    special = np.array([np.inf, -np.inf, np.nan, 0.0, 1.0, -2.5])
    columns = [special] if OPERATORS[name].arity == 1 else np.meshgrid(special, special)
    columns = [np.ravel(column) for column in columns]
    with np.errstate(all="ignore"):
        expected = VALUE[name](*columns)
    keep = ~np.isfinite(columns[0]) | ~np.isfinite(columns[-1])
    if name == "harmonic":
        keep &= columns[0] != -np.inf  # between poles without end: no value, and scipy names one
    np.testing.assert_allclose(run(name, *columns)[keep], expected[keep], rtol=1e-15)


def test_python_table_equals_native_table() -> None:
    """Values and causes are compared below, slopes in test_partials, inverses in test_inversion."""
    native = _core.operator_table()
    assert [row.name for row in native] == list(OPERATORS)
    for row, (name, ours) in zip(native, OPERATORS.items(), strict=True):
        assert row.arity == ours.arity, name
        assert row.period == ours.period, name
        assert row.is_even == (ours.parity == "even"), name
    opcodes = [row.opcode for row in native]
    assert len(set(opcodes)) == len(opcodes)
    tokens = [Token(row.numpy, row.name, row.arity, 1) for row in OPERATORS.values()]
    assert not Library([*tokens, HardCodedConstant(1)]).is_python.any()


@pytest.mark.parametrize("name", sorted(set(OPERATORS)))
def test_both_tables_have_the_same_poles(name: str) -> None:
    row = OPERATORS[name]
    grid = np.meshgrid([-2.5, -1.0, -0.0, 0.0, 0.5, 1e300], [-1.0, 0.0, 2.0])
    columns = [np.ravel(column) for column in grid][: row.arity]
    ours = np.zeros(18, dtype=bool) if row.pole is None else row.pole(*columns)
    native = [
        _core.is_pole(OPCODES[name], a, b) for a, b in zip(columns[0], columns[-1], strict=True)
    ]
    np.testing.assert_array_equal(native, ours)


@pytest.mark.parametrize("name", sorted(set(OPERATORS)))
def test_numpy_column_agrees_with_native(name: str) -> None:
    """The two executable halves of a row of the table mean the same."""
    generator = np.random.default_rng(0)
    columns = [generator.uniform(-3, 3, 400) for _ in range(OPERATORS[name].arity)]
    with np.errstate(all="ignore"):
        expected = OPERATORS[name].numpy(*columns)
    np.testing.assert_allclose(run(name, *columns), expected, rtol=1e-12, atol=1e-12)
