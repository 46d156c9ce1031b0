"""Reading files that come from somebody else."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def check_regular(path: Path, max_bytes: int | None = None) -> None:
    """Refuse what is not a regular file: reading a pipe or a device may never end.

    Raises
    ------
    OSError
        If it is another kind of file, is longer than `max_bytes`, or is not there.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if max_bytes is not None and about.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {max_bytes} bytes")


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most this many bytes; see `check_regular`."""
    check_regular(path, max_bytes)
    with open(path, "rb") as file:
        return file.read(max_bytes)
