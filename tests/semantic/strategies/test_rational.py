"""Quotients of polynomials with whole coefficients: found where they are, and only there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.prior import make_joint_prior
from dso.program import FitData
from dso.semantic import SemanticLimits, SemanticResult, SemanticSearch
from dso.semantic.strategies.rational import RationalSearch
from tests.support.function_sets import KOZA


def search(X: np.ndarray, y: np.ndarray) -> SemanticResult:
    library = Library(create_tokens(X.shape[1], KOZA))
    prior = make_joint_prior({}, library, max_length=100)
    return SemanticSearch(
        prior,
        FitData.of_rows(library, X, y),
        limits=SemanticLimits(max_entries=10),
        strategies=(RationalSearch,),
    ).run()


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(-4, 4), min_size=3, max_size=3),
    st.lists(st.integers(1, 4), min_size=2, max_size=2),
)
def test_whole_coefficients_are_found(seed: int, top: list[int], bottom: list[int]) -> None:
    X = np.random.default_rng(seed).uniform(0.3, 2, (60, 2))
    x, z = X.T
    y = (top[0] + top[1] * x * z + top[2] * z**2 + x) / (bottom[0] + bottom[1] * x)
    if np.ptp(y) < 1e-3:
        return
    result = search(X, y)
    assert result.is_exact.tolist() == [True]


@pytest.mark.parametrize("target", [np.sqrt, np.exp, lambda x: np.pi * x, lambda x: 0 * x + 3])
def test_what_is_not_such_a_quotient_is_not_found(target) -> None:
    X = np.random.default_rng(0).uniform(0.3, 2, (60, 1))
    assert len(search(X, target(X[:, 0])).programs) == 0
