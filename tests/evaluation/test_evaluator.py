"""The evaluator: every program is scored once, for every kind of answer of the task."""

import numpy as np
import pytest
from joblib import parallel_config

from dso.errors import UserError
from dso.evaluation import Evaluator
from dso.library import Library, create_tokens
from dso.program import Program, ProgramBatch, mean_squared_error
from dso.program.batch import Batch
from dso.task import Task
from dso.task.task import Rewards
from tests.reference import random_programs

LIBRARY = Library(create_tokens(2, ["add", "mul", "div", "sin", "log", "const"]))
X = np.random.default_rng(0).uniform(-1, 1, (2, 20))


class BatchTask(Task):
    """Rewards whole batches, and counts what it was asked."""

    invalid_reward = -9.0
    n_asked = 0

    def rewards(self, programs: ProgramBatch) -> Rewards:
        self.n_asked += len(programs)
        mse, cause, node = mean_squared_error(LIBRARY, programs, X, X[0])
        values = np.where(cause == 0, -np.minimum(mse, 5), self.invalid_reward)
        return Rewards(values, cause, node)

    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        return float(self.rewards(program.batch).values[0])

    def evaluate(self, program: Program) -> dict:
        return {}


class RowTask(Task):
    """Rewards one program at a time, as a user writes it."""

    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        if len(program) == 2:
            return float("nan")
        return -float(np.mean((program.execute(X.T) - X[0]) ** 2))

    def evaluate(self, program: Program) -> dict:
        return {"length": len(program)}


def batch(*texts: str) -> ProgramBatch:
    return ProgramBatch.from_rows([LIBRARY.actionize(text) for text in texts])


def on(programs: ProgramBatch) -> np.ndarray:
    return np.ones(len(programs), dtype=bool)


def test_novel_programs_are_those_never_evaluated_even_if_the_cache_forgot_them() -> None:
    evaluator = Evaluator(BatchTask(), LIBRARY, remember_keys=True)
    first = batch("x1", "sin,x1", "x1")
    assert len(evaluator.novel_keys(first)) == 2
    evaluator.evaluate(Batch(first, on(first)), 0)
    evaluator.clear()
    second = batch("x1", "x2", "log,x1", "x2")
    assert len(evaluator.novel_keys(second)) == 2
    restored = Evaluator(BatchTask(), LIBRARY, remember_keys=True)
    restored.load_state_dict(evaluator.state_dict())
    assert len(restored.novel_keys(batch("x1", "sin,x1", "x2"))) == 1


def test_a_stochastic_task_remembers_keys_too() -> None:
    task = BatchTask()
    task.stochastic = True
    evaluator = Evaluator(task, LIBRARY, remember_keys=True)
    evaluator.evaluate(Batch(batch("x1"), on(batch("x1"))), 0)
    assert len(evaluator.novel_keys(batch("x1", "x2"))) == 1


def test_known_and_repeated_rows_are_scored_once() -> None:
    task = BatchTask()
    evaluator = Evaluator(task, LIBRARY)
    programs = batch("x1", "sin,x1", "x1", "log,x1", "sin,x1")
    scores = evaluator.evaluate(Batch(programs, on(programs)), 0)
    assert scores.is_new.tolist() == [True, True, False, True, False]
    assert (scores.n_evaluated, task.n_asked, evaluator.n_cached) == (3, 3, 3)
    np.testing.assert_array_equal(scores.rewards[[0, 1]], scores.rewards[[2, 4]])
    assert scores.rewards[0] == 0
    assert scores.cause.tolist() == [0, 0, 0, 3, 0]
    assert scores.node.tolist() == [-1, -1, -1, 0, -1]
    assert scores.operators.tolist() == [-1, -1, -1, LIBRARY.index("log"), -1]
    assert scores.rewards[3] == -9

    more = batch("sin,x1", "add,x1,x2", "log,x1")
    again = evaluator.evaluate(Batch(more, np.array([False, True, True])), 1)
    assert again.is_new.tolist() == [False, True, False]
    assert again.operators.tolist() == [-1, -1, LIBRARY.index("log")]
    assert again.rewards[0] == scores.rewards[1]
    assert again.n_evaluated == 1
    on_policy, off_policy = evaluator.counts(batch("sin,x1", "x1", "mul,x1,x1").keys())
    assert on_policy.tolist() == [2, 2, 0]
    assert off_policy.tolist() == [1, 0, 0]


