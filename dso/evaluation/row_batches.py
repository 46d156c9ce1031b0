"""Which rows of data the search sees, if it does not see all of them."""

from __future__ import annotations

from typing import Any

from dso.evaluation.evaluator import Evaluator
from dso.streams import Stream
from dso.task.task import Task

ITERATIONS_PER_DRAW = 10
"""A program is scored once per draw; a search that never saw other rows would fit the noise of
these."""


class RowBatches:
    """Turns the evaluator of the search to other rows every few iterations.

    All programs of an iteration are rewarded on the same rows.

    Parameters
    ----------
    evaluator : Evaluator
    task : Task
        With all training rows.
    seed : int
    """

    def __init__(self, evaluator: Evaluator, task: Task, seed: int) -> None:
        self.evaluator = evaluator
        self.task = task
        self.seed = seed
        self._draw: int | None = None

    @property
    def n_rows(self) -> int:
        """Rows that the search sees."""
        return self.task.n_search_rows

    def start(self, iteration: int) -> bool:
        """Draw the rows of an iteration (from 0); return whether they are other ones."""
        draw = iteration // ITERATIONS_PER_DRAW
        if draw == self._draw:
            return False
        self._draw = draw
        part = self.task.on_drawn_rows(Stream(self.seed, "rows", draw))
        self.evaluator.change_task(part, draw * ITERATIONS_PER_DRAW)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return which draw it is."""
        return {"draw": self._draw}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Draw the same rows again."""
        self._draw = None
        if state["draw"] is not None:
            self.start(int(state["draw"]) * ITERATIONS_PER_DRAW)
