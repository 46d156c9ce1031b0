"""The folder of a run, and the one way in which files get into it.

A file that is replaced is written beside its place and moved there, so a reader (or a crash) sees
the old file or the new one, never half of one. The log of iterations is appended to.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Literal, TextIO

from dso.errors import UserError

Row = Mapping[str, object]


def write_text(path: Path, text: str) -> None:
    """Replace the file at `path` atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_rows(path: Path, rows: Sequence[Row], columns: Sequence[str] = ()) -> None:
    """Replace a CSV file atomically.

    Parameters
    ----------
    path : Path
    rows : sequence of dict
    columns : sequence of str
        The first columns, there even without rows; further keys follow as the rows bring them.
    """
    names = list(dict.fromkeys([*columns, *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def append_row(path: Path, row: Row) -> None:
    """Add a row to a CSV file atomically; its columns become the union of old and new.

    Runs that end at the same time wait for each other.
    """
    with _locked(path.parent):
        rows: list[Row] = []
        columns: list[str] = []
        if path.exists():
            with open(path, encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                rows = list(reader)
                columns = list(reader.fieldnames or ())
        write_rows(path, [*rows, row], _merged(columns, list(row)))


def _merged(old: list[str], new: list[str]) -> list[str]:
    """Put each new column behind the one that precedes it in `new`."""
    columns = list(old)
    place = 0
    for name in new:
        if name in columns:
            place = columns.index(name) + 1
        else:
            columns.insert(place, name)
            place += 1
    return columns


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Pace:
    """Tell when a file that grows with the iterations is due to be flushed.

    Parameters
    ----------
    save_freq : int or None
        Iterations between two flushes; below 1: only at the end. None is 1.
    """

    def __init__(self, save_freq: int | None = 1) -> None:
        self.save_freq = 1 if save_freq is None else save_freq
        self._n_pending = 0

    def is_due(self) -> bool:
        """Count one iteration and return whether to flush after it."""
        self._n_pending += 1
        if not 1 <= self.save_freq <= self._n_pending:
            return False
        self._n_pending = 0
        return True


class IterationLog:
    """A CSV file that grows with every iteration.

    Parameters
    ----------
    path : Path
    save_freq : int or None
        See `Pace`.
    """

    def __init__(self, path: Path, save_freq: int | None = 1) -> None:
        self.path = path
        self._pace = Pace(save_freq)
        self._file: TextIO | None = None
        self._mode: Literal["w", "a"] = "w"

    def append(self, row: Mapping[str, object]) -> None:
        """Write the one row of an iteration; the first one brings the header."""
        self.extend(list(row), [row.values()])

    def extend(self, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
        """Write the rows of one iteration.

        Parameters
        ----------
        columns : sequence of str
            The same every time.
        rows : iterable of iterables
            One value per column.
        """
        if self._file is None:
            self._file = open(self.path, self._mode, encoding="utf-8", newline="")  # noqa: SIM115
            if self._mode == "w":
                rows = chain([columns], rows)
            self._mode = "a"
        csv.writer(self._file, lineterminator="\n").writerows(rows)
        if self._pace.is_due():
            self._file.flush()

    def close(self) -> None:
        """Write out what is pending; rows that come later are appended."""
        if self._file is not None:
            self._file.close()
            self._file = None


class RunFolder:
    """The files of one run in a folder that all runs of a batch share.

    Parameters
    ----------
    path : Path
    task_name : str
    seed : int
    """

    def __init__(self, path: Path, task_name: str, seed: int) -> None:
        self.path = path
        self.prefix = f"dso_{task_name.replace('/', '_')}_{seed}"

    def file(self, suffix: str) -> Path:
        """Return the path of one of this run's own files, e.g. ``_hof.csv``."""
        return self.path / f"{self.prefix}{suffix}"

    def create(self, config: str) -> None:
        """Make the folder and write ``config.json``, unless a run of the same batch has done so.

        Raises
        ------
        UserError
            If that is not possible there.
        """
        path = self.path / "config.json"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"experiment.logdir: {str(self.path)!r} cannot be made ({error.strerror})."
            ) from None
        with _locked(self.path):
            if not path.exists():
                write_text(path, config)

    def write_rows(self, suffix: str, rows: Iterable[Row], columns: Sequence[str]) -> None:
        """Replace one of this run's own CSV files atomically."""
        write_rows(self.file(suffix), list(rows), columns)

    def append_summary(self, row: Row) -> Path:
        """Add this run's row to ``summary.csv`` and return its path."""
        path = self.path / "summary.csv"
        append_row(path, row)
        return path
