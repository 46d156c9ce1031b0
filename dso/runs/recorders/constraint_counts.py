"""ConstraintCounts: what each prior masked over a whole run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.prior import JointPrior, masking_table
from dso.runs.folder import RunFolder
from dso.runs.recorders.recorder import Recorder

if TYPE_CHECKING:
    from dso.training.trainer import Iteration

logger = logging.getLogger("dso")


class ConstraintCounts(Recorder):
    """Count, on the way through every sampled program, the tokens that each prior alone masked.

    At the end the table is logged and written to ``_constraint_counts.csv``: ``prior``, ``token``,
    ``masked``, and its ``share`` of all positions. The rows ``all`` are the priors together.

    Parameters
    ----------
    prior : JointPrior
    folder : RunFolder or None
        None where nothing is written.
    """

    writes = "the counts of constraints"

    COLUMNS = ("prior", "token", "masked", "share")

    def __init__(self, prior: JointPrior, folder: RunFolder | None) -> None:
        self.prior = prior
        self.folder = folder
        self.counts: dict[str, np.ndarray] = {}
        self.n_positions = 0

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        programs = iteration.batch.programs
        for name, masked in self.prior.mask_counts(programs).items():
            self.counts[name] = self.counts.get(name, 0) + masked
        self.n_positions += int(programs.lengths.sum())

    def close(self) -> None:
        """See `Recorder.close`."""
        if not self.counts:
            return
        names = self.prior.library.names
        logger.info("%s", masking_table(self.counts, self.n_positions, names))
        if self.folder is not None:
            rows = (
                dict(zip(self.COLUMNS, row, strict=True))
                for prior, masked in self.counts.items()
                for row in zip(
                    [prior] * len(names),
                    names,
                    masked.tolist(),
                    (masked / self.n_positions).tolist(),
                    strict=True,
                )
            )
            self.folder.write_rows("_constraint_counts.csv", rows, self.COLUMNS)
        self.counts = {}

    def state_dict(self) -> dict[str, Any]:
        """See `Recorder.state_dict`."""
        return {"counts": dict(self.counts), "n_positions": self.n_positions}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Recorder.load_state_dict`."""
        self.counts = dict(state["counts"])
        self.n_positions = int(state["n_positions"])
