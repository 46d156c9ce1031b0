"""Tables of data in files of any format, read by pandas.

What a formula can be fitted to is a table of finite numbers with names. `read_table` reads a file,
`DataTable.numbers` makes numbers of its columns, and both say in one sentence what stands in the
way.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError, unknown

if TYPE_CHECKING:
    import pandas as pd

OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""What opens text that is compressed, by the ending."""
TEXT = (".csv", ".tsv", ".txt", ".dat")
EXCEL = (".xlsx", ".xls", ".ods")
SUFFIXES = (*TEXT, *EXCEL, ".parquet", ".npy", ".npz")
SEPARATORS = ("\t", ";", ",", "|", r"\s+")
"""In the order in which they are tried: numbers may have a comma, and text between tabs spaces."""
N_SNIFFED = 20
"""Lines by which the separator is told."""


@dataclass(frozen=True)
class DataTable:
    """A table as it was read.

    Attributes
    ----------
    path : Path
    frame : DataFrame
        Columns without a name in the file are x1, x2, ... and y, the last one.
    first_row : int
        The number that the first row of data has in the file, for messages.
    notes : tuple of str
        What was decided on the way, to be shown.
    """

    path: Path
    frame: pd.DataFrame
    first_row: int = 1
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return list(self.frame.columns)

    def find(self, name: str, where: str) -> str:
        """Return the name of a column, or say which one is nearest."""
        if name not in self.names:
            raise unknown("column", name, self.names, f"{self.path} ({where})")
        return name

    def numbers(self, columns: Iterable[str]) -> np.ndarray:
        """Return columns (N, columns) as float64.

        Raises
        ------
        UserError
            If a column holds text, or a cell no finite number, with row and column.
        """
        parts = [self._column(name) for name in columns]
        return np.column_stack(parts) if parts else np.empty((len(self.frame), 0))

    def _column(self, name: str) -> np.ndarray:
        numbers, is_text = self._parsed(name)
        if is_text.any():
            row = int(np.flatnonzero(is_text)[0])
            raise UserError(
                f"{self.path}: column {name!r} holds text, {str(self.frame[name].iloc[row])[:40]!r}"
                f" in row {self.first_row + row}; leave it out with --drop {name!r}, or turn "
                "it into numbers."
            )
        is_bad = ~np.isfinite(numbers)
        if is_bad.any():
            row = int(np.flatnonzero(is_bad)[0])
            others = f", and {is_bad.sum() - 1} more like it" if is_bad.sum() > 1 else ""
            what = "is empty" if np.isnan(numbers[row]) else "is infinite"
            raise UserError(
                f"{self.path}: row {self.first_row + row}, column {name!r} {what}{others}; "
                "--dropna leaves such rows out."
            )
        return numbers

    def _parsed(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a column (N,) as numbers, NaN where there is none, and where text stands."""
        import pandas as pd

        column = self.frame[name]
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        return numbers, np.isnan(numbers) & column.notna().to_numpy()

    def without_gaps(self, columns: Iterable[str]) -> DataTable:
        """Return the rows without a missing or infinite value in these columns."""
        complete = np.ones(len(self.frame), dtype=bool)
        for name in columns:
            numbers, is_text = self._parsed(name)
            complete &= np.isfinite(numbers) | is_text
        n_out = int((~complete).sum())
        if not n_out:
            return self
        if not complete.any():
            raise UserError(f"{self.path}: --dropna leaves no row.")
        note = f"{n_out} of {len(complete)} rows have a missing value and are left out."
        return replace(self, frame=self.frame[complete], notes=(*self.notes, note))


def is_table(path: str | Path) -> bool:
    """Tell whether a name ends like that of a table."""
    return _kind(Path(path)) in SUFFIXES


def _kind(path: Path) -> str:
    """Return the ending that says the format, in lower case; text may be compressed."""
    *_, before, last = ["", "", *(suffix.lower() for suffix in path.suffixes)]
    return before if last in OPENERS and before in TEXT else last


def read_table(path: str | Path) -> DataTable:
    """Read a table from a file that ends in one of `SUFFIXES`; text may be compressed.

    Raises
    ------
    UserError
        If it cannot be read, has two columns of one name, or no rows.
    """
    path = Path(path).expanduser()
    kind = _kind(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise UserError(f"{path}: {what}; expected a table ({' '.join(SUFFIXES)}).")
    if kind not in SUFFIXES:
        raise unknown("ending", kind or path.name, SUFFIXES, str(path))
    read = _read_text if kind in TEXT else _READERS.get(kind, _read_excel)
    try:
        table = read(path)
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            f"{path}: {error} Try pip install 'deep-symbolic-optimization[tables]'."
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        said = (str(error).strip().splitlines() or [repr(error)])[0].rstrip(".")
        raise UserError(f"{path}: cannot be read: {said}.") from None
    if not len(table.frame) or not len(table.names):
        raise UserError(f"{path}: no rows of data.")
    return _without_index(table)


# ------------------------------------------------------------------------------------------ text


def _read_text(path: Path) -> DataTable:
    import pandas as pd

    lines = _first_lines(path)
    if not lines:
        raise UserError(f"{path}: the file is empty.")
    separator = _separator(lines)
    first = _split(lines[0], separator)
    has_header = any(cell and not _is_number(cell) for cell in first)
    names = [cell.strip() for cell in first] if has_header else None
    if names is not None:
        _check_names(path, names)
    table = pd.read_csv(
        path,
        sep=separator,
        header=None,
        skiprows=1 if has_header else 0,
        names=names,
        decimal="," if separator != "," and _has_decimal_comma(lines, separator) else ".",
        index_col=False,
        skip_blank_lines=True,
        skipinitialspace=True,
        encoding="utf-8-sig",
        engine="python" if separator == r"\s+" else "c",
    )
    if names is None:
        table.columns = _default_names(table.shape[1])
    return DataTable(path, table, 1 + has_header)


def _first_lines(path: Path) -> list[str]:
    """Return the first lines that are not blank."""
    lines: list[str] = []
    try:
        with OPENERS.get(path.suffix.lower(), open)(path, "rt", encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    lines.append(line.rstrip("\r\n"))
                if len(lines) == N_SNIFFED:
                    break
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not text in UTF-8.") from None
    return lines


def _separator(lines: Sequence[str]) -> str:
    """Return the first separator that splits all lines into equally many cells, more than one."""
    for separator in SEPARATORS:
        counts = {len(_split(line, separator)) for line in lines}
        if len(counts) == 1 and counts.pop() > 1:
            return separator
    # A ragged table is read with the one its first line has, so that the error names the line.
    return next((one for one in SEPARATORS if len(_split(lines[0], one)) > 1), ",")


def _split(line: str, separator: str) -> list[str]:
    if separator == r"\s+":
        return line.split()
    return next(csv.reader(StringIO(line), delimiter=separator, skipinitialspace=True), [])


def _has_decimal_comma(lines: Sequence[str], separator: str) -> bool:
    cells = [cell.strip() for line in lines[1:] for cell in _split(line, separator)]
    return any(re.fullmatch(r"[-+]?\d+,\d+([eE][-+]?\d+)?", cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().replace(",", "."))
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------------------------- other formats


def _read_excel(path: Path) -> DataTable:
    import pandas as pd

    table = pd.read_excel(path, header=None).dropna(how="all")
    if not any(isinstance(cell, str) for cell in table.iloc[:1].to_numpy().flat):
        table.columns = _default_names(table.shape[1])
        return DataTable(path, table)
    first = table.iloc[0]
    names = ["" if cell != cell else str(cell).strip() for cell in first]
    _check_names(path, names)
    table = table.iloc[1:].reset_index(drop=True).infer_objects()
    table.columns = names
    return DataTable(path, table, 2)


def _read_parquet(path: Path) -> DataTable:
    import pandas as pd

    table = pd.read_parquet(path).reset_index(drop=True)
    table.columns = list(map(str, table.columns))
    _check_names(path, list(table.columns))
    return DataTable(path, table)


def _read_arrays(path: Path) -> DataTable:
    return DataTable(path, _arrays(path))


def _arrays(path: Path) -> pd.DataFrame:
    import pandas as pd

    with open(path, "rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return _of_array(content)
        arrays = {name: content[name] for name in content.files}
    if set(arrays) == {"X", "y"}:
        X, y = np.atleast_2d(arrays["X"].T).T, arrays["y"].reshape(len(arrays["y"]), -1)
        if y.shape[1] != 1 or len(X) != len(y):
            raise UserError(
                f"{path}: X has the shape {arrays['X'].shape}, y {arrays['y'].shape}; expected "
                "(rows, inputs) and (rows,)."
            )
        return _of_array(np.column_stack([X, y]))
    if len(arrays) == 1:
        return _of_array(next(iter(arrays.values())))
    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or any(len(shape) != 1 for shape in lengths.values()):
        raise UserError(
            f"{path}: holds {', '.join(arrays)}; expected X and y, one array, or columns of one "
            "length."
        )
    return pd.DataFrame(arrays)


def _of_array(array: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    if array.dtype.names:
        return pd.DataFrame({name: array[name] for name in array.dtype.names})
    if array.ndim != 2:
        raise UserError(f"an array of shape {array.shape}; expected (rows, columns)")
    return pd.DataFrame(array, columns=_default_names(array.shape[1]))


def _default_names(n_columns: int) -> list[str]:
    return [*(f"x{i + 1}" for i in range(n_columns - 1)), "y"]


# -------------------------------------------------------------------------------------- columns


def _check_names(path: Path, names: Sequence[str]) -> None:
    repeated = next((name for i, name in enumerate(names) if name and name in names[:i]), None)
    if repeated is not None:
        places = [str(i + 1) for i, name in enumerate(names) if name == repeated]
        raise UserError(
            f"{path}: columns {' and '.join(places)} are both called {repeated!r}; rename one."
        )


def _without_index(table: DataTable) -> DataTable:
    """Leave out the nameless column of row numbers that data frames are written with."""
    if table.names[0] != "":
        return table
    column = table.frame.iloc[:, 0]
    steps = column.diff().dropna() if column.dtype.kind in "iuf" else None
    if steps is None or not (steps == 1).all() or column.iloc[0] not in (0, 1):
        raise UserError(f"{table.path}: the first column has no name; give it one.")
    note = "The first column has no name and numbers the rows; it is left out."
    return replace(table, frame=table.frame.iloc[:, 1:], notes=(*table.notes, note))


_READERS = {".parquet": _read_parquet, ".npy": _read_arrays, ".npz": _read_arrays}
