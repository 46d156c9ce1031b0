"""The tables of a run's best programs, and when they are written during the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dso.memory import ScoredPrograms
from dso.program import Program
from dso.runs.folder import Row, RunFolder
from dso.runs.recorders.recorder import Recorder

if TYPE_CHECKING:
    from dso.evaluation import Evaluator
    from dso.library import Library
    from dso.memory import Judge, Keeper, ParetoFront
    from dso.program.program_batch import ProgramBatch
    from dso.task import Task
    from dso.training.stopping import Standing
    from dso.training.trainer import Iteration

HOF_COLUMNS = ("r", "count_on_policy", "count_off_policy", "expression", "traversal")
PF_COLUMNS = ("complexity", *HOF_COLUMNS)
SHOWN_DIGITS = 4


class Reports:
    """Turn remembered programs into rows for people.

    Writing a program as an expression and evaluating it on the test data costs far more than
    sampling it, so what was said about a program in one table is kept for the next.

    Parameters
    ----------
    library : Library
    task : Task
    evaluator : Evaluator
        Knows how often a program was drawn.
    judge : Judge, optional
        Where it has an evaluator, that is who knows the reward of a program.
    """

    def __init__(
        self, library: Library, task: Task, evaluator: Evaluator, judge: Judge | None = None
    ) -> None:
        self.library = library
        self.task = task
        self.evaluator = evaluator
        self._scorer = (judge and judge.evaluator) or evaluator
        self._described: dict[int, Row] = {}
        self._shown: Callable[[ProgramBatch], ProgramBatch] = lambda programs: programs
        self._shown_task = task

    def show_as(self, shown: Callable[[ProgramBatch], ProgramBatch], task: Task) -> None:
        """Show programs as others, which a task judges: those in the units of the user."""
        self._shown, self._shown_task = shown, task

    def program(self, programs: ProgramBatch, i: int = 0) -> Program:
        """Return row `i` as a Program."""
        fitter = self.task.polynomials
        row = programs[i : i + 1]
        return Program(
            self.library,
            programs.row(i),
            programs.constants[i],
            protected=self.task.protected,
            scorer=self._scorer,
            polynomial=None if fitter is None else fitter.polynomials(row)[0],
        )

    def best(self, best: ScoredPrograms | None) -> Program | None:
        """Return the best program of a run, None where there is none yet."""
        return None if best is None else self.program(best.programs)

    def criterion(self, front: ParetoFront | None) -> np.ndarray | None:
        """Return what decides between the rows of a front, (B,); None where the reward does."""
        if front is None or len(front) == 0:
            return None
        rows = front.rows
        return self.task.criterion(rows.programs, rows.training_rewards, rows.complexities)

    def chosen(self, front: ParetoFront | None) -> ScoredPrograms | None:
        """Return the row of a front that the task chooses; None where the reward decides."""
        criterion = self.criterion(front)
        if front is None or criterion is None:
            return None
        return front.rows[[int(criterion.argmin())]]

    def expression(self, best: ScoredPrograms | None) -> str:
        """Return it as text with short numbers, to be shown while the run goes on."""
        if best is None:
            return ""
        return self.program(self._shown(best.programs)).short_expression(SHOWN_DIGITS)

    def tables(self, *parts: ScoredPrograms) -> list[list[Row]]:
        """Return the rows of each part: the columns of `PF_COLUMNS`, then those of the task.

        Descriptions of programs that stand in none of the parts are forgotten.
        """
        described = self._described
        self._described = {}
        return [self._table(part, described) for part in parts]

    def _table(self, scored: ScoredPrograms, described: dict[int, Row]) -> list[Row]:
        keys = scored.programs.keys()
        on_policy, off_policy = self.evaluator.counts(keys)
        rows: list[Row] = []
        for i, key in enumerate(keys.tolist()):
            known = self._described.get(key) or described.get(key)
            if known is None:
                known = self._describe(self.program(self._shown(scored.programs[[i]])))
            self._described[key] = known
            rows.append(
                {
                    "complexity": _whole(scored.complexities[i]),
                    "r": float(scored.training_rewards[i]),
                    **({} if scored.training is None else {"r_val": float(scored.rewards[i])}),
                    "count_on_policy": int(on_policy[i]),
                    "count_off_policy": int(off_policy[i]),
                    **known,
                }
            )
        return rows

    def _describe(self, program: Program) -> Row:
        return {
            "expression": program.expression,
            "traversal": repr(program),
            **self._shown_task.evaluate_row(program),
        }


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


class ResultFiles(Recorder):
    """Write hall of fame and Pareto front to the run folder.

    While the run goes on they are written at the earliest `min_seconds` after the last time, and so
    seldom that writing takes at most `max_share` of the time.

    Parameters
    ----------
    folder : RunFolder
    reports : Reports
    keeper : Keeper
        Has hall of fame and front.
    save_freq : int or None
        Least number of iterations between two writes; below 1: only `write` writes. None is 1.
    min_seconds, max_share : float
    """

    writes = "hall of fame and Pareto front"

    def __init__(
        self,
        folder: RunFolder,
        reports: Reports,
        keeper: Keeper,
        save_freq: int | None = 1,
        *,
        min_seconds: float = 2.0,
        max_share: float = 0.02,
    ) -> None:
        self.folder = folder
        self.reports = reports
        self.keeper = keeper
        self.save_freq = 1 if save_freq is None else save_freq
        self.min_seconds = min_seconds
        self.max_share = max_share
        self._next_time = time.monotonic() + min_seconds

    def update(self, iteration: Iteration) -> None:
        """Write if it is time to."""
        is_turn = self.save_freq >= 1 and iteration.number % self.save_freq == 0
        if is_turn and time.monotonic() >= self._next_time:
            self.write()

    def finish(self, standing: Standing) -> None:
        """See `Recorder.finish`."""
        if standing.iteration > 0:
            self.write()

    def write(self) -> None:
        """Write both files now."""
        start = time.monotonic()
        kinds = [
            ("_hof.csv", HOF_COLUMNS, self.keeper.hall_of_fame),
            ("_pf.csv", PF_COLUMNS, self.keeper.pareto_front),
        ]
        present = [(suffix, columns, kept) for suffix, columns, kept in kinds if kept is not None]
        tables = self.reports.tables(*(kept.rows for _, _, kept in present))
        for (suffix, columns, _), rows in zip(present, tables, strict=True):
            if "complexity" not in columns:
                rows = [{k: v for k, v in row.items() if k != "complexity"} for row in rows]
            elif (criterion := self.reports.criterion(self.keeper.pareto_front)) is not None:
                pairs = zip(rows, criterion.tolist(), strict=True)
                rows = [{**row, "criterion": value} for row, value in pairs]
            self.folder.write_rows(suffix, rows, columns)
        end = time.monotonic()
        self._next_time = end + max(self.min_seconds, (end - start) / self.max_share)
