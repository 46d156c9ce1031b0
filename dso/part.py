"""Part: what one of several searches does of what they do together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One of n parts, the k-th; all of them together are the whole, once.

    Attributes
    ----------
    k : int
    n : int
    """

    k: int = 0
    n: int = 1

    def of(self, things: Sequence[T]) -> Sequence[T]:
        """Return every n-th thing, so that each part has cheap and dear ones of an ordered list."""
        return things[self.k :: self.n]

    def share(self, total: int) -> int:
        """Return a part of a number."""
        return total * (self.k + 1) // self.n - total * self.k // self.n


WHOLE = Part()
