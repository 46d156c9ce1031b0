"""Slow, obvious versions of what the value library does."""

from __future__ import annotations

from itertools import product

import numpy as np

from dso.library import Library
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID


def all_programs(library: Library, max_length: int) -> list[list[int]]:
    """Return every prefix program of at most this many tokens."""
    by_length: dict[int, list[list[int]]] = {}
    for length in range(1, max_length + 1):
        rows = [[int(token)] for token in library.terminal_tokens] if length == 1 else []
        for token in library.unary_tokens:
            rows += [[int(token), *a] for a in by_length.get(length - 1, [])]
        for token, left in product(library.binary_tokens, range(1, length - 1)):
            for a, b in product(by_length[left], by_length.get(length - 1 - left, [])):
                rows.append([int(token), *a, *b])
        by_length[length] = rows
    return [row for rows in by_length.values() for row in rows]


def distinct_values(
    library: Library, programs: ProgramBatch, X: np.ndarray
) -> dict[tuple[float, ...], int]:
    """Map each distinct vector of values on X (D, n), sign aside, to the first program with it.

    Vectors that are not finite, zero or the same on all rows are left out.
    """
    values, cause, _ = execute(library, programs, X)
    found: dict[tuple[float, ...], int] = {}
    for b in np.flatnonzero(cause == VALID):
        row = values[b]
        if np.ptp(row) > 1e-9 * np.abs(row).max():
            found.setdefault(rounded(row), int(b))
    return found


def rounded(row: np.ndarray) -> tuple[float, ...]:
    """Return values to eight digits: zero where they are rounding, the first other one positive."""
    row = np.where(np.abs(row) < 1e-9 * np.abs(row).max(), 0.0, row)
    sign = np.sign(row[np.flatnonzero(row)[0]])
    return tuple(float(f"{value:.8g}") + 0.0 for value in sign * row)
