"""The limits of a search, and what it has used so far.

A *vector* is one candidate whose values were computed, or one combination that was scored. A
*look-up* is one question to the hash table of a value library. Both are evaluations. Vectors cost
some 100 ns and look-ups some 20 ns, so that each kind has a limit of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SemanticLimits:
    """What a search may cost.

    Attributes
    ----------
    max_entries : int
        Of the value library, about 90 bytes each.
    max_bytes : int or None
        Of memory for it.
    max_lookups : int
    max_vectors : int
        Candidates computed.
    max_evaluations : int
        Look-ups and vectors together.
    max_seconds : float
        The only limit that results depend on in a way that cannot be repeated.
    max_contexts : int
        Parts of an expression that are solved for.
    max_programs : int
        That are returned.
    """

    max_entries: int = 300_000
    max_bytes: int | None = None
    max_lookups: int = 200_000_000
    max_vectors: int = 50_000_000
    max_evaluations: int = 2**62
    max_seconds: float = math.inf
    max_contexts: int = 12_000
    max_programs: int = 50


def _never() -> bool:
    return False


@dataclass
class Budget:
    """How many evaluations and seconds there are to spend, and what has been spent of them.

    The limits are looked at between steps, so that a little more may be spent than there was.

    Attributes
    ----------
    max_vectors, max_lookups : int
        Of each kind.
    max_evaluations : int
        Of both kinds together.
    max_seconds : float
        From the making of the budget.
    is_over : callable
        Whether somebody has asked for the end.
    n_vectors, n_lookups : int
        Spent so far.
    stopped_by : str
        What ended a strategy that would go through all there is: "exhausted" where it did, else the
        limit. Empty where none has said so.
    """

    max_vectors: int
    max_lookups: int
    max_evaluations: int
    max_seconds: float
    is_over: Callable[[], bool] = _never
    n_vectors: int = 0
    n_lookups: int = 0
    stopped_by: str = ""
    _start: float = field(default_factory=time.perf_counter)
    _whole: Budget | None = None

    @classmethod
    def of(cls, limits: SemanticLimits, is_over: Callable[[], bool] = _never) -> Budget:
        """Start to spend what the limits allow."""
        return cls(
            limits.max_vectors,
            limits.max_lookups,
            limits.max_evaluations,
            limits.max_seconds,
            is_over,
        )

    def part(self, *, max_vectors: int | None = None, max_lookups: int | None = None) -> Budget:
        """Return a budget within what is left of this one; what it spends is counted in both."""
        vectors, lookups = self.vectors_left, self.lookups_left
        return Budget(
            vectors if max_vectors is None else min(vectors, max_vectors),
            lookups if max_lookups is None else min(lookups, max_lookups),
            self.evaluations_left,
            self.max_seconds,
            self.is_over,
            _start=self._start,
            _whole=self,
        )

    def count(self, *, vectors: int = 0, lookups: int = 0) -> None:
        """Note what has been spent."""
        self.n_vectors += vectors
        self.n_lookups += lookups
        if self._whole is not None:
            self._whole.count(vectors=vectors, lookups=lookups)

    def stop(self, reason: str) -> None:
        """Note what ended a strategy."""
        self.stopped_by = reason
        if self._whole is not None:
            self._whole.stop(reason)

    @property
    def evaluations_left(self) -> int:
        """Vectors and look-ups, whichever they will be."""
        return max(0, self.max_evaluations - self.n_vectors - self.n_lookups)

    @property
    def vectors_left(self) -> int:
        """Vectors that neither limit forbids."""
        return min(self.evaluations_left, max(0, self.max_vectors - self.n_vectors))

    @property
    def lookups_left(self) -> int:
        """Look-ups that neither limit forbids."""
        return min(self.evaluations_left, max(0, self.max_lookups - self.n_lookups))

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._start

    @property
    def seconds_left(self) -> float:
        """Zero where time is up, or somebody has asked for the end."""
        return 0.0 if self.is_over() else max(0.0, self.max_seconds - self.seconds)

    def is_up(self) -> bool:
        """Tell whether time is up, or somebody has asked for the end; for loops to ask."""
        return self.seconds_left <= 0

    @property
    def is_spent(self) -> bool:
        """Whether more vectors were computed than there were, or time is up."""
        return self.n_vectors > self.max_vectors or self.seconds_left <= 0