def test_cache_bound_changes_counters_only() -> None:
    small, large = (Evaluator(BatchTask(), LIBRARY, n) for n in (1, 2**24))
    generator = np.random.default_rng(1)
    for iteration in range(12):
        programs = random_programs(LIBRARY, 300, generator, max_length=9)
        one, other = (e.evaluate(Batch(programs, on(programs)), iteration) for e in (small, large))
        np.testing.assert_array_equal(one.rewards, other.rewards)
        np.testing.assert_array_equal(one.cause, other.cause)
        np.testing.assert_array_equal(one.node, other.node)
    assert small.n_cached < large.n_cached


def test_numbers_belong_to_the_identity() -> None:
    evaluator = Evaluator(BatchTask(), LIBRARY)
    tokens = batch(*["add,const,mul,const,x1"] * 4)
    constants = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, np.nan], [np.nan, 1.0]])
    programs = ProgramBatch(tokens.tokens, tokens.lengths, constants)
    scores = evaluator.evaluate(Batch(programs, on(programs)), 0)
    assert scores.is_new.all()
    assert scores.rewards[0] != scores.rewards[1]
    assert scores.rewards[2] == scores.rewards[3]  # unset numbers stand at 1
    np.testing.assert_array_equal(scores.programs.constants, np.nan_to_num(constants, nan=1.0))


def check_row_task(n_workers: int) -> None:
    evaluator = Evaluator(RowTask(), LIBRARY, n_workers=n_workers)
    programs = batch("x1", "x2", "sin,x1", "add,x1,x2", "add,x1,log,x1")
    scores = evaluator.evaluate(Batch(programs, on(programs)), 0)
    expected = [0, -np.mean((X[1] - X[0]) ** 2), -np.mean(X[1] ** 2)]
    np.testing.assert_allclose(scores.rewards[[0, 1, 3]], expected)
    assert scores.cause.tolist() == [0, 0, 3, 0, 3]  # NaN is not a reward
    assert scores.node.tolist() == [-1, -1, -1, -1, 2]
    assert (scores.rewards[[2, 4]] == scores.rewards.min()).all()
    assert np.isfinite(scores.rewards).all()


def test_tasks_written_for_one_program() -> None:
    check_row_task(n_workers=1)


def test_rows_are_shared_among_workers() -> None:
    with parallel_config(backend="threading"):
        check_row_task(n_workers=2)
        check_row_task(n_workers=9)


@pytest.mark.slow
def test_rows_are_shared_among_processes() -> None:
    check_row_task(n_workers=2)


def test_stochastic_tasks_are_asked_every_time() -> None:
    task = BatchTask()
    task.stochastic = True
    evaluator = Evaluator(task, LIBRARY)
    programs = batch("x1", "x1")
    for iteration in range(2):
        scores = evaluator.evaluate(Batch(programs, on(programs)), iteration)
        assert scores.is_new.all()
    assert (task.n_asked, evaluator.n_cached) == (4, 0)


class WordTask(RowTask):
    """Rewards with a word."""

    def reward_function(self, program, optimizing=False):
        return "good"


def test_reward_that_is_not_a_number() -> None:
    with pytest.raises(UserError, match="returned 'good'"):
        Evaluator(WordTask(), LIBRARY).evaluate(Batch(batch("x1"), np.ones(1, bool)), 0)


def test_program_asks_the_evaluator() -> None:
    evaluator = Evaluator(RowTask(), LIBRARY)
    program = Program(LIBRARY, LIBRARY.actionize("add,x1,x2"), scorer=evaluator)
    assert program.r == pytest.approx(-np.mean(X[1] ** 2))
    assert program.evaluate == {"length": 3}
    assert evaluator.counts(program.batch.keys())[0].tolist() == [0]


def test_state_is_restored() -> None:
    evaluator = Evaluator(BatchTask(), LIBRARY)
    programs = random_programs(LIBRARY, 200, np.random.default_rng(2))
    first = evaluator.evaluate(Batch(programs, on(programs)), 3)
    copy = Evaluator(BatchTask(), LIBRARY)
    copy.load_state_dict(evaluator.state_dict())
    again = copy.evaluate(Batch(programs, on(programs)), 4)
    assert again.n_evaluated == 0
    np.testing.assert_array_equal(again.rewards, first.rewards)
    np.testing.assert_array_equal(again.node, first.node)
    keys = programs.keys()
    assert (copy.counts(keys)[0] == 2 * evaluator.counts(keys)[0]).all()
