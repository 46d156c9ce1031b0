"""DataFile: the rows of data of a run, unless a benchmark defines them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dso.runs.disk import write_bytes
from dso.runs.folder import DATA_FILE, RunFolder
from dso.runs.recorders.recorder import Recorder
from dso.task.regression.data_archive import archived

if TYPE_CHECKING:
    from dso.task.regression import Dataset
    from dso.training.trainer import Iteration

logger = logging.getLogger("dso")

MAX_VALUES = 20_000_000
"""Numbers that are kept, of 8 bytes each before they are compressed."""


class DataFile(Recorder):
    """Write ``data.npz``, from which reports draw predictions and models are loaded.

    Parameters
    ----------
    folder : RunFolder
    data : Dataset
    """

    def __init__(self, folder: RunFolder, data: Dataset) -> None:
        self.folder = folder
        self.data = data
        self._is_done = False

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        if self._is_done:
            return
        self._is_done = True
        if self.data.X_train.size > MAX_VALUES:
            logger.info("The data are too large to be kept in the run folder.")
            return
        path, content = self.folder.path / DATA_FILE, archived(self.data)
        with self.folder.guard(path):
            if not path.exists() or path.read_bytes() != content:
                write_bytes(path, content)
