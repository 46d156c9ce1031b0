"""Journal: informs everything that watches a run, in one loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dso.errors import UserError
from dso.runs.checkpoint import Checkpoints
from dso.runs.disk import Guard
from dso.runs.folder import RunFolder
from dso.runs.recorders import Recorder, RunLog

if TYPE_CHECKING:
    from dso.training.stopping import Standing
    from dso.training.trainer import Iteration


class Journal:
    """Hands each iteration to the recorders.

    Parameters
    ----------
    recorders : sequence of Recorder
        In the order in which they are told.
    folder : RunFolder, optional
        Made after the first iteration: a config that cannot do one leaves nothing behind.
    checkpoints : Checkpoints, optional
        Those of an earlier run of the same name are removed then.
    """

    def __init__(
        self,
        recorders: Sequence[Recorder],
        folder: RunFolder | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.recorders = list(recorders)
        self.folder = folder
        self.checkpoints = checkpoints
        self.guard = Guard() if folder is None else folder.guard

    def start(self, number: int) -> None:
        """Say that iteration `number` (1 for the first) begins."""
        if self.folder is not None:
            self.folder.claim()
        self._tell(lambda recorder: recorder.start(number))

    def update(self, iteration: Iteration) -> None:
        """Write down what an iteration made."""
        if iteration.number == 1:
            if self.folder is not None:
                self.folder.create()
            if self.checkpoints is not None:
                self.checkpoints.clear()
        self._tell(lambda recorder: recorder.update(iteration))

    def finish(self, standing: Standing) -> None:
        """Write what belongs at the end of a run; it may yet go on."""
        self._tell(lambda recorder: recorder.finish(standing))

    def close(self) -> None:
        """Give back terminal and files, which others may write then; a second call does nothing."""
        self._tell(lambda recorder: recorder.close())
        if self.folder is not None:
            self.folder.release()

    def _tell(self, what: Callable[[Recorder], None]) -> None:
        """Tell every recorder, even if others fail."""
        for recorder in self.recorders:
            try:
                what(recorder)
            except UserError:
                raise
            except Exception as error:  # what that recorder missed is not made up for
                self.guard.note(recorder.writes, error)

    def state_dict(self) -> dict[str, Any]:
        """Return how far the files have come."""
        states = {type(one).__name__: one.state_dict() for one in self.recorders}
        return {"log": states.pop(RunLog.__name__, None), "recorders": states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the files back to where `state_dict` was taken."""
        states = {**state["recorders"], RunLog.__name__: state["log"]}
        for recorder in self.recorders:
            if (known := states.get(type(recorder).__name__)) is not None:
                recorder.load_state_dict(known)
