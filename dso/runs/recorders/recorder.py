"""Recorder: what the classes of this package have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dso.training.stopping import Standing
    from dso.training.trainer import Iteration


class Recorder(ABC):
    """Watch a run and write something of it down.

    Files are made by the first `update`, since a run that cannot do one iteration leaves nothing
    behind.

    Attributes
    ----------
    writes : str
        What it writes, for the message that it could not.
    """

    writes = "a record of the run"

    def start(self, number: int) -> None:  # noqa: B027
        """Do what belongs before iteration `number` (1 for the first)."""

    @abstractmethod
    def update(self, iteration: Iteration) -> None:
        """Take in one iteration."""

    def finish(self, standing: Standing) -> None:  # noqa: B027
        """Write what belongs at the end of a run, which stands there; it may yet go on."""

    def close(self) -> None:  # noqa: B027
        """Leave everything written; a second call does nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on from a checkpoint must know of what was written."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Go on where `state_dict` was taken; what was written after it is taken back."""
