"""Weights and repeated rows are the same data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.regressor.rows import CanonicalRows


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 1), st.integers(0, 3)), min_size=1))
def test_weights_are_repetitions(table: list[tuple[int, int, int]]) -> None:
    X, y, weights = (np.array(column, dtype=float) for column in zip(*table, strict=True))
    if not weights.any():
        return
    weighted = CanonicalRows.of(X[:, None], y, weights)
    order = np.random.default_rng(len(y)).permutation(int(weights.sum()))
    repeated = [np.repeat(values, weights.astype(int))[order] for values in (X, y)]
    same = CanonicalRows.of(repeated[0][:, None], repeated[1], None)
    assert weighted.same_as(same)
    if weighted.weights is not None:
        assert weighted.weights.mean() == pytest.approx(1.0)
    assert same.n_observations == weights.sum()


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=20),
    st.sampled_from([2.5, 1 / 3, 1e-200, 1e200, np.pi]),
)
def test_a_factor_of_all_weights_changes_no_bit(weights: list[float], factor: float) -> None:
    y = np.arange(float(len(weights)))
    rows = [CanonicalRows.of(y[:, None], y, np.array(weights) * k) for k in (1.0, factor)]
    assert rows[0].same_as(rows[1])
    if rows[0].weights is not None:
        np.testing.assert_allclose(rows[0].weights, weights / np.mean(weights), rtol=1e-9)


def test_equal_weights_are_none() -> None:
    X, y = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0, 3.0])
    rows = CanonicalRows.of(X[::-1], y[::-1], np.full(3, 2.5))
    assert rows.weights is None
    np.testing.assert_array_equal(rows.X, X)
    assert not rows.is_constant
    assert CanonicalRows.of(X, np.ones(3), None).is_constant
    assert not rows.same_as(CanonicalRows.of(X, y, np.array([1.0, 1, 2])))
