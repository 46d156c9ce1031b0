"""Reading what runs wrote: during the run, after it was cut off, or with files missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.files import check_regular, read_regular

if TYPE_CHECKING:
    import pandas as pd

MAX_BYTES = 2**30
TEXT_COLUMNS = ("expression", "traversal", "error")
BEGUN = ("config.json", "batch.json", "estimator.json", "summary.csv")
"""Files that a run, a batch or a fit writes first or last."""
OWN_FILE = re.compile(r"(?P<prefix>dso_(?P<task>.+)_(?P<seed>\d+))(_hof|_pf|_all_info)?\.csv")


@dataclass(frozen=True, order=True)
class RunName:
    """How the files of one run are called.

    Attributes
    ----------
    task : str
    seed : int
    prefix : str
        What the names of the run's own files begin with.
    """

    task: str
    seed: int
    prefix: str


def refuse_without_runs(folder: Path) -> None:
    """Refuse a folder that no run, fit or batch has begun.

    Raises
    ------
    UserError
        Naming folders in it that some have begun, if there are any.
    """
    if _is_begun(folder):
        return
    inner = sorted(path.name for path in folder.iterdir() if path.is_dir() and _is_begun(path))
    hint = f" Did you mean one of the folders in it: {', '.join(inner[:10])}?" if inner else ""
    raise UserError(f"{folder}: holds no run and no fit of dso.{hint}")


def _is_begun(folder: Path) -> bool:
    names = [path.name for path in folder.iterdir()]
    return any(name in BEGUN or OWN_FILE.fullmatch(name) for name in names)


class RunResults:
    """The files of a run folder, each read again only when it has changed.

    Attributes
    ----------
    path : Path
    issues : dict of str to str
        For each file that could not be read whole, why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.issues: dict[str, str] = {}
        self._tables: dict[str, tuple[tuple[int, int], pd.DataFrame]] = {}

    def runs(self) -> list[RunName]:
        """Return the runs that have files, by task and seed."""
        return sorted(set(self._named()))

    def _named(self) -> Iterator[RunName]:
        for name in self._file_names():
            if match := OWN_FILE.fullmatch(name):
                yield RunName(match["task"], int(match["seed"]), match["prefix"])

    def _file_names(self) -> list[str]:
        try:
            return [path.name for path in self.path.iterdir()]
        except OSError:
            return []

    def config(self) -> dict[str, Any]:
        """Return ``config.json``, empty where there is none that can be read."""
        try:
            content = json.loads(read_regular(self.path / "config.json", MAX_BYTES))
        except FileNotFoundError:
            self.issues["config.json"] = "is missing"
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self.issues["config.json"] = f"cannot be read: {error}"
            return {}
        self.issues.pop("config.json", None)
        return content if isinstance(content, dict) else {}

    def summary(self) -> pd.DataFrame:
        """Return ``summary.csv``, one row per run that has ended; the last one of each seed."""
        table = self.table("summary.csv")
        if "seed" not in table:
            return table.iloc[:0]
        return table.drop_duplicates("seed", keep="last")

    def best(self, run: RunName, suffix: str) -> pd.DataFrame:
        """Return a run's hall of fame (``_hof``) or Pareto front (``_pf``).

        Rewards and complexities are numbers, NaN where the file has none. The hall of fame has each
        expression once, though several programs in the file may simplify to it.
        """
        name = f"{run.prefix}{suffix}.csv"
        table = self.table(name)
        if not len(table):
            return table
        needed = ("r", "complexity") if suffix == "_pf" else ("r",)
        if missing := [column for column in needed if column not in table]:
            self.issues[name] = f"has no column {', '.join(missing)}"
            return table.iloc[:0]
        if suffix == "_hof" and "expression" in table:
            is_again = table["expression"].duplicated() & table["expression"].notna()
            table = table[~is_again].reset_index(drop=True)
        return table.assign(**{column: numbers(table, column) for column in needed})

    def reductions(self, run: RunName) -> dict[str, Any] | None:
        """Return what its data said of the form, ``why`` and ``steps``; None where nobody asked."""
        name = f"{run.prefix}_reductions.json"
        try:
            content = json.loads(read_regular(self.path / name, MAX_BYTES))
            found = {"why": str(content["why"]), "steps": [str(step) for step in content["steps"]]}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            self.issues[name] = "cannot be read"
            return None
        self.issues.pop(name, None)
        return found

    def log(self, run: RunName) -> pd.DataFrame:
        """Return a run's row for each iteration."""
        return self.table(f"{run.prefix}.csv")

    def table(self, name: str) -> pd.DataFrame:
        """Return a CSV file without the line that is being written; empty where there is none."""
        import pandas as pd

        path = self.path / name
        try:
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            known = self._tables.get(name)
            if known is None or known[0] != stamp:
                self.issues.pop(name, None)
                known = stamp, self._read(name, read_regular(path, MAX_BYTES))
                self._tables[name] = known
        except FileNotFoundError:
            return pd.DataFrame()
        except OSError as error:
            self.issues[name] = f"cannot be read: {error.strerror}"
            return pd.DataFrame()
        return known[1]

    def _read(self, name: str, content: bytes) -> pd.DataFrame:
        import pandas as pd

        whole, newline, rest = content.rpartition(b"\n")
        if rest:
            self.issues[name] = "ends within a line, which is left out"
        try:
            table = pd.read_csv(
                BytesIO(whole + newline),
                encoding_errors="replace",
                on_bad_lines="skip",
                low_memory=False,
                dtype=dict.fromkeys(TEXT_COLUMNS, str),
            )
        except pd.errors.EmptyDataError:
            return pd.DataFrame()
        except (ValueError, OverflowError, pd.errors.ParserError) as error:
            self.issues[name] = f"is not a table: {error}"
            return pd.DataFrame()
        if not isinstance(table.index, pd.RangeIndex):  # pandas took columns for names of rows
            self.issues[name] = "has rows that are longer than its header"
            return pd.DataFrame()
        return table

    def all_rewards(self, run: RunName) -> np.ndarray | None:
        """Return the rewards (iterations, B) that ``save_all_iterations`` kept, None without."""
        name = f"{run.prefix}_all_r.npy"
        try:
            check_regular(self.path / name)
            rewards = np.load(self.path / name, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            return None
        except (
            Exception
        ) as error:  # numpy reads headers with a parser of Python, which fails so too
            self.issues[name] = f"cannot be read: {error}"
            return None
        self.issues.pop(name, None)
        return rewards if rewards.ndim == 2 and rewards.size else None

    def stamp(self) -> tuple:
        """Return what changes when any file of the folder does."""
        states = []
        for name in sorted(self._file_names()):
            try:
                state = (self.path / name).stat()
            except OSError:
                continue
            states.append((name, state.st_mtime_ns, state.st_size))
        return tuple(states)


def numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column (n,) as float64, NaN where it holds no number or is missing."""
    import pandas as pd

    if column not in table:
        return np.full(len(table), np.nan)
    return pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)


def truths(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column (n,) as bool, False where it says nothing."""
    if column not in table:
        return np.zeros(len(table), dtype=bool)
    return (table[column].astype(str).str.lower().isin(("true", "1", "1.0"))).to_numpy(dtype=bool)
