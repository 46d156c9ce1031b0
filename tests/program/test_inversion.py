"""Programs solved for one of their nodes, natively and in numpy."""

import mpmath
import numpy as np
import pytest

from dso.library import OPERATORS, Library, Token, create_tokens
from dso.library.functions import solve
from dso.library.library import OPCODES
from dso.native import _core
from dso.program import ProgramBatch, execute, wanted_values
from dso.program.execute import execute_columns
from dso.program.inversion import _solved
from dso.program.traversal import child_positions
from tests.reference import error_in_ulp, random_programs

NAMES = [name for name, row in OPERATORS.items() if not row.display]
LIBRARY = Library(create_tokens(2, [*NAMES, "const", 0.5], decision_tree_threshold_set=[0.4, 1.1]))
X = np.random.default_rng(0).uniform(0.1, 2, (2, 600))
POINTS = np.array(
    [-1e300, -40.0, -2.5, -1.0, -0.3, -0.0, 0.0, 1e-9, 0.3, 0.7, 1.0, 2.5, 40.0, 1e300]
)


def half(column: np.ndarray) -> np.ndarray:
    return column / 2


@pytest.mark.parametrize("name", OPERATORS)
def test_both_tables_of_inverses_are_equal(name: str) -> None:
    row = OPERATORS[name]
    y, other = (grid.ravel() for grid in np.meshgrid(POINTS, POINTS))
    for argument in range(row.arity):
        assert _core.has_inverse(OPCODES[name], argument) == bool(row.inverse)
        native = _core.invert_operator(OPCODES[name], argument, y, other)
        if not row.inverse:
            assert np.isnan(native).all()
            continue
        expected = solve(row.inverse[argument], {"y": y, "a": other, "b": other})
        np.testing.assert_allclose(native, expected, rtol=1e-13, atol=1e-300)


def test_the_inverse_of_erf_has_all_its_digits() -> None:
    """From 0 to the last number below 1, where a difference of erf would have none."""
    generator = np.random.default_rng(0)
    y = np.concatenate(
        [
            generator.uniform(-1, 1, 100),
            1 - np.exp2(generator.uniform(-53, -1, 100)),
            np.exp2(generator.uniform(-60, -1, 100)),
            [np.nextafter(1, 0), np.nextafter(0.5, 0), 0.5],
        ]
    )
    solved = _core.invert_operator(OPCODES["erf"], 0, y, y)
    with mpmath.workprec(160):
        for value, given in zip(solved, y, strict=True):
            assert error_in_ulp(value, mpmath.erfinv(mpmath.mpf(given))) <= 4, given


def test_what_is_wanted_makes_the_program_give_y() -> None:
    """Put the wanted values in the place of the node: x3 is a column of its own."""
    programs = random_programs(LIBRARY, 400, np.random.default_rng(1), max_length=15)
    generator = np.random.default_rng(2)
    positions = generator.integers(0, programs.lengths)
    truth, cause, _ = execute(LIBRARY, programs, X)
    library = Library([*create_tokens(3, [])[2:], *LIBRARY.tokens])  # x3 first
    shares = []
    for b in np.flatnonzero(cause == 0):
        row = programs[[b]]
        values, is_finite = wanted_values(LIBRARY, row, positions[[b]], X, truth[b])
        if not is_finite[0]:
            continue
        children = child_positions(row.row(0), LIBRARY.arities)
        start = last = int(positions[b])
        while children[last]:
            last = children[last][-1]
        end = last + 1
        tokens = row.row(0) + 1
        rest = np.concatenate([tokens[:start], [0], tokens[end:]])
        is_const = row.row(0) == LIBRARY.const_token
        outside = np.r_[is_const[:start], is_const[end:]]
        numbers = np.full(is_const.sum(), np.nan)
        numbers[:] = row.constants[0, : len(numbers)]
        kept = [
            c
            for c, i in zip(numbers, np.flatnonzero(is_const), strict=True)
            if not start <= i < end
        ]
        assert len(kept) == outside.sum()
        inputs = np.vstack([X, values])
        whole = ProgramBatch(
            rest[None].astype(np.int16), np.array([len(rest)], np.int32), np.array([kept])
        )
        predicted = execute(library, whole, inputs, True).values[0]
        is_good = np.isclose(predicted, truth[b], rtol=1e-5, atol=1e-5)
        assert is_good.mean() > 0.5, (whole, b)
        shares.append(is_good.mean())
    assert len(shares) > 100
    assert np.mean(np.array(shares) > 0.9) > 0.98  # the rest is lost to rounding


def test_numpy_solves_as_the_native_code_does() -> None:
    programs = random_programs(LIBRARY, 300, np.random.default_rng(3), max_length=15)
    positions = np.random.default_rng(4).integers(0, programs.lengths)
    y = np.random.default_rng(5).uniform(-0.5, 2, X.shape[1])
    native = wanted_values(LIBRARY, programs, positions, X, y, n_threads=2)
    assert 0.2 < native.is_finite.mean() < 0.8
    for b in range(len(programs)):
        expected = _solved(LIBRARY, programs[[b]], int(positions[b]), X, y)
        if not native.is_finite[b] and np.isnan(expected).all():
            continue
        good = np.isfinite(expected) & (np.abs(expected) < 1e6)
        np.testing.assert_allclose(native.values[b][good], expected[good], rtol=1e-6, atol=1e-6)


def test_what_a_state_checker_does_not_choose_is_left_open() -> None:
    programs = ProgramBatch.from_rows([LIBRARY.actionize("x1 < 1.1,x2,exp,x1").tolist()] * 2)
    y = np.full(X.shape[1], 3.0)
    values, is_finite = wanted_values(LIBRARY, programs, np.array([1, 3]), X, y)
    below = X[0] < 1.1
    np.testing.assert_array_equal(values[0], np.where(below, 3.0, np.nan))
    np.testing.assert_allclose(values[1], np.where(below, np.nan, np.log(3.0)))
    assert not is_finite.any()


def test_a_token_of_ones_own_is_not_an_obstacle_off_the_path() -> None:
    library = Library([*create_tokens(1, ["add", "exp"]), Token(half, "half", 1, 1)])
    programs = ProgramBatch.from_rows(
        [library.actionize(text).tolist() for text in ("add,half,x1,exp,x1", "half,x1")]
    )
    y = np.linspace(3, 4, X.shape[1])
    values, is_finite = wanted_values(library, programs, np.array([4, 1]), X[:1], y)
    np.testing.assert_allclose(values[0], np.log(y - X[0] / 2))
    np.testing.assert_array_equal(is_finite, [True, False])
    with pytest.raises(ValueError, match="no token at 9"):
        wanted_values(LIBRARY, ProgramBatch.from_rows([[0]]), np.array([9]), X, y)
    assert execute_columns(library, programs, 1, X[:1], False)[1] == 0
