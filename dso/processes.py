"""How processes handle signals, the end of the process that they work for, and their size."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from dso.errors import UserError

ENDING = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),  # Windows has none
)
"""Ctrl-C, and what schedulers and closing terminals send some time before they kill."""

Handler = Callable[[int, FrameType | None], None]

_WATCH = "dso: end with the parent"
_SECONDS_BETWEEN_LOOKS = 0.5


@contextmanager
def deferred(note: Callable[[int], object], *, passes_on: bool = True) -> Iterator[None]:
    """Let the signals that end a process wait until what is done inside is done.

    Each is noted when it comes. A second Ctrl-C breaks off at once, by KeyboardInterrupt. At the
    end SIGTERM and SIGHUP are passed on to what would have handled them: usually they end the
    process. See `handlers` for what was ignored before. Outside the main thread, where no handler
    can be set, nothing changes.

    Parameters
    ----------
    note : callable
        Is given the number of the signal.
    passes_on : bool
        False: the one that notes it ends the process in its own way.
    """
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in came:
            raise KeyboardInterrupt
        came.append(number)
        note(number)

    try:
        with handlers(dict.fromkeys(ENDING, handle)):
            yield
    finally:
        if passes_on:
            for number in dict.fromkeys(came):
                if number != signal.SIGINT:
                    signal.raise_signal(number)


@contextmanager
def handlers(wanted: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle signals in the main thread, but those that are handled from outside of Python.

    SIGTERM and SIGHUP are left alone where they are ignored, as under nohup. Ctrl-C is not, since
    shells let every command in the background ignore it, although its sender means it.
    """
    ignored = [n for n in wanted if signal.getsignal(n) == signal.SIG_IGN and n != signal.SIGINT]
    heeded = [n for n in wanted if signal.getsignal(n) is not None and n not in ignored]
    if threading.current_thread() is not threading.main_thread():
        heeded = []
    before = {number: signal.signal(number, wanted[number]) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def unheard() -> Iterator[None]:
    """Let processes that are started inside not hear the signals that end a process.

    `serve_parent` has the same effect, but only once it is called: a Ctrl-C for the whole group
    that comes while a worker still imports would end it, with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve_parent(grace: float = 0.0) -> None:
    """In a worker process: leave signals to the parent, and end when that has ended, however.

    A signal to the whole group, as Ctrl-C is, would otherwise take from the parent what it needs to
    come to a good end. What the worker does inside `deferred` heeds signals all the same, and gets
    a SIGTERM when the parent is gone. Elsewhere, and when called again, this does nothing.

    Parameters
    ----------
    grace : float
        Seconds between that and the end.
    """
    parent = multiprocessing.parent_process()
    is_watched = any(thread.name == _WATCH for thread in threading.enumerate())
    if parent is None or is_watched:
        return
    threading.Thread(target=_watch, args=(parent.pid, grace), name=_WATCH, daemon=True).start()
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            signal.signal(number, lambda number, frame: None)


def resident_bytes() -> int:
    """Return the size of the part of this process that is in memory, mapped files included.

    Raises
    ------
    UserError
        Where only psutil can tell, and is not installed.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as numbers:
            return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import psutil
    except ImportError:
        raise UserError(
            "training.max_megabytes: on this system the size of a process is known to psutil, "
            "which is not installed; pip install psutil."
        ) from None
    return psutil.Process().memory_info().rss


def _watch(parent: int, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
