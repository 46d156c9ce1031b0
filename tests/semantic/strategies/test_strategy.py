"""What the search asks of a strategy: it is run in its turn, with a part of the budget."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.native import _core
from dso.prior import make_joint_prior
from dso.program import FitData, ProgramBatch
from dso.semantic import SemanticLimits, SemanticResult, SemanticSearch, ValueLibrary
from dso.semantic.budget import Budget
from dso.semantic.strategies import Strategy, Turn
from tests.support.function_sets import KOZA

LARGE = 100_000
"""Entries with which there is a small library before."""


def watching(when: Turn, answer: list[list[str]], short: bool = False) -> type[Strategy]:
    """Return a strategy that answers with given programs, and remembers how it was run."""

    @dataclass(frozen=True)
    class Watching(Strategy):
        turn: ClassVar[Turn] = when
        shortens: ClassVar[bool] = short
        runs: ClassVar[list[tuple[int, int]]] = []

        def run(
            self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
        ) -> ProgramBatch:
            self.runs.append((len(values), budget.lookups_left))
            budget.count(vectors=7, lookups=3)
            index = self.problem.library.index
            return ProgramBatch.from_rows([[index(name) for name in row] for row in answer])

    return Watching


def search(max_entries: int, *strategies: type[Strategy]) -> SemanticResult:
    X = np.random.default_rng(0).uniform(0.3, 2, (30, 1))
    library = Library(create_tokens(1, KOZA))
    return SemanticSearch(
        make_joint_prior({}, library, max_length=30),
        FitData.of_rows(library, X, np.sin(X[:, 0])),
        limits=SemanticLimits(max_entries=max_entries, max_lookups=2_000_000),
        strategies=strategies,
    ).run()


@pytest.mark.parametrize(
    ("turn", "n_runs"), [(Turn.FIRST, 1), (Turn.LATER, 1), (Turn.EACH, 2), (Turn.LAST, 1)]
)
def test_it_is_run_in_its_turn(turn: Turn, n_runs: int) -> None:
    near = watching(turn, [["cos", "x1"]])
    result = search(LARGE, near)
    sizes = [n_entries for n_entries, _ in near.runs]
    assert len(sizes) == n_runs
    assert (min(sizes) < LARGE) == (turn in {Turn.FIRST, Turn.EACH})
    assert (max(sizes) == LARGE) == (turn is not Turn.FIRST)
    assert not result.is_exact.any()
    assert len(result.programs) == 1


def test_what_it_finds_is_judged_and_what_it_spends_is_counted() -> None:
    exact = watching(Turn.EACH, [["cos", "x1"], ["sin", "x1"]])
    result = search(50, exact)
    assert result.is_exact.tolist() == [True, False]
    assert result.stopped_by == "exact"
    assert result.n_lookups == 3
    assert result.n_vectors == search(50).n_vectors + 7


def test_after_something_exact_only_what_shortens_is_run() -> None:
    exact = watching(Turn.FIRST, [["sin", "x1"]])
    others = [watching(Turn.EACH, [], short) for short in (False, True)]
    search(LARGE, exact, *others)
    assert [len(other.runs) for other in others] == [0, 1]
    assert others[1].runs[0][1] < exact.runs[0][1]


def test_look_ups_leave_what_others_reserve() -> None:
    greedy = watching(Turn.EACH, [])

    class Reserving(watching(Turn.LAST, [])):  # type: ignore[misc]
        @classmethod
        def reserve(cls, n_evaluations: int) -> int:
            return n_evaluations - 1000

    search(50, greedy, Reserving)
    assert greedy.runs[0][1] == 1000
