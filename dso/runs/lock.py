"""RunLock: one process at a time writes the files of a run.

The lock is one of the operating system on a small file, so it is gone when its holder is, however
that ended. The file names the holder.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

from filelock import FileLock, Timeout

from dso.errors import Refused

PATIENCE = 10.0
"""Seconds to wait for a holder that may be about to end, as workers are whose parent has died."""


class RunLock:
    """The right to write the files of a run.

    Parameters
    ----------
    path : Path
        Of the file, which is there while the lock is held. Its folder must be there.
    patience : float, optional
        Seconds to wait for another holder; `PATIENCE` by default.
    """

    def __init__(self, path: Path, patience: float | None = None) -> None:
        self.path = path
        self.patience = PATIENCE if patience is None else patience
        self._lock = FileLock(path, thread_local=False)

    def acquire(self) -> bool:
        """Take the lock, and return whether that was new: it may be held already.

        Raises
        ------
        Refused
            If another holder keeps it for longer than `patience`.
        OSError
            If the file cannot be made.
        """
        if self._lock.is_locked:
            if self.path.exists():
                return False
            self._lock.release()  # the folder was deleted, and is another one now
        try:
            self._lock.acquire(timeout=self.patience)
        except Timeout:
            raise Refused(
                f"the run '{self.path.parent}' ({self.path.stem[1:]}) is being written by "
                f"{self._holder()}; wait for its end, or end it."
            ) from None
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        about = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
        self.path.write_text(json.dumps(about))
        return True

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._lock.is_locked:
            self.path.unlink(
                missing_ok=True
            )  # while it is held: nobody waits on a file that is gone
            self._lock.release()

    def _holder(self) -> str:
        try:
            about = json.loads(self.path.read_text())
            return f"process {about['pid']} on {about['host']} since {about['since']}"
        except (OSError, ValueError, LookupError, TypeError):
            return "another process"


def wait_for_writers(folder: Path, seed: int, patience: float | None = None) -> None:
    """Return once no process writes the run of this seed in a folder.

    Raises
    ------
    Refused
        If one still does after `patience` seconds.
    """
    for path in folder.glob(f".dso_*_{seed}.lock"):
        lock = RunLock(path, patience)
        lock.acquire()
        lock.release()
