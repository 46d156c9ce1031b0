"""Reading a CSV file of numbers; errors name the cell."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from dso.errors import UserError
from dso.files import check_regular

logger = logging.getLogger("dso")

CELLS_AT_ONCE = 200_000
"""Cells held as text at a time: a number takes 8 bytes, its text eight times as much."""

Rows = list[list[str]]


@dataclass(frozen=True)
class Table:
    """A table of finite numbers.

    Attributes
    ----------
    path : Path
    values : (N, columns) float64
    names : tuple of str, or None without a header
    """

    path: Path
    values: np.ndarray
    names: tuple[str, ...] | None
    first_row: int | None = None
    """Number of the first row of data in the file, where rows follow each other there."""

    def line(self, row: int) -> int:
        """Return where a row (from 0) stands in the file, from 1."""
        if self.first_row is not None:
            return self.first_row + row
        with _open(self.path) as file:
            lines = (line for _, part in _chunks(csv.reader(file)) for line in part)
            return next(islice(lines, row + (self.names is not None), None))


def without_index(table: Table) -> Table:
    """Leave out a first column without a name that numbers the rows, as data frames write it."""
    names, first = table.names, table.values[:, 0]
    if not names or names[0] or len(names) < 3 or first[0] not in (0, 1):
        return table
    if not (np.diff(first) == 1).all():
        return table
    logger.warning(
        "%s: the first column has no name and numbers the rows; it is left out.", table.path
    )
    return replace(table, values=table.values[:, 1:], names=names[1:])


def read_csv(path: Path, header: bool | None = None) -> Table:
    """Read a table of finite numbers: inputs, then y.

    Parameters
    ----------
    path : Path
    header : bool, optional
        Whether the first row holds names. Default: it does when one of its cells is not a number.

    Raises
    ------
    UserError
        If the file is missing, empty or ragged, has one column, or a cell is not a finite number.
    """
    with _open(path) as file:
        rows, lines = next(_chunks(csv.reader(file)), ([], []))
    if not rows:
        raise UserError(f"{path}: the file is empty.")
    width = _checked_width(path, rows[0])
    names = None
    if header if header is not None else _looks_like_header(rows[0], path):
        names = tuple(cell.strip() for cell in rows[0])
        if len(rows) == 1:
            raise UserError(f"{path}: no rows of data below the header.")
    values = _read_fast(path, lines[0] if names else 0, width)
    if values is None:
        values = _read_by_cell(path, width, names)
    return Table(path, values, names)


def _read_fast(path: Path, n_skipped: int, width: int) -> np.ndarray | None:
    """Read (N, columns) float64 in a tenth of the time; None where anything is unusual."""
    try:
        values = np.loadtxt(
            path,
            delimiter=",",
            comments=None,
            quotechar='"',
            skiprows=n_skipped,
            encoding="utf-8-sig",
            ndmin=2,
        )
    except (ValueError, OSError):
        return None
    return values if values.shape[1] == width and np.isfinite(values).all() else None


def _read_by_cell(path: Path, width: int, names: tuple[str, ...] | None) -> np.ndarray:
    """Read (N, columns) float64, or say which cell stands in the way."""
    parts: list[np.ndarray] = []
    n_skipped = int(names is not None)
    with _open(path) as file:
        for rows, lines in _chunks(csv.reader(file)):
            parts.append(_numbers(path, rows[n_skipped:], lines[n_skipped:], width, names))
            n_skipped = 0
    return np.concatenate(parts)


@contextmanager
def _open(path: Path) -> Iterator:
    try:
        check_regular(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not a CSV file in UTF-8 ({error}).") from None


def _chunks(reader) -> Iterator[tuple[Rows, list[int]]]:  # type: ignore[no-untyped-def]
    """Yield the rows that are not blank some at a time, with their numbers in the file (from 1)."""
    rows: Rows = []
    lines: list[int] = []
    for row in reader:
        if row and (row[0].strip() or any(cell.strip() for cell in row)):
            rows.append(row)
            lines.append(reader.line_num)
            if len(rows) > 1 and len(rows) * len(rows[0]) >= CELLS_AT_ONCE:
                yield rows, lines
                rows, lines = [], []
    if rows:
        yield rows, lines


def _checked_width(path: Path, first: list[str]) -> int:
    if len(first) < 2:
        raise UserError(
            f"{path}: has one column, {first[0].strip()[:40]!r} in its first row; expected one "
            "or more inputs, then y, separated by commas."
        )
    return len(first)


def _numbers(
    path: Path, rows: Rows, lines: list[int], width: int, names: tuple[str, ...] | None
) -> np.ndarray:
    """Convert rows of text to (rows, columns) float64."""
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            raise UserError(f"{path}: row {line} has {len(row)} columns, {width} expected.")
    try:
        cells = map(float, chain.from_iterable(rows))
        values = np.fromiter(cells, np.float64, len(rows) * width).reshape(-1, width)
    except ValueError:
        values = None
    if values is None or not np.isfinite(values).all():
        raise _first_bad_cell(path, rows, lines, names)
    return values


def _looks_like_header(row: list[str], path: Path) -> bool:
    """Tell names from data: an empty cell or `nan` is missing data, not a name."""
    texts = [cell for cell in row if cell.strip() and _number(cell) is None]
    if texts and any(_number(cell) is not None for cell in row):
        logger.warning(
            "%s: row 1 is read as a header because it holds %r; set task.header to false if it "
            "is data.",
            path,
            texts[0],
        )
    return bool(texts)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _first_bad_cell(
    path: Path, rows: Rows, lines: list[int], names: tuple[str, ...] | None
) -> UserError:
    for row, line in zip(rows, lines, strict=True):
        for column, cell in enumerate(row):
            number = _number(cell)
            if number is None or not math.isfinite(number):
                called = f" ({names[column]!r})" if names else ""
                held = f"holds {cell.strip()!r}" if cell.strip() else "is empty"
                return UserError(
                    f"{path}: row {line}, column {column + 1}{called} {held}; every value must be "
                    "a finite number."
                )
    raise AssertionError("a table was refused in which every cell is a finite number")
