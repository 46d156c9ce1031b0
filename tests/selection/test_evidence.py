"""Evidence: errors of rows that are left out, description lengths, poles between the rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.program import FitData, ProgramBatch
from dso.selection import Evidence, gather
from dso.selection.evidence import leverages_of, number_lengths
from dso.selection.hull import between_rows

OPERATORS = [
    "add",
    "mul",
    "div",
    "n2",
    "inv",
    "log",
    "abs",
    "sin",
    "exp",
    "tan",
    "pow",
    "const",
    1.0,
]
LIBRARY = Library(create_tokens(1, OPERATORS))
WIDE = Library(create_tokens(2, OPERATORS))
LINE = "add,const,mul,const,x1"


def evidence(
    data: FitData, texts: list[str], constants: list[list[float]], **options: FitData
) -> Evidence:
    programs = ProgramBatch.from_rows([LIBRARY.actionize(text).tolist() for text in texts])
    width = max(map(len, constants))
    numbers = np.array([row + [np.nan] * (width - len(row)) for row in constants])
    programs = replace(programs, constants=numbers)
    n = len(texts)
    sizes = programs.lengths.astype(float)
    return gather(programs, np.ones(n), sizes, data, data.n_rows, [None] * n, **options)


def line(X: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return offset and slope of the weighted least squares."""
    root = np.sqrt(weights)
    return np.linalg.lstsq(root[:, None] * np.column_stack([np.ones(len(X)), X]), root * y)[0]


@given(st.integers(0, 2**31), st.integers(4, 12), st.booleans())
def test_left_out_errors_of_a_linear_fit_are_those_of_fits_without_the_row(
    seed: int, n: int, has_weights: bool
) -> None:
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(2, n))
    weights = random.uniform(0.5, 3, n) if has_weights else np.ones(n)
    data = FitData.of_rows(LIBRARY, X[:, None], y, weights if has_weights else None)
    found = evidence(data, [LINE], [line(X, y, weights).tolist()])
    for i in range(n):
        others = np.arange(n) != i
        a, b = line(X[others], y[others], weights[others])
        expected = weights[i] / weights.mean() * (y[i] - a - b * X[i]) ** 2
        np.testing.assert_allclose(found.left_out[0, i], expected, rtol=1e-6, atol=1e-12)


def test_a_row_that_decides_its_own_value_has_an_infinite_error() -> None:
    data = FitData.of_rows(LIBRARY, np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))
    assert np.isinf(evidence(data, [LINE], [[1.0, 2.0]]).left_out).all()


def test_rows_held_out_take_the_place_of_those_left_out() -> None:
    data = FitData.of_rows(LIBRARY, np.arange(5.0)[:, None], np.arange(5.0))
    held_out = FitData.of_rows(LIBRARY, np.array([[2.0]]), np.array([3.0]))
    found = evidence(data, ["x1", "mul,const,x1"], [[], [2.0]], held_out=held_out)
    assert found.validated.tolist() == [1.0, 1.0]


def test_constants_that_act_together_count_once() -> None:
    slopes = np.random.default_rng(0).normal(size=(9, 2))
    both = np.column_stack([slopes, slopes @ [1.0, -2.0]])
    np.testing.assert_allclose(leverages_of(both), leverages_of(slopes), atol=1e-9)
    assert leverages_of(both).sum() == pytest.approx(2)


def test_numbers_take_the_digits_that_the_data_determine() -> None:
    information = np.array([1e4, 1e8, 1e8, 1e-8])
    coarse, fine, whole, unknown = number_lengths(np.array([2.5, 2.5, 2.0, 2.5]), information)
    assert fine - coarse == pytest.approx(np.log(100))
    assert whole == pytest.approx(np.log(3))
    assert unknown == 0


@pytest.mark.parametrize(
    ("text", "numbers", "tame"),
    [
        ("add,const,mul,const,x1", [5.0, -2.0], True),
        ("div,1.0,add,const,x1", [0.5], True),
        ("div,1.0,add,const,x1", [-2.02], False),
        ("div,1.0,n2,add,const,x1", [-2.02], False),
        ("div,1.0,add,const,n2,add,const,x1", [0.1, -2.02], True),
        ("div,1.0,mul,x1,sin,add,const,x1", [-2.02], False),
        ("inv,add,const,x1", [-2.02], False),
        ("log,abs,add,const,x1", [-2.02], False),
        ("log,add,const,x1", [-2.0], False),
        ("log,x1", [], True),
        ("tan,x1", [], False),
        ("tan,mul,const,x1", [0.4], True),
        ("pow,add,const,x1,const", [-2.02, -2.0], False),
        ("pow,add,const,x1,const", [-2.02, 2.0], True),
        ("div,x1,exp,x1", [], True),
    ],
)
def test_poles_between_the_rows(text: str, numbers: list[float], tame: bool) -> None:
    X = np.linspace(1.0, 3.0, 20)[:, None]
    assert bool(evidence(FitData.of_rows(LIBRARY, X, X[:, 0]), [text], [numbers]).is_tame) == tame


def test_decades_of_inputs_are_not_poles() -> None:
    X = np.exp(np.random.default_rng(0).uniform(-20, 20, (30, 2)))
    data = FitData.of_rows(WIDE, X, X[:, 0])
    programs = ProgramBatch.from_rows([WIDE.actionize("div,x1,mul,x2,x2").tolist()])
    found = gather(programs, np.ones(1), np.ones(1), data, 30, [None])
    assert found.is_tame[0]


def test_gaps_between_the_rows() -> None:
    gap = FitData.of_rows(LIBRARY, np.array([[-2.0], [-1.5], [1.5], [2.0]]), np.arange(4.0))
    assert not evidence(gap, ["log,add,const,mul,x1,x1"], [[-1.0]]).is_tame[0]


@given(st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**31))
def test_points_between_rows_are_mixtures_of_two_of_them(n: int, d: int, seed: int) -> None:
    columns = np.random.default_rng(seed).normal(size=(d, n))
    points = between_rows(columns, 200)
    assert points.shape == (d, 200)
    low, high = columns.min(axis=1), columns.max(axis=1)
    assert (points >= low[:, None] - 1e-12).all()
    assert (points <= high[:, None] + 1e-12).all()
