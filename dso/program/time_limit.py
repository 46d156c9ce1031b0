"""A limit on the time of a call into Python code that may never return, such as sympy."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

SECONDS_BETWEEN_TRIES = 0.01


class _Late(BaseException):
    """Raised during a call. It is not an Exception, so that the call does not catch it."""


def within(
    seconds: float,
    package: str,
    function: Callable[..., Result],
    *arguments: Any,
    is_limited_at_all_costs: bool = True,
) -> Result | None:
    """Return what a function returns; None where it is not done by then, or cannot be limited.

    That takes a timer signal, which only the main thread of a Unix system gets. The time is that of
    the processor, so that it does not matter what else the machine does.

    Parameters
    ----------
    seconds : float
    package : str
        Whose code may be interrupted. Elsewhere, as in a callback of the garbage collector, the
        exception would be swallowed.
    function : callable
    *arguments
    is_limited_at_all_costs : bool
        False: if no limit is possible, the function is called without one.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "setitimer"):
        return None if is_limited_at_all_costs else function(*arguments)

    def stop(number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == package:
            raise _Late

    # There may be a limit around this one.
    outer, start = signal.getitimer(signal.ITIMER_VIRTUAL)[0], time.process_time()
    handler = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, min(seconds, outer or seconds), SECONDS_BETWEEN_TRIES)
    try:
        return function(*arguments)
    except _Late:
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
        if outer:
            left = max(outer - (time.process_time() - start), SECONDS_BETWEEN_TRIES)
            signal.setitimer(signal.ITIMER_VIRTUAL, left, SECONDS_BETWEEN_TRIES)
