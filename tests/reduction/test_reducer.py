"""From data to reductions."""

from collections.abc import Callable

import numpy as np
import pytest

from dso.errors import UserError
from dso.reduction import reduce
from dso.reduction.rows import distinct_inputs, spread_out, strongest_inputs

RANDOM = np.random.default_rng(0)


def _table(function: Callable, n: int = 120, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(1).uniform(1.0, 3.0, (n, d))
    return X, function(*X.T)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda a, b, c: a * np.sin(b - c), "y/x1 depends on x2 - x3 only"),
        (lambda a, b, c: np.exp(-(a**2) - b**2), "y depends on x1**2 + x2**2 only"),
        (lambda a, b, c: 2 * a + np.cos(b * c), "y - 2*x1 depends on x2*x3 only"),
    ],
)
def test_a_form_is_found(function: Callable, text: str) -> None:
    found = reduce(*_table(function), seed=0)
    assert found.reductions[0].says() == text
    assert text in found.why
    steps = found.reductions[0].steps
    assert steps
    assert all(step.error_after <= max(1.5 * step.error_before, 1e-7) for step in steps)
    # Those that follow go less far.
    n_columns = [len(reduction.columns) for reduction in found.reductions]
    assert n_columns == sorted(n_columns)


@pytest.mark.slow
def test_a_form_is_found_in_noise() -> None:
    X, y = _table(lambda a, b, c: a * np.sin(b - c), 400)
    y = y + 0.01 * y.std() * RANDOM.standard_normal(400)
    found = reduce(X, y)
    assert found.is_noisy
    assert found.reductions[0].says() == "y/x1 depends on x2 - x3 only"


def test_without_a_form_there_are_no_reductions() -> None:
    found = reduce(*_table(lambda a, b, c: np.sin(a + b * c) + np.exp(a / b) / (1 + c**2)))
    assert found.reductions == ()
    assert "no form" in found.why


BAD: dict[str, tuple[np.ndarray, np.ndarray, str]] = {
    "few rows": (RANDOM.random((5, 2)), RANDOM.random(5), "5 rows are too few"),
    "y is constant": (RANDOM.random((50, 2)), np.ones(50), "y is constant"),
    "all inputs are constant": (np.ones((50, 2)), RANDOM.random(50), "all inputs are constant"),
    "no numbers": (np.full((50, 2), np.nan), RANDOM.random(50), "not all data are finite"),
    "huge numbers": (1e300 * RANDOM.random((50, 2)), RANDOM.random(50), "too large"),
    "an outlier": (RANDOM.random((80, 2)), np.r_[1e12, RANDOM.random(79)], "no smooth model"),
    "tiny numbers": (1e-300 * RANDOM.random((50, 2)), RANDOM.random(50), "too small"),
    "noise alone": (RANDOM.random((80, 2)), RANDOM.standard_normal(80), "no smooth model"),
}


@pytest.mark.parametrize("name", BAD)
def test_where_nothing_can_be_said_a_sentence_says_why(name: str) -> None:
    X, y, text = BAD[name]
    found = reduce(X, y)
    assert found.reductions == ()
    assert text in found.why


@pytest.mark.parametrize("scale", [1e140, 1e-140])
def test_squares_that_are_no_numbers_say_nothing(scale: float) -> None:
    X, y = _table(lambda a, b, c: a * np.sin(b - c))
    assert reduce(scale * X, scale * y).why


@pytest.mark.parametrize(
    ("X", "y", "options", "text"),
    [
        (np.ones(9), np.ones(9), {}, "X: shape (9,); expected rows and inputs, (N, D)."),
        (np.ones((9, 2)), np.ones(8), {}, "y: shape (8,); expected (9,), as X has."),
        (np.ones((9, 2)), np.ones((9, 2)), {}, "y: shape (9, 2)"),
        (np.ones((9, 2)), np.ones(9), {"names": ["a"]}, "names: 1 for 2 inputs."),
        (np.ones((9, 2)), np.ones(9), {"weights": np.ones(3)}, "weights: shape (3,)"),
    ],
)
def test_shapes_go_together(X: np.ndarray, y: np.ndarray, options: dict, text: str) -> None:
    with pytest.raises(UserError) as error:
        reduce(X, y, **options)
    assert text in str(error.value)


def test_a_small_budget_is_not_spent_on_models() -> None:
    X, y = _table(lambda a, b, c: a * b * c)
    found = reduce(X, y, max_models=0)
    assert "budget" in found.why
    assert found.n_evaluations == 0


def test_constant_and_equal_columns_are_left_out() -> None:
    X, y = _table(lambda a, b, c: np.sin(a) * b)
    table = np.column_stack([X[:, :2], np.full(120, 7.0), X[:, 0]])
    reduction = reduce(table, y, ["a", "b", "k", "a2"]).reductions[0]
    assert reduction.used_inputs == [0, 1]
    assert [step.text for step in reduction.steps[:2]] == ["k is constant", "a2 equals a"]
    assert [r.says() for r in reduce(table[:5], y[:5], ["a", "b", "k", "a2"]).reductions] == [
        "y depends on a and b only"
    ]
    assert distinct_inputs(table) == ([0, 1], ["{2} is constant", "{3} equals {0}"])


def test_of_many_inputs_those_that_matter_are_found() -> None:
    X = np.random.default_rng(2).uniform(1.0, 2.0, (100, 300))
    y = X[:, 17] * np.exp(X[:, 201])
    chosen = strongest_inputs(X, y)
    assert len(chosen) == 30
    assert {17, 201} <= set(chosen.tolist())


def test_rows_are_spread_out() -> None:
    X = np.concatenate([np.random.default_rng(3).normal(0, 0.01, (2000, 2)), [[5, 5], [-5, 5]]])
    rows = spread_out(X, 40, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 40
    assert {2000, 2001} <= set(rows.tolist())


@pytest.mark.parametrize("kind", ["both signs", "whole numbers"])
def test_data_of_other_kinds(kind: str) -> None:
    random = np.random.default_rng(4)
    X = (
        random.uniform(-2, 2, (120, 2))
        if kind == "both signs"
        else random.integers(1, 40, (120, 2))
    )
    found = reduce(X, X[:, 0] * np.cos(X[:, 1] / 10))
    assert found.reductions[0].says() == "y/x1 depends on x2 only"


@pytest.mark.slow
def test_a_term_is_found_where_gradients_are_rough() -> None:
    random = np.random.default_rng(0)
    m, c, p, q, a, v = X = random.uniform(1.0, 5.0, (6, 1000))
    y = np.sqrt((p - q * a) ** 2 * c**2 + m**2 * c**4) + q * v
    found = reduce(X.T, y, ["m", "c", "p", "q", "A", "V"])
    assert found.reductions[0].target_text().startswith("(y - q*V)/")
