"""What is the same up to a factor or an offset is found, and only that."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.prior import make_joint_prior
from dso.program import FitData, execute
from dso.semantic import SemanticLimits, SemanticSearch, ValueLibrary
from dso.semantic.budget import Budget
from dso.semantic.key_rows import choose_key_rows
from dso.semantic.problem import Problem
from dso.semantic.strategies import Strategy
from dso.semantic.strategies.joins import make_joins
from dso.semantic.strategies.scaled import ScaledSearch, ShiftedSearch
from tests.support.function_sets import KOZA

LIBRARY = Library(create_tokens(2, [*KOZA, "sqrt", "const"]))
PRIOR = make_joint_prior({"const": {"on": True}}, LIBRARY, max_length=40)
N_ENTRIES = 100


def normal(values: np.ndarray, is_scale: bool) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values / values[..., :1] if is_scale else values - values[..., :1]


def has_pair(columns: np.ndarray, y: np.ndarray, is_scale: bool) -> bool:
    """Tell whether y is an entry, or a product or quotient (sum or difference) of two, up to a
    number: the slow way.
    """
    s, t = columns[:, None], columns[None, :]
    with np.errstate(all="ignore"):
        pairs = [s * t, s / t] if is_scale else [s + t, s - t]
    table = np.concatenate([columns, *(pair.reshape(-1, len(y)) for pair in pairs)])
    wanted = normal(y, is_scale)
    found = np.abs(normal(table, is_scale) - wanted) <= 1e-9 * np.abs(wanted).max()
    return bool(found.all(axis=1).any())


def searched(kind: type[Strategy], X: np.ndarray, y: np.ndarray, max_contexts: int) -> tuple:
    """Run one strategy with a small library; return programs, entries' values and the problem."""
    problem = Problem.of(PRIOR, FitData.of_rows(LIBRARY, X, y), seed=0, max_programs=20)
    rows = choose_key_rows(problem.data.columns, y, np.random.default_rng(0))
    values = ValueLibrary(LIBRARY, PRIOR, problem.data.columns, rows, max_entries=N_ENTRIES)
    budget = Budget.of(SemanticLimits(max_lookups=300_000))
    joins = make_joins(problem, values, budget, max_contexts=max_contexts)
    found = kind(problem).run(values, joins, budget)
    entries = values.programs(np.arange(len(values)))
    columns, cause, _ = execute(LIBRARY, entries, problem.data.columns)
    return found, columns[cause == 0]


def is_found(programs, X: np.ndarray, y: np.ndarray) -> bool:
    if not len(programs):
        return False
    values, cause, _ = execute(LIBRARY, programs[:1], np.ascontiguousarray(X.T))
    return bool(cause[0] == 0 and np.abs(values[0] - y).max() <= 1e-8 * np.abs(y).max())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans(), st.booleans())
def test_pairs_are_found_where_the_slow_way_finds_them(
    seed: int, is_scale: bool, is_hidden: bool, is_inverse: bool
) -> None:
    generator = np.random.default_rng(seed)
    X = generator.uniform(0.4, 2.5, (30, 2))
    _, columns = searched(ScaledSearch, X, X[:, 0], 1)
    i, j = generator.integers(0, len(columns), 2)
    s, t = columns[i], 1 / columns[j] if is_inverse and is_scale else columns[j]
    number = generator.uniform(1.5, 9) * generator.choice([-1, 1])
    y = number * s * t if is_scale else number + (s - t if is_inverse else s + t)
    if not is_hidden:
        y = y * generator.uniform(0.5, 2, len(y))
    if not np.isfinite(y).all() or np.ptp(y) < 1e-6 * np.abs(y).max():
        return
    found, columns = searched(ScaledSearch if is_scale else ShiftedSearch, X, y, 1)
    assert is_found(found, X, y) == has_pair(columns, y, is_scale) == is_hidden


TARGETS = {
    "quotient": lambda a, b: 1.7 * (a + b) / (1 + a * b),
    "through a root": lambda a, b: 0.23 * np.sqrt((a + np.sin(b)) / (1 + b * b)),
    "through an exponential": lambda a, b: -3.1 * a * np.exp(b * b - np.sin(a)) / (a + b),
    "with a number inside": lambda a, b: 2.9 * (a + b) * np.exp(-0.37 * a * b),
    "offset": lambda a, b: 1.7 + np.sin(a * b) - a * np.exp(b),
    "offset, through a logarithm": lambda a, b: np.log((a + b) / (1 + a * b)) - 0.77,
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_number_in_front_is_seen_through(target) -> None:
    generator = np.random.default_rng(1)
    X, fresh = (generator.uniform(0.4, 2.5, (n, 2)) for n in (60, 300))
    result = SemanticSearch(
        PRIOR,
        FitData.of_rows(LIBRARY, X, target(*X.T)),
        limits=SemanticLimits(max_entries=5000, max_lookups=2_000_000),
        strategies=(ScaledSearch, ShiftedSearch),
    ).run()
    assert is_found(result.programs, fresh, target(*fresh.T))
    assert result.programs.lengths[0] <= 22
