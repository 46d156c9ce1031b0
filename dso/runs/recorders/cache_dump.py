"""CacheDump: a table of the programs whose rewards are remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dso.program import traversal_texts
from dso.runs.folder import RunFolder
from dso.runs.recorders.recorder import Recorder

if TYPE_CHECKING:
    from dso.evaluation import Evaluator
    from dso.training.trainer import Iteration


class CacheDump(Recorder):
    """Write ``_cache.csv`` at the end of the run, however it ends; the best programs come first.

    Columns are ``str``, the tokens in prefix order, ``count_on_policy`` and ``count_off_policy``,
    how often the program came from the policy and from elsewhere, and its reward ``r``. A program
    that the cache has had to forget counts from when it was met again; both counts are 0 if it was
    not.

    Parameters
    ----------
    folder : RunFolder
    evaluator : Evaluator
        With an archive, which says what is listed.
    """

    writes = "the table of the cache"

    COLUMNS = ("str", "count_on_policy", "count_off_policy", "r")

    def __init__(self, folder: RunFolder, evaluator: Evaluator) -> None:
        self.folder = folder
        self.evaluator = evaluator
        self._is_pending = False

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        self._is_pending = True

    def close(self) -> None:
        """See `Recorder.close`."""
        if not self._is_pending:
            return
        self._is_pending = False
        assert self.evaluator.archive is not None
        keys, programs, rewards = self.evaluator.archive.ranked()
        on_policy, off_policy = self.evaluator.counts(keys)
        texts = traversal_texts(self.evaluator.library, programs)
        columns = (texts, on_policy.tolist(), off_policy.tolist(), rewards.tolist())
        rows = (dict(zip(self.COLUMNS, row, strict=True)) for row in zip(*columns, strict=True))
        self.folder.write_rows("_cache.csv", rows, self.COLUMNS)
