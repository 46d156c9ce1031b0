"""The log of iterations, ``dso_<task>_<seed>.csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dso.runs.folder import IterationLog, RunFolder
from dso.runs.recorders.recorder import Recorder

if TYPE_CHECKING:
    from dso.training.trainer import Iteration


class RunLog(Recorder):
    """One row per iteration; see `dso.training.statistics.COLUMNS`.

    Parameters
    ----------
    folder : RunFolder
    save_freq : int or None
        Iterations between two writes; see `dso.runs.folder.Pace`.
    """

    writes = "the log of iterations"

    def __init__(self, folder: RunFolder, save_freq: int | None = 1) -> None:
        self._table = IterationLog(folder.file(".csv"), save_freq, folder.guard)

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        self._table.append(iteration.row)

    def close(self) -> None:
        """See `Recorder.close`."""
        self._table.close()

    def state_dict(self) -> dict[str, Any]:
        """See `Recorder.state_dict`."""
        return self._table.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Recorder.load_state_dict`."""
        self._table.load_state_dict(state)
