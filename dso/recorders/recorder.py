"""Recorder: what the classes of this package have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dso.train import Iteration


class Recorder(ABC):
    """Watch a run and write something of it down.

    Files are made by the first `update`, since a run that cannot do one iteration leaves nothing
    behind.
    """

    def start(self, number: int) -> None:  # noqa: B027
        """Do what belongs before iteration `number` (1 for the first)."""

    @abstractmethod
    def update(self, iteration: Iteration) -> None:
        """Take in one iteration."""

    def close(self) -> None:  # noqa: B027
        """Leave everything written; a second call does nothing."""
