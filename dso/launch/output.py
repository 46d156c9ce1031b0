"""What a command prints. A run must not end because nobody can read its output."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from dso.runs.disk import Guard


class SafeStream(io.TextIOBase):
    """A stream that takes everything; what the stream behind it refuses is lost.

    From the first refusal on nothing more is tried, as with a reader that has gone (`| head`).

    Parameters
    ----------
    stream : TextIO or None
        None is one that was closed before the process began.
    name : str
        For the message that it could not be written.
    guard : Guard
        Takes down that it could not.
    """

    def __init__(self, stream: TextIO | None, name: str, guard: Guard) -> None:
        self._stream = stream
        self._name = name
        self._guard = guard

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream behind it."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write text; characters that the encoding lacks are escaped."""
        shown = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self._try(lambda stream: stream.write(shown))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        self._try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Tell whether somebody sits before it."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        """Return the handle of the stream behind it."""
        if self._stream is None:
            raise OSError(f"{self._name} is closed")
        return self._stream.fileno()

    def _try(self, do: Callable[[TextIO], object]) -> None:
        if self._stream is None:
            return
        try:
            do(self._stream)
        except (OSError, ValueError) as error:
            lost, self._stream = self._stream, None
            with contextlib.suppress(OSError, ValueError):
                # What is still buffered is written when Python ends; that must not fail too.
                os.dup2(os.open(os.devnull, os.O_WRONLY), lost.fileno())
            self._guard.note(self._name, error)


@contextlib.contextmanager
def safe_output(guard: Guard) -> Iterator[None]:
    """Let nothing that is printed inside fail; what could not be is noted."""
    before = sys.stdout, sys.stderr
    _fill_closed_handles()
    sys.stderr = SafeStream(before[1], "standard error", guard)
    sys.stdout = SafeStream(before[0], "standard output", guard)
    if before[0] is None:
        guard.note("standard output", OSError(errno.EBADF, os.strerror(errno.EBADF)))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = before


def _fill_closed_handles() -> None:
    """Keep files that are opened from getting the numbers of standard streams that are closed."""
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            # It takes the lowest number that is free. Processes that are started need it too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
