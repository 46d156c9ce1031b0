"""Read a CSV file of numbers, and say where a cell is not one."""

from __future__ import annotations

import csv
import logging
import math
from pathlib import Path

import numpy as np

from dso.errors import UserError

logger = logging.getLogger("dso")


def read_csv(path: Path, header: bool | None = None) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Read a table of finite numbers: inputs, then y.

    Parameters
    ----------
    path : Path
    header : bool, optional
        Whether the first row holds names. Default: it does when one of its cells is not a number.

    Returns
    -------
    values : (N, columns) float64
    names : tuple of str, or None without a header

    Raises
    ------
    UserError
        If the file is missing, empty or ragged, has one column, or a cell is not a finite number.
    """
    rows, lines = _read_rows(path)
    names = None
    if header if header is not None else _looks_like_header(rows[0], path):
        names = tuple(cell.strip() for cell in rows[0])
        rows, lines = rows[1:], lines[1:]
        if not rows:
            raise UserError(f"{path}: no rows of data below the header.")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names or rows[0]):
            raise UserError(
                f"{path}: row {line} has {len(row)} columns, {len(names or rows[0])} expected."
            )
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError:
        values = None
    if values is None or not np.isfinite(values).all():
        raise _first_bad_cell(path, rows, lines, names)
    return values, names


def _read_rows(path: Path) -> tuple[list[list[str]], list[int]]:
    """Return the rows that are not blank, and their numbers in the file (from 1)."""
    rows, lines = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if any(cell.strip() for cell in row):
                    rows.append(row)
                    lines.append(reader.line_num)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is not a CSV file in UTF-8 ({error}).") from None
    if not rows:
        raise UserError(f"{path}: the file is empty.")
    if len(rows[0]) < 2:
        raise UserError(
            f"{path}: has one column, {rows[0][0].strip()[:40]!r} in its first row; expected one "
            "or more inputs, then y, separated by commas."
        )
    return rows, lines


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
    path: Path, rows: list[list[str]], lines: list[int], names: tuple[str, ...] | None
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
    raise AssertionError("numpy refused a table in which every cell is a finite number")
