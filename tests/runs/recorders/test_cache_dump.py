"""The list of cached programs against an evaluator that is asked directly."""

import numpy as np

from dso.evaluation import Evaluator, ProgramArchive
from dso.program import ProgramBatch
from dso.program.batch import Batch
from dso.runs.recorders import CacheDump
from dso.task import Task
from tests.support.iterations import (
    ADD,
    LIBRARY,
    LOG,
    X1,
    X2,
    folder,
    iteration,
    read,
)

REWARDS = {(X1,): 0.25, (LOG, X1): 0.75, (ADD, X1, X2): 0.75, (X2,): -1.0}
HEADER = ["str", "count_on_policy", "count_off_policy", "r"]


class TableTask(Task):
    """Rewards from a table."""

    def reward_function(self, program, optimizing=False):
        return REWARDS[tuple(program.tokens.tolist())]

    def evaluate(self, program):
        return {}


def run(path, r_min):
    evaluator = Evaluator(TableTask(), LIBRARY, archive=ProgramArchive(r_min))
    dump = CacheDump(folder(path), evaluator)
    for rows, on_policy in (
        ([[X1], [X2], [LOG, X1], [X1]], [True] * 4),
        ([[ADD, X1, X2], [X1], [LOG, X1]], [False, True, False]),
    ):
        evaluator.evaluate(Batch(ProgramBatch.from_rows(rows), np.array(on_policy)), 0)
        dump.update(iteration(1, rows, [0.0] * len(rows)))
    return dump


def test_all_programs_are_listed_with_their_counts_best_first(tmp_path):
    run(tmp_path, None).close()
    assert read(tmp_path / "dso_task_0_cache.csv") == [
        HEADER,
        ["log,x1", "1", "1", "0.75"],
        ["add,x1,x2", "0", "1", "0.75"],
        ["x1", "3", "0", "0.25"],
        ["x2", "1", "0", "-1.0"],
    ]


def test_only_programs_that_reach_the_least_reward_are_listed(tmp_path):
    run(tmp_path, 0.75).close()
    assert [row[0] for row in read(tmp_path / "dso_task_0_cache.csv")] == [
        "str",
        "log,x1",
        "add,x1,x2",
    ]


def test_without_such_a_program_there_is_a_header(tmp_path):
    run(tmp_path, 0.9).close()
    assert read(tmp_path / "dso_task_0_cache.csv") == [HEADER]


def test_nothing_is_written_without_an_iteration_or_twice(tmp_path):
    CacheDump(folder(tmp_path), Evaluator(TableTask(), LIBRARY, archive=ProgramArchive())).close()
    assert list(tmp_path.iterdir()) == []
    dump = run(tmp_path, None)
    dump.close()
    path = tmp_path / "dso_task_0_cache.csv"
    path.unlink()
    dump.close()
    assert not path.exists()


def test_a_program_that_was_forgotten_and_met_again_stands_once():
    archive = ProgramArchive()
    programs = ProgramBatch.from_rows([[X1], [ADD, X1, X2]])
    for _ in range(2):
        archive.add(np.array([7, 3], np.uint64), programs, np.array([0.1, 0.2]))
    keys, ranked, rewards = archive.ranked()
    assert keys.tolist() == [3, 7]
    assert ranked.row(0).tolist() == [ADD, X1, X2]
    assert rewards.tolist() == [0.2, 0.1]


def test_clearing_the_evaluator_clears_the_list(tmp_path):
    dump = run(tmp_path, None)
    dump.evaluator.clear()
    dump.close()
    assert read(tmp_path / "dso_task_0_cache.csv") == [HEADER]
