"""A batch that time cuts is scored as far as time allowed, and the rest later."""

from itertools import repeat

import numpy as np
import pytest
from joblib import parallel_config

from dso.evaluation import Evaluator
from dso.fitting.constants import ConstantFitter
from dso.library import Library, create_tokens
from dso.pacing import parts
from dso.program import FitData, Program, ProgramBatch
from dso.program.batch import Batch, ScoredBatch
from dso.task import Task
from dso.task.task import Rewards, heeds_time
from tests.reference import random_programs

LIBRARY = Library(create_tokens(2, ["add", "mul", "sin", "const"]))
PLAIN = Library(create_tokens(2, ["add", "mul", "sin"]))
X = np.random.default_rng(0).uniform(-1, 1, (20, 2))


class ByRow(Task):
    """Rewards one program after the other."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        self.asked.append(program.batch.tokens.tobytes())
        return -float(np.mean((program.execute(X) - X[:, 0]) ** 2))

    def evaluate(self, program: Program) -> dict:
        return {}


class InTime(ByRow):
    """Rewards batches, and looks at the clock."""

    def rewards(self, programs: ProgramBatch) -> Rewards:
        raise AssertionError("the other one is asked")

    def rewards_in_time(self, programs, is_over) -> Rewards:
        values = []
        for part in parts(len(programs), is_over, first=1):
            for b in range(*part.indices(len(programs))):
                program = Program(PLAIN, programs.row(b), programs.constants[b])
                values.append(self.reward_function(program))
        n = len(values)
        return Rewards(np.array(values), np.zeros(n, "u1"), np.full(n, -1, "i4"))


class Anew(ByRow):
    stochastic = True


class Derived(InTime):
    def rewards(self, programs: ProgramBatch) -> Rewards:
        return super().rewards_in_time(programs, lambda: False)


def after(n_calls: int):
    """Return a clock that is over once it was looked at this often."""
    looks = repeat(False, n_calls)
    return lambda: next(looks, True)


def repeated(library: Library, n: int = 60) -> Batch:
    programs = random_programs(library, n, np.random.default_rng(1), max_length=9)
    rows = np.random.default_rng(2).integers(0, n, 2 * n)
    return Batch(programs[rows], np.ones(2 * n, dtype=bool))


def cut(evaluator: Evaluator, batch: Batch, n_calls: int) -> ScoredBatch:
    return evaluator.evaluate(batch, 0, is_over=after(n_calls))


@pytest.mark.parametrize("kind", [ByRow, InTime, Anew])
@pytest.mark.parametrize("n_calls", [0, 1, 10**9])
def test_what_is_scored_in_time_is_the_first_part_of_the_whole(kind, n_calls) -> None:
    batch, task = repeated(PLAIN), kind()
    whole = Evaluator(ByRow(), PLAIN).evaluate(batch, 0)
    evaluator = Evaluator(task, PLAIN)
    some = cut(evaluator, batch, n_calls)
    n = len(some)
    assert n == len(batch) if n_calls == 10**9 else 0 < n < len(batch)
    np.testing.assert_array_equal(some.rewards, whole.rewards[:n])
    np.testing.assert_array_equal(some.programs.tokens, whole.programs.tokens[:n])
    if kind is Anew:
        return
    np.testing.assert_array_equal(some.is_new, whole.is_new[:n])
    np.testing.assert_array_equal(some.is_evaluated, whole.is_evaluated[:n])
    rest = cut(evaluator, batch, 10**9)
    np.testing.assert_array_equal(rest.rewards, whole.rewards)
    assert sorted(task.asked) == sorted(set(task.asked))  # nothing is scored twice
    assert evaluator.counts(some.programs.keys())[0].sum() > 0


@pytest.mark.parametrize("n_calls", [0, 1])
def test_constants_are_fitted_for_what_is_reached(n_calls) -> None:
    task = ByRow()
    task.fit_data = FitData(LIBRARY, X.T, np.sin(1.5 * X[:, 0]))
    task.is_least_squares, task.library = True, LIBRARY
    batch = repeated(LIBRARY, 300)
    fitter = ConstantFitter(task)
    whole = Evaluator(task, LIBRARY, fitter=fitter).evaluate(batch, 0)
    some = cut(Evaluator(task, LIBRARY, fitter=fitter), batch, n_calls)
    assert 0 < len(some) < len(batch)
    np.testing.assert_array_equal(some.rewards, whole.rewards[: len(some)])
    width = some.programs.constants.shape[1]
    np.testing.assert_array_equal(
        some.programs.constants, whole.programs.constants[: len(some), :width]
    )


def test_an_override_of_rewards_alone_decides() -> None:
    assert heeds_time(InTime())
    assert not heeds_time(Derived())
    assert len(cut(Evaluator(Derived(), PLAIN), repeated(PLAIN), 0)) == 120


def test_workers_stop_in_time() -> None:
    batch = repeated(PLAIN, 20)
    whole = Evaluator(ByRow(), PLAIN).evaluate(batch, 0)
    with parallel_config(backend="threading"):
        some = cut(Evaluator(ByRow(), PLAIN, n_workers=2), batch, 1)
    assert 0 < len(some) < len(batch)
    np.testing.assert_array_equal(some.rewards, whole.rewards[: len(some)])
