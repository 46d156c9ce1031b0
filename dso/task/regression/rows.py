"""The roles of rows of data: weights, rows set aside, and rows drawn for the search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dso.errors import UserError
from dso.streams import Stream

MANY_ROWS = 1000
"""Up to this many rows the search sees all of them; of more it sees this many at a time."""

MIN_WEIGHT = 1e-200
"""That the greatest weight may have: less, and products with squared errors lose their digits."""


def check_weights(weights: np.ndarray, label: str, place: Callable[[int], str]) -> None:
    """Refuse weights (N,) that cannot be used.

    Parameters
    ----------
    weights : (N,) float64
        Finite.
    label : str
        What they are called.
    place : callable
        Says where row i stands.

    Raises
    ------
    UserError
        If a weight is negative, all are zero, or they are beyond what can be computed with.
    """
    is_negative = weights < 0
    if is_negative.any():
        row = int(np.flatnonzero(is_negative)[0])
        raise UserError(
            f"{label}: {place(row)} has the weight {weights[row]:g}; a weight must not be negative."
        )
    with np.errstate(over="ignore"):
        total = weights.sum()
    if total == 0:
        raise UserError(f"{label}: every weight is zero; at least two rows must count.")
    if not np.isfinite(total):
        raise UserError(f"{label}: the weights add up to more than a number can hold; scale them.")
    if weights.max() < MIN_WEIGHT:
        raise UserError(
            f"{label}: the greatest weight is {weights.max():g}, too small to multiply squared "
            f"errors by; scale them, so that it is at least {MIN_WEIGHT:g}."
        )


def validation_rows(n_rows: int, fraction: float, seed: int = 0) -> np.ndarray:
    """Choose at random the rows to set aside.

    Parameters
    ----------
    n_rows : int
    fraction : float
    seed : int
        Of the data, not of the run: every run on the same data sets aside the same rows.

    Returns
    -------
    (N,) bool

    Raises
    ------
    UserError
        If fewer than two rows would be on either side.
    """
    n_chosen = round(fraction * n_rows)
    if not 2 <= n_chosen <= n_rows - 2:
        raise UserError(
            f"task.validation_fraction: {fraction:g} of {n_rows} rows sets {n_chosen} aside; at "
            "least 2 are needed, and as many to fit."
        )
    is_chosen = np.zeros(n_rows, dtype=bool)
    random = Stream(seed, "validation rows").generator()
    is_chosen[random.choice(n_rows, n_chosen, replace=False)] = True
    return is_chosen


def n_search_rows(n_rows: int, batching: bool | str, n_wanted: int | None) -> int:
    """Return how many of `n_rows` rows the search sees at a time.

    Parameters
    ----------
    n_rows : int
    batching : bool or "auto"
        "auto": a part of them where they are many.
    n_wanted : int, optional
        Default: `MANY_ROWS`.
    """
    if batching is False or (batching == "auto" and n_rows <= MANY_ROWS):
        return n_rows
    return min(n_rows, n_wanted or MANY_ROWS)


def draw_rows(n_rows: int, n_drawn: int, stream: Stream) -> np.ndarray:
    """Return `n_drawn` different rows, ascending."""
    return np.sort(stream.generator().choice(n_rows, n_drawn, replace=False, shuffle=False))
