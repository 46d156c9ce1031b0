"""The trainer, on a policy and an evaluator small enough to foresee."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.memory import Keeper, PriorityQueue, complexity_measure
from dso.policy_optimizer import Baseline, Learner, RiskFilter
from dso.program.batch import Batch
from dso.program.program_batch import ProgramBatch
from dso.training.sources import PolicySource
from dso.training.statistics import COLUMNS, TrainStats
from dso.training.stopping import DeadEndWatch
from dso.training.trainer import Trainer
from tests.reference_memory import rows_of
from tests.support.scored import scored_batch

LIBRARY = Library(create_tokens(1, ["add", "exp", "log"]))
ADD, EXP, LOG, X1 = (LIBRARY.names.index(name) for name in ("add", "exp", "log", "x1"))
REWARDS = {(X1,): 0.1, (EXP, X1): 0.5, (ADD, X1, X1): 0.5, (LOG, X1): 0.9}


class TableEvaluator:
    """Rewards from a table; every log is invalid."""

    def __init__(self):
        self.seen = set()

    def novel_keys(self, programs):
        return {tuple(programs.row(i).tolist()) for i in range(len(programs))} - self.seen

    def evaluate(self, batch, iteration, is_over=None):
        programs = batch.programs
        rows = [tuple(programs.row(i).tolist()) for i in range(len(programs))]
        self.seen.update(rows)
        is_log = np.array([row[0] == LOG for row in rows])
        scored = scored_batch(
            programs,
            [REWARDS[row] for row in rows],
            cause=np.where(is_log, 3, 0),
            operators=np.where(is_log, LOG, -1),
            withdrawn=batch.withdrawn,
        )
        return replace(scored, on_policy=batch.on_policy)


@dataclass
class ListPolicy:
    """Draws one list of rows after the other, and repeats the last one."""

    batches: list
    withdrawn: int = 0
    streams: list = field(default_factory=list)
    asked: list = field(default_factory=list)

    @property
    def prior(self):
        return self

    def allowed(self, programs):
        """Tell which programs do not begin with add."""
        return programs.tokens[:, 0] != ADD

    def sample(self, n, stream):
        self.streams.append(stream)
        self.asked.append(n)
        rows = self.batches[min(len(self.streams), len(self.batches)) - 1]
        return batch_of(rows, self.withdrawn)


class NoOptimizer:
    def __init__(self):
        self.calls = []

    def step(self, batch, baseline, queue):
        self.calls.append((batch, baseline, queue))
        return {"n_steps": len(self.calls)}


def batch_of(rows, withdrawn=0):
    programs = ProgramBatch.from_rows(rows)
    return Batch(programs, np.ones(len(rows), bool), withdrawn=withdrawn)


def make_trainer(policy, queue=None, memory=None, epsilon=0.5, report=str, **options):
    drawing = {
        name: options.pop(name) for name in ("max_attempts", "warm_start") if name in options
    }
    evaluator = TableEvaluator()
    keeper = Keeper(complexity_measure("token", LIBRARY), **options)
    learner = Learner(
        policy, NoOptimizer(), RiskFilter(epsilon, memory), Baseline("R_e"), keeper, queue
    )
    source = PolicySource(policy, evaluator, keeper, batch_size=4, seed=3, memory=memory, **drawing)
    return Trainer(
        [source],
        evaluator,
        learner,
        keeper,
        stats=TrainStats(LIBRARY.names),
        dead_ends=DeadEndWatch(report),
    )


def test_a_step_returns_the_columns_of_the_log_in_order():
    trainer = make_trainer(ListPolicy([[[X1], [EXP, X1], [X1], [LOG, X1]]]))
    row = trainer.step().row
    assert tuple(row) == COLUMNS
    assert row["r_best"] == 0.5  # log is invalid
    assert row["r_max"] == 0.9
    assert row["nevals"] == 4
    assert row["baseline"] == 0.5
    assert row["ewma"] == -1.0
    assert row["time"] > 0


def test_the_kept_rows_and_the_quantile_reach_the_optimiser():
    trainer = make_trainer(ListPolicy([[[X1], [EXP, X1], [X1], [LOG, X1]]]))
    trainer.step()
    batch, baseline, queue = trainer.learner.policy_optimizer.calls[0]
    assert batch.rewards.tolist() == [0.5, 0.9]
    assert batch.programs.row(0).tolist() == [EXP, X1]
    assert baseline == 0.5
    assert queue is None


def test_the_last_iteration_is_there_to_be_written_down():
    trainer = make_trainer(ListPolicy([[[X1], [EXP, X1], [X1], [LOG, X1]]]))
    trainer.step()
    last = trainer.step()
    assert last.number == 2
    assert last.batch.rewards.tolist() == [0.1, 0.5, 0.1, 0.9]
    assert last.lesson.kept.tolist() == [False, True, False, True]
    assert last.lesson.baseline == 0.5
    assert last.lesson.statistics == {"n_steps": 2}


def test_every_iteration_draws_from_its_own_stream():
    trainer = make_trainer(ListPolicy([[[X1]]]))
    trainer.step()
    trainer.step()
    keys = {stream.key for stream in trainer.learner.policy.streams}
    assert len(keys) == 2
    assert trainer.standing.iteration == 2


def test_the_best_of_equal_programs_does_not_depend_on_their_order():
    for rows in ([[ADD, X1, X1], [EXP, X1]], [[EXP, X1], [ADD, X1, X1]]):
        trainer = make_trainer(ListPolicy([rows]))
        trainer.step()
        assert trainer.keeper.best.programs.row(0).tolist() == [ADD, X1, X1]  # exp is more complex


def test_the_task_is_asked_only_about_a_new_best():
    asked = []

    def is_success(programs):
        asked.append(programs.row(0).tolist())
        return programs.row(0).tolist() == [EXP, X1]

    trainer = make_trainer(ListPolicy([[[X1]], [[X1]], [[EXP, X1]]]), is_success=is_success)
    successes = []
    for _ in range(4):
        trainer.step()
        successes.append(trainer.standing.success)
    assert asked == [[X1], [EXP, X1]]
    assert successes == [False, False, True, True]
    assert trainer.standing.best_iteration == 3


def test_without_any_valid_program_there_is_no_best():
    trainer = make_trainer(ListPolicy([[[LOG, X1]]]))
    row = trainer.step().row
    assert trainer.keeper.best is None
    assert row["r_best"] == -np.inf
    assert len(trainer.keeper.hall_of_fame) == len(trainer.keeper.pareto_front) == 0
    assert trainer.stats.invalid_summary() == {"error_log": 1, "error_node_invalid": 1}


def test_hall_of_fame_and_front_hold_the_valid_programs():
    trainer = make_trainer(ListPolicy([[[X1], [EXP, X1], [ADD, X1, X1], [LOG, X1]]]))
    trainer.step()
    assert trainer.keeper.hall_of_fame.rows.rewards.tolist() == [0.5, 0.5, 0.1]
    assert trainer.keeper.pareto_front.rows.rewards.tolist() == [0.1, 0.5]


def test_hall_of_fame_and_front_can_be_left_out():
    trainer = make_trainer(ListPolicy([[[X1]]]), hof=0, save_pareto_front=False)
    trainer.step()
    assert trainer.keeper.hall_of_fame is None
    assert trainer.keeper.pareto_front is None
    assert trainer.keeper.best is not None


def test_given_programs_take_the_place_of_a_draw():
    trainer = make_trainer(ListPolicy([[[X1]]]))
    row = trainer.step(batch_of([[EXP, X1], [X1]])).row
    assert trainer.learner.policy.streams == []
    assert row["nevals"] == 2
    assert trainer.standing.r_best == 0.5


def test_given_programs_that_the_policy_cannot_write_are_remembered_but_not_learned():
    queue = PriorityQueue(3)
    trainer = make_trainer(ListPolicy([[[X1]]]), epsilon=1.0, queue=queue)
    trainer.step(batch_of([[ADD, X1, X1], [X1]]))
    batch, _, _ = trainer.learner.policy_optimizer.calls[0]
    assert batch.programs.tokens[:, 0].tolist() == [X1]
    assert rows_of(queue.rows) == [[X1]]
    assert rows_of(trainer.keeper.hall_of_fame.rows) == [[ADD, X1, X1], [X1]]
    trainer.step(batch_of([[ADD, X1, X1]]))
    assert len(trainer.learner.policy_optimizer.calls) == 1


def test_the_queue_receives_the_best_valid_program_of_each_iteration():
    batches = [[[X1], [EXP, X1]], [[ADD, X1, X1], [X1]], [[LOG, X1]], [[X1], [X1]]]
    trainer = make_trainer(ListPolicy(batches), epsilon=1.0, queue=PriorityQueue(9))
    contents = []
    for _ in batches:
        trainer.step()
        contents.append(rows_of(trainer.learner.queue.rows))
        assert trainer.learner.policy_optimizer.calls[-1][2] is trainer.learner.queue
    best = [[ADD, X1, X1], [EXP, X1]]
    assert contents == [[[EXP, X1]], best, best, [*best, [X1]]]


def test_sampling_goes_on_until_a_batch_of_new_programs_is_there():
    batches = [[[X1], [X1], [EXP, X1], [X1]], [[EXP, X1], [ADD, X1, X1]], [[LOG, X1]]]
    policy = ListPolicy(batches, withdrawn=1)
    trainer = make_trainer(policy, epsilon=1.0, max_attempts=5)
    row = trainer.step().row
    assert policy.asked == [4, 2, 1]
    assert len({stream.key for stream in policy.streams}) == 3
    assert row["nevals"] == 7
    assert row["n_novel_full"] == 7  # of this evaluator
    assert row["n_withdrawn"] == 3
    batch, _, _ = trainer.learner.policy_optimizer.calls[0]
    learned = [batch.programs.row(i).tolist() for i in range(len(batch))]
    assert learned == [row for rows in batches for row in rows]


def test_the_search_for_new_programs_gives_up():
    policy = ListPolicy([[[X1], [EXP, X1]]])
    trainer = make_trainer(policy, max_attempts=3)
    assert trainer.step().row["nevals"] == 6
    assert policy.asked == [4, 2, 2]
    policy.asked.clear()
    trainer.step()  # both are known by now
    assert policy.asked == [4, 4, 4]


def test_without_the_wish_for_new_programs_one_draw_is_enough():
    policy = ListPolicy([[[X1]]])
    make_trainer(policy).step()
    assert policy.asked == [4]


class ListMemory:
    """Weighs its programs and the batch alike."""

    def __init__(self):
        self.pushes = []

    def push(self, programs, rewards):
        rows = [programs.row(i).tolist() for i in range(len(programs))]
        self.pushes.append(list(zip(rows, rewards.tolist(), strict=True)))

    def distribution(self, programs, rewards):
        remembered = [reward for push in self.pushes for _, reward in push]
        return np.append(rewards, remembered), np.ones(len(rewards) + len(remembered))


def test_a_memory_is_filled_before_and_takes_what_was_learned_from():
    batches = [[[LOG, X1], [EXP, X1]], [[X1], [EXP, X1]], [[X1], [X1]]]
    trainer = make_trainer(ListPolicy(batches), memory=ListMemory(), warm_start=2)
    first, second = trainer.step().row, trainer.step().row
    filled, learned, learned_next = trainer.learner.risk_filter.memory.pushes
    assert filled == [([LOG, X1], 0.9), ([EXP, X1], 0.5)]
    assert (first["nevals"], second["nevals"]) == (4, 6)
    # The median of 0.1, 0.5, 0.5, 0.9 is the 0.5 of this batch.
    assert first["baseline"] == 0.5
    assert learned == [([EXP, X1], 0.5)]
    # All that is remembered is better than this batch; the best of the batch is kept.
    assert learned_next == [([X1], 0.1), ([X1], 0.1)]
    assert len({stream.key for stream in trainer.learner.policy.streams}) == 3


def test_what_fills_the_memory_is_remembered_like_any_program():
    trainer = make_trainer(ListPolicy([[[EXP, X1]], [[X1]]]), memory=ListMemory())
    row = trainer.step().row
    assert row["r_best"] == 0.5
    assert rows_of(trainer.keeper.hall_of_fame.rows) == [[EXP, X1], [X1]]


def test_a_memory_may_start_empty():
    trainer = make_trainer(ListPolicy([[[X1]]]), memory=ListMemory(), warm_start=0)
    assert trainer.step().row["nevals"] == 1
    assert len(trainer.learner.policy.streams) == 1


def test_too_many_dead_ends_end_the_run_with_the_table():
    trainer = make_trainer(ListPolicy([[[X1]]], withdrawn=2), report=lambda programs: "the table")
    for _ in range(9):
        assert trainer.step().row["n_withdrawn"] == 2
    with pytest.raises(UserError, match="the table"):
        trainer.step()
