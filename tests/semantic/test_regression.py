"""Regression by correlations, compared with least squares of every set of columns."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.semantic.ranking import COST_WEIGHT
from dso.semantic.regression import Regression


def solved(columns: np.ndarray, weights: np.ndarray, target: np.ndarray) -> tuple[float, list]:
    """Return the share of the variance that is left, and offset and coefficients."""
    roots = np.sqrt(weights)
    table = np.vstack([np.ones(len(target)), columns]).T
    found = np.linalg.lstsq(roots[:, None] * table, roots * target, rcond=None)[0]
    error = np.sum(weights * (target - table @ found) ** 2)
    mean = np.average(target, weights=weights)
    return error / np.sum(weights * (target - mean) ** 2), found.tolist()


def best_by_loops(columns, costs, weights, target, size: int) -> list[tuple[float, tuple, list]]:
    """Return score, columns and coefficients of all sets of a size, the best first."""
    n_rows = len(target)
    sets = []
    for chosen in combinations(range(len(columns)), size):
        left, coefficients = solved(columns[list(chosen)], weights, target)
        score = n_rows * np.log(left) + (size + 1) * np.log(n_rows)
        sets.append((score + COST_WEIGHT * costs[list(chosen)].sum(), chosen, coefficients))
    return sorted(sets)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 7))
def test_the_best_sets_are_those_of_least_squares(seed: int, n_columns: int) -> None:
    generator = np.random.default_rng(seed)
    n_rows = int(generator.integers(8, 40))
    columns = generator.normal(3, 1, (n_columns, n_rows)) * 10 ** generator.uniform(-3, 3)
    weights = generator.uniform(0.1, 2, n_rows)
    costs = generator.integers(1, 6, n_columns)
    mixed = generator.normal(size=n_columns) / columns.std(axis=1)
    target = mixed @ columns + generator.normal(2, 0.3, n_rows)
    found = Regression(columns, costs, weights).best(target, n_kept=2, n_extended=100)
    expected = [
        one
        for size in (1, 2, 3)
        for one in best_by_loops(columns, costs, weights, target, size)[:2]
    ]
    assert [one.columns for one in found] == [chosen for _, chosen, _ in expected]
    for one, (score, _, coefficients) in zip(found, expected, strict=True):
        assert one.score == pytest.approx(score, abs=1e-6)
        assert one.coefficients == pytest.approx(coefficients, rel=1e-6)


def test_a_column_that_rounding_has_left_explains_nothing() -> None:
    x, target = np.random.default_rng(0).normal(size=(2, 30))
    columns = np.stack([x, 1e8 + 1e-6 * target])
    found = Regression(columns, np.ones(2, int), np.ones(30)).best(target, n_kept=1)
    assert found[0].columns == (0,)


@pytest.mark.parametrize("seed", range(10))
def test_a_column_adds_nothing_to_one_that_it_depends_on(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, other = generator.normal(size=(2, 30))
    target = x + 0.1 * other + 0.01 * generator.normal(size=30)
    columns = np.stack([x, 3 * x + 1, -0.7 * x, other])
    found = Regression(columns, np.ones(4, int), np.ones(30)).best(target, n_kept=1, n_extended=9)
    assert [3 in one.columns for one in found[:2]] == [False, True]


def test_what_does_not_vary_is_not_explained() -> None:
    columns = np.random.default_rng(0).normal(size=(4, 10))
    regression = Regression(columns, np.ones(4, int), np.ones(10))
    assert regression.best(np.full(10, 3.0), n_kept=3) == []
    assert regression.n_scored == 0
