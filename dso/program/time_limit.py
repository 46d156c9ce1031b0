"""A limit on the time of a call that may take for ever, as those of sympy may."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Late(BaseException):
    """Raised in the midst of a call; what the call catches must not hold it back."""


def within(seconds: float, function: Callable[..., Result], *arguments: Any) -> Result | None:
    """Return what a function returns; None where it is not done by then, or cannot be limited.

    That takes a timer signal, which only the main thread of a Unix system gets.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "setitimer"):
        return None

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Late

    handler = signal.signal(signal.SIGALRM, stop)
    others, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return function(*arguments)
    except _Late:
        return None
    finally:
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if others:  # of whoever else had set a timer
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, others - (seconds - left)))
