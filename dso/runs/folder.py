"""The folder of a run, and the only way in which files get into it.

Tables are replaced as a whole, logs of iterations grow; `dso.runs.disk` has how. Where the disk
refuses, the run goes on, and what is not on disk yet is written when it can be.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock

from dso.files import read_regular
from dso.runs.disk import GrowingFile, Guard, cause, remove_halves, write_text
from dso.runs.lock import RunLock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("dso")

Row = Mapping[str, object]
MAX_BYTES = 2**30

DATA_FILE = "data.npz"
RUN_FILES = (
    "config.json",
    "summary.csv",
    "batch.json",
    "report.html",
    "checkpoint",
    "estimator.json",
    DATA_FILE,
    "formula.png",
)
"""What a run folder holds besides the files of each run, whose names begin with ``dso_``."""
_WITHOUT_EFFECT = (
    *("experiment", "postprocess", "checkpoint"),
    *("training.verbose", "training.debug", "training.n_cores_batch"),
    *("gp_meld.verbose", "gp_meld.parallel_eval"),
)
"""Sections and keys that change no result."""
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\s]+')


def file_name(text: str) -> str:
    """Return a text as part of a file name that every system can hold."""
    return _NOT_IN_NAMES.sub("_", text)


def config_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Return the first key in which the config of a folder differs from another, with both values.

    Keys that change no result may differ; the answer is empty then.
    """
    for section, values in here.items():
        other = there.get(section)
        if section in _WITHOUT_EFFECT or not isinstance(values, dict):
            continue
        if not isinstance(other, dict):
            return f"no section {section} there"
        for key in (*values, *other):
            is_other = values.get(key) != other.get(key)
            if is_other and f"{section}.{key}" not in _WITHOUT_EFFECT:
                return f"{section}.{key}: {other.get(key)!r} there, {values.get(key)!r} here"
    return ""


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


def insert_row(path: Path, row: Row) -> None:
    """Add a row to a CSV file atomically, where its ``seed`` belongs; one of that seed gives way.

    So a run that is done again, as its process died before anybody knew that it had ended, has one
    row. The file depends on its rows alone, not on the order in which they came: its columns are
    the union of theirs, each behind the one that precedes it. Runs that end at the same time wait
    for each other. A file that is not a table is set aside, under another name.

    Parameters
    ----------
    path : Path
    row : dict
    """
    with _locked(path.parent):
        remove_halves(path.parent, path.name)
        try:
            rows, columns = read_rows(path)
        except FileNotFoundError:
            rows, columns = [], []
        except (OSError, ValueError, csv.Error) as error:
            rows, columns = [], []
            aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            os.replace(path, aside)
            logger.warning(
                "%s is not a table (%s); it is now called %s.", path, cause(error), aside.name
            )
        rows = [old for old in rows if old.get("seed") != str(row["seed"])]
        rows = sorted([*rows, row], key=_seed)
        names: list[str] = []
        for one in rows:
            names = _merged(names, [name for name in one if name and one[name] not in ("", None)])
        for extra in (columns, list(row)):
            names = _merged(names, extra)
        known = [{name: one.get(name, "") for name in names} for one in rows]
        write_rows(path, known, names)


def read_rows(path: Path) -> tuple[list[Row], list[str]]:
    """Return the rows of a CSV file, and its columns.

    Bytes that are no UTF-8 are kept as they are, and fields may be of any length.

    Raises
    ------
    OSError, ValueError, csv.Error
        If it cannot be read, or is not a regular file or not a table.
    """
    text = read_regular(path, MAX_BYTES).decode(errors="surrogateescape")
    limit = csv.field_size_limit(MAX_BYTES)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
        rows: list[Row] = list(reader)
        return rows, [name for name in reader.fieldnames or () if name]
    finally:
        csv.field_size_limit(limit)


def _seed(row: Row) -> float:
    """Return the seed to sort by; rows that somebody else wrote come first."""
    try:
        return int(str(row["seed"]))
    except (KeyError, ValueError):
        return float("-inf")


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
    if fcntl is None:
        with FileLock(folder / ".lock"):
            yield
        return
    # The folder itself is locked, so that no file is left.
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
    guard : Guard, optional
        See `dso.runs.disk.GrowingFile`.
    """

    def __init__(self, path: Path, save_freq: int | None = 1, guard: Guard | None = None) -> None:
        self._file = GrowingFile(path, guard)
        self._pace = Pace(save_freq)

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
        if self._file.n_bytes == 0:
            self._file.write()  # makes the file
            rows = chain([columns], rows)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.append(text.getvalue().encode())
        if self._pace.is_due() or self._file.is_worth_writing:
            self._file.write()

    def close(self) -> None:
        """Write out what is pending."""
        self._file.close()

    def state_dict(self) -> dict[str, Any]:
        """Return how far the file has come."""
        return self._file.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the file back to where `state_dict` was taken."""
        self._file.load_state_dict(state)


class RunFolder:
    """The files of one run in a folder that all runs of a batch share.

    Parameters
    ----------
    path : Path
    task_name : str
    seed : int
    config : str
        What ``config.json`` says, unless a run of the same batch has written one.

    Attributes
    ----------
    guard : Guard
        Decides what happens where a file of this run cannot be written.
    lock : RunLock
        See `claim`.
    """

    def __init__(
        self,
        path: Path,
        task_name: str,
        seed: int,
        config: str = "{}",
        guard: Guard | None = None,
    ) -> None:
        self.path = path
        self.prefix = f"dso_{file_name(task_name)}_{seed}"
        self.guard = guard or Guard()
        self.lock = RunLock(path / f".{self.prefix}.lock")
        self._config = config

    def file(self, suffix: str) -> Path:
        """Return the path of one of this run's own files, e.g. ``_hof.csv``."""
        return self.path / f"{self.prefix}{suffix}"

    def claim(self) -> None:
        """Be the only one that writes this run's own files, until `release`.

        What a run of the same name and seed left half written is removed.

        If the folder does not exist yet, or cannot be written to, nothing needs protection.

        Raises
        ------
        Refused
            If another process, or another object, writes them.
        """
        if self.path.is_dir():
            with self.guard(self.lock.path):
                if self.lock.acquire():
                    remove_halves(self.path, f"{self.prefix}.")
                    remove_halves(self.path, f"{self.prefix}_")

    def release(self) -> None:
        """Let others write this run's files."""
        with self.guard(self.lock.path):
            self.lock.release()

    def create(self) -> None:
        """Make the folder and write ``config.json``, and again where they were deleted.

        A config of other runs gives way, with a warning.
        """
        with self.guard(self.path):
            self._create()
            self.claim()
            self._replace_other_config()

    def _create(self) -> None:
        path = self.path / "config.json"
        if path.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        with _locked(self.path):
            if not path.exists():
                write_text(path, self._config)

    def _replace_other_config(self) -> None:
        path = self.path / "config.json"
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
            other = config_difference(there, json.loads(self._config))
        except (ValueError, AttributeError):
            other = "it cannot be read"
        if other:
            logger.warning("%s is of another run (%s); it is replaced.", path, other)
            write_text(path, self._config)

    def write_rows(self, suffix: str, rows: Iterable[Row], columns: Sequence[str]) -> None:
        """Replace one of this run's own CSV files atomically."""
        path = self.file(suffix)
        with self.guard(path):
            self._create()
            write_rows(path, list(rows), columns)

    def append_summary(self, row: Row) -> None:
        """Add this run's row to ``summary.csv``; see `insert_row`."""
        path = self.path / "summary.csv"
        with self.guard(path):
            self._create()
            insert_row(path, row)
