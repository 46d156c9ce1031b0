"""How large the process of a run may become."""

from __future__ import annotations

import math
import time

from dso.processes import resident_bytes

MEGABYTE = 10**6
END_SHARE = 0.1
"""What the end phase may take beyond the limit, or beyond what there is, as a share of it."""
SECONDS_BETWEEN_LOOKS = 0.1
"""A look takes some ten microseconds, and is asked for in loops whose turns take less."""


class MemoryLimit:
    """Asked within loops whether the process has grown too large.

    Once it has, that stays true, so that the run ends: memory that is given back goes to the next
    request of the same process, and seldom to the system.

    Parameters
    ----------
    max_megabytes : float, optional
        Of 10^6 bytes, of the resident memory of this process. Default: no limit.
    """

    def __init__(self, max_megabytes: float | None = None) -> None:
        self.max_bytes = math.inf if max_megabytes is None else max_megabytes * MEGABYTE
        self._n_bytes = 0
        self._next_look = -math.inf
        self._is_reached = False

    @property
    def is_reached(self) -> bool:
        """Tell whether the process is larger, or was."""
        self._is_reached |= self._look() > self.max_bytes
        return self._is_reached

    @property
    def bytes_left(self) -> float:
        """What may yet be taken; infinite without a limit."""
        return max(0.0, self.max_bytes - self._look())

    def start_end(self) -> None:
        """Leave the end phase something to work with."""
        self.max_bytes = (1 + END_SHARE) * max(self.max_bytes, self._look())
        self._is_reached = False

    def _look(self) -> int:
        """Return the size as it was at the last look, which is not long ago."""
        now = time.monotonic()
        if self.max_bytes < math.inf and now >= self._next_look:
            self._n_bytes = resident_bytes()
            self._next_look = now + SECONDS_BETWEEN_LOOKS
        return self._n_bytes
