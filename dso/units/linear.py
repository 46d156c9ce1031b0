"""Systems of linear equations over the rationals."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Row = Sequence[Fraction]


def solve(columns: Sequence[Row], target: Row) -> list[Fraction] | None:
    """Return numbers x with sum_j x_j columns_j = target, 0 where they are free; None if none do.

    Parameters
    ----------
    columns : sequence of n rows of m numbers
    target : m numbers
    """
    n = len(columns)
    rows = [[*(column[i] for column in columns), target[i]] for i in range(len(target))]
    pivots = _eliminate(rows, n)
    if any(row[n] for row in rows[len(pivots) :]):
        return None
    solution = [Fraction(0)] * n
    for row, pivot in zip(rows, pivots, strict=False):
        solution[pivot] = row[n]
    return solution


def rank(columns: Sequence[Row]) -> int:
    """Return how many of the columns are independent."""
    if not columns:
        return 0
    rows = [[column[i] for column in columns] for i in range(len(columns[0]))]
    return len(_eliminate(rows, len(columns)))


def null_space(equations: Sequence[Row], n: int) -> list[list[Fraction]]:
    """Return all x with equations . x = 0 as x = B t for any t: the n rows of B.

    Parameters
    ----------
    equations : sequence of rows of n numbers
    """
    rows = [list(row) for row in equations]
    pivots = _eliminate(rows, n)
    free = [j for j in range(n) if j not in pivots]
    basis = [[Fraction(i == j) for j in free] for i in range(n)]
    for row, pivot in zip(rows, pivots, strict=False):
        basis[pivot] = [-row[j] for j in free]
    return basis


def _eliminate(rows: list[list[Fraction]], n_columns: int) -> list[int]:
    """Bring rows to reduced echelon form in place; return the columns of the pivots."""
    pivots: list[int] = []
    for j in range(n_columns):
        at = len(pivots)
        found = next((i for i in range(at, len(rows)) if rows[i][j]), None)
        if found is None:
            continue
        rows[at], rows[found] = rows[found], rows[at]
        pivot = rows[at][j]
        rows[at] = [number / pivot for number in rows[at]]
        for i in range(len(rows)):
            if i != at and rows[i][j]:
                factor = rows[i][j]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[at], strict=True)]
        pivots.append(j)
    return pivots
