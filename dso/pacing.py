"""Work in parts, so that a limit of time or Ctrl-C is heeded between them.

The parts grow until one takes a tenth of a second. So a limit is passed by little, and there are
few of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

PART_SECONDS = 0.1
MAX_GROWTH = 4

IsOver = Callable[[], bool]


def parts(
    n: int, is_over: IsOver | None, first: int, seconds: float = PART_SECONDS
) -> Iterator[slice]:
    """Yield slices of n rows, one after the other, until all are covered or it is over.

    Parameters
    ----------
    n : int
    is_over : callable, optional
        Asked before each part but the first. None: all rows are one part.
    first : int
        Rows of the first part, which is there in any case.
    seconds : float
        That a part is to take.
    """
    size = n if is_over is None else max(1, first)
    start = 0
    while start < n:
        began = time.monotonic()
        yield slice(start, min(n, start + size))
        start += size
        if is_over is not None and start < n:
            if is_over():
                return
            taken = max(time.monotonic() - began, seconds / MAX_GROWTH)
            size = max(1, int(size * seconds / taken))
