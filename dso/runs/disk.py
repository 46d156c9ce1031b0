"""Writing to the disk: whole files at once, files that grow, and what to do on failure.

A file that is replaced is written next to its place and moved there, so a reader (or a crash) sees
the old file or the new one, never half of one.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np

from dso.errors import UserError

logger = logging.getLogger("dso")


def replace_file(path: Path, write: Callable[[IO[bytes]], object], *, sync: bool = False) -> None:
    """Replace the file at `path` atomically with what `write` writes.

    Parameters
    ----------
    path : Path
    write : callable
        Is handed the open file.
    sync : bool
        Return only when the file would survive a power cut.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = open(temporary, "xb")  # noqa: SIM115 - a name that is taken, or a link, is never followed
    try:
        with file:
            write(file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        _sync_folder(path.parent)


def remove_halves(folder: Path, prefix: str) -> None:
    """Remove what a writer that was killed left half written of files whose names begin so.

    Only who may alone write these files can know that nobody is at it.
    """
    half = re.compile(rf"\.{re.escape(prefix)}.*\.[0-9a-f]+")
    for path in folder.iterdir():
        if half.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` atomically."""
    replace_file(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Replace the file at `path` atomically; what was read from bytes that are no UTF-8 is kept."""
    write_bytes(path, text.encode(errors="surrogateescape"))


class Guard:
    """Let a run go on where something cannot be written or shown: no result is lost to that.

    ``with guard(what): ...`` swallows all errors except those that the user has to correct. It is
    said once, and again when all can be written; what is still missing at the end is in `missing`.
    Whoever writes keeps what is not on disk yet and tries again later.
    """

    def __init__(self) -> None:
        self._failing: dict[str, str] = {}

    @contextmanager
    def __call__(self, what: str | Path) -> Iterator[None]:
        """Guard the writing of a file, or of what is named in words."""
        name = str(what)
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            self.note(name, error)
        else:
            if self._failing.pop(name, None) is not None and not self._failing:
                logger.info("%s: written again.", name)

    def note(self, name: str, error: Exception) -> None:
        """Note that something could not be written; say so if it is the first failure."""
        is_first, self._failing[name] = not self._failing, cause(error)
        logger.debug("%s cannot be written", name, exc_info=error)
        if is_first:
            logger.warning(
                "%s: cannot be written (%s). The run continues; results stay in memory until "
                "they can be written.",
                name,
                cause(error),
            )

    @property
    def missing(self) -> list[str]:
        """What could not be written the last time, and why."""
        return [f"{name} ({why})" for name, why in self._failing.items()]


def cause(error: Exception) -> str:
    """Return in a few words why something could not be written."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"[:200]


class GrowingFile:
    """A file that is appended to; what could not be written waits in memory.

    Where the file, or the whole folder, is deleted while it is open, it is written again, with all
    that it held. The first write replaces a file that was there before.

    Parameters
    ----------
    path : Path
    guard : Guard, optional
        Without one, what the operating system refuses is raised.
    max_waiting : int
        Most bytes that wait where nothing can be written.

    Attributes
    ----------
    n_bytes : int
        Bytes appended so far, whether on disk or waiting.
    """

    WORTH_WRITING = 2**20

    def __init__(
        self, path: Path, guard: Guard | None = None, max_waiting: int = 64 * 2**20
    ) -> None:
        self.path = path
        self.guard = guard
        self.max_waiting = max_waiting
        self._file: IO[bytes] | None = None
        self._n_written = 0
        self._waiting = bytearray()
        self._has_dropped = False

    @property
    def n_bytes(self) -> int:
        return self._n_written + len(self._waiting)

    @property
    def is_worth_writing(self) -> bool:
        """Whether so much waits that it should be written at once."""
        return len(self._waiting) > self.WORTH_WRITING

    def append(self, data: bytes) -> bool:
        """Add bytes to what waits; return whether there was room for them.

        Memory is bounded: where nothing can be written for long, the newest are given up.
        """
        if len(self._waiting) + len(data) > self.max_waiting:
            if not self._has_dropped:
                logger.warning("%s: too much waits to be written; rows are left out.", self.path)
            self._has_dropped = True
            return False
        self._waiting += data
        return True

    def write(self, head: bytes = b"", *, sync: bool = False) -> None:
        """Make the file, write what waits, and then `head` over its first bytes.

        With `sync` it would then survive a power cut.
        """
        with nullcontext() if self.guard is None else self.guard(self.path):
            self._write(head)
            if sync:
                assert self._file is not None
                os.fsync(self._file.fileno())

    def _write(self, head: bytes) -> None:
        if self._file is not None and not self._is_in_place():
            self._take_back()
        if self._file is None:
            self._open()
        assert self._file is not None
        handle = self._file.fileno()
        while self._waiting:
            n = os.pwrite(handle, self._waiting, self._n_written)
            del self._waiting[:n]
            self._n_written += n
        if head:
            os.pwrite(handle, head, 0)

    def _is_in_place(self) -> bool:
        assert self._file is not None
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self._file.fileno()))

    def _take_back(self) -> None:
        """Read what the open file holds, though its name is gone, to write it again."""
        assert self._file is not None
        self._file.seek(0)
        self._waiting[:0] = self._file.read()[: self._n_written]
        self._n_written = 0
        self._file.close()
        self._file = None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._n_written == 0:
            write_bytes(self.path, b"")
        self._file = open(self.path, "r+b", buffering=0)  # noqa: SIM115
        self._file.truncate(self._n_written)

    def content(self) -> bytes:
        """Return all bytes, those that wait included."""
        written = b""
        if self._n_written:
            if self._file is None:
                self._open()
            assert self._file is not None
            self._file.seek(0)
            written = self._file.read()[: self._n_written]
        return written + bytes(self._waiting)

    def restart(self, content: bytes) -> None:
        """Begin the file again with `content`."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._n_written = 0
        self._waiting = bytearray(content)

    def close(self) -> None:
        """Write what waits and give the file back; it may be appended to again."""
        if self.n_bytes:
            self.write()
        if self._file is not None:
            self._file.close()
            self._file = None

    def state_dict(self) -> dict[str, Any]:
        """Return how long the file is, and what waits to be written."""
        if self.n_bytes:
            self.write(sync=True)
        waiting = np.frombuffer(bytes(self._waiting), np.uint8)
        return {"n_written": self._n_written, "waiting": waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the file back to the length it had; a shorter one is continued, with a warning."""
        self.restart(state["waiting"].tobytes())
        wanted = int(state["n_written"])
        found = self.path.stat().st_size if self.path.exists() else 0
        if found < wanted:
            logger.warning(
                "%s has %d bytes where the checkpoint knows of %d: some of its rows are lost.",
                self.path,
                found,
                wanted,
            )
        self._n_written = min(wanted, found)
        if self.n_bytes:
            self.write()
