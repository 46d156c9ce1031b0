"""Pairs up to scale and offset: those that the slow way finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.prior import make_joint_prior
from dso.program import FitData, execute
from dso.semantic import SemanticLimits, ValueLibrary
from dso.semantic.budget import Budget
from dso.semantic.problem import Problem
from dso.semantic.strategies.affine import affine_keys
from dso.semantic.strategies.affine_pairs import AffinePairSearch
from dso.semantic.strategies.joins import make_joins
from tests.support.function_sets import KOZA

LIBRARY = Library(create_tokens(2, [*KOZA, "const"]))
PRIOR = make_joint_prior({"const": {"on": True}}, LIBRARY, max_length=40)
ROWS = np.arange(4)
OUTSIDE = {
    "itself": (lambda w: w, lambda y: y),
    "exp": (np.exp, np.log),
    "inverse": (lambda w: 1 / w, lambda y: 1 / y),
}


def pairs(values: np.ndarray) -> np.ndarray:
    """Return all sums, differences, products and quotients of rows, one after the other."""
    s, t = values[:, None], values[None, :]
    with np.errstate(all="ignore"):
        return np.concatenate([p.reshape(-1, 4) for p in (s * t, s / t, s + t, s - t)])


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["mul", "div", "add", "sub"]),
    st.sampled_from(list(OUTSIDE)),
    st.booleans(),
)
def test_pairs_are_those_of_the_slow_way(seed: int, name: str, outside: str, hidden: bool) -> None:
    generator = np.random.default_rng(seed)
    X = generator.uniform(0.4, 2.5, (40, 2))
    columns = np.ascontiguousarray(X.T)
    values = ValueLibrary(LIBRARY, PRIOR, columns, ROWS, max_entries=60)
    table = execute(LIBRARY, values.programs(np.arange(len(values))), columns).values
    s, t = table[generator.integers(0, len(table), 2)]
    a, k = generator.uniform(0.3, 2, 2)
    forward, backward = OUTSIDE[outside]
    with np.errstate(all="ignore"):
        inner = {"mul": s * t, "div": s / t, "add": s + t, "sub": s - t}[name]
        y = forward(a + k * inner)
        if not hidden:
            y = y * generator.uniform(0.5, 2, len(y))
        wanted = affine_keys(backward(y[None, :4]))
    if not np.isfinite(y).all() or np.ptp(y) < 1e-3 * np.abs(y).max() or np.abs(y).max() > 1e6:
        return
    if not np.isfinite(wanted).all() or not (np.abs(wanted) > 0.01).all() or wanted.max() > 100:
        return
    known = affine_keys(pairs(table[:, :4]))
    is_there = (np.abs(known - wanted) <= 1e-9 * np.maximum(np.abs(wanted), 1)).all(axis=1).any()
    problem = Problem.of(PRIOR, FitData.of_rows(LIBRARY, X, y), seed=0, max_programs=20)
    budget = Budget.of(SemanticLimits())
    joins = make_joins(problem, values, budget, max_contexts=50)
    n_before = budget.n_lookups
    found = AffinePairSearch(problem).run(values, joins, budget)
    assert n_before < budget.n_lookups <= 5 * 61 * 60 / 2
    assert is_there == hidden
    if hidden:
        prediction, cause, _ = execute(LIBRARY, found[:1], columns)
        assert cause[0] == 0
        assert np.abs(prediction[0] - y).max() <= 1e-8 * np.abs(y).max()
