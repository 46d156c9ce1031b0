"""Which columns of a table a fit uses, and which rows are hidden from the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dso.data_files import DataTable
from dso.errors import UserError
from dso.streams import Stream

if TYPE_CHECKING:
    import pandas as pd

TARGETS = ("y", "target", "Y")
"""Columns that are the target where nobody says which one is; else it is the last one."""
MIN_HELD_OUT = 10
"""Fewer rows say too little of a formula to be worth taking from the search."""


@dataclass(frozen=True)
class Columns:
    """Names of columns: the inputs, the target, and the weights if there are any."""

    inputs: list[str]
    target: str
    weights: str | None

    @property
    def all(self) -> list[str]:
        """Every column that is read."""
        return [*self.inputs, self.target, *([] if self.weights is None else [self.weights])]


@dataclass(frozen=True)
class Rows:
    """The columns as numbers, and which rows the search does not see.

    Attributes
    ----------
    X : DataFrame (N, D)
    y : Series (N,)
        Its name is that of the target.
    weights : (N,) float64 or None
    is_held_out : (N,) bool
    """

    X: pd.DataFrame
    y: pd.Series
    weights: np.ndarray | None
    is_held_out: np.ndarray

    @property
    def target(self) -> str:
        """Name of the target."""
        return str(self.y.name)


def choose_columns(
    table: DataTable, target: str | None, drop: Sequence[str], weights: str | None
) -> Columns:
    """Return the columns that the options name; what they do not name is an input.

    Raises
    ------
    UserError
        If a name is not in the table, or no input is left.
    """
    if target is None:
        usual = [name for name in TARGETS if name in table.names]
        target = usual[0] if usual else table.names[-1]
    table.find(target, "--target")
    for name in drop:
        table.find(name, "--drop")
    if weights is not None:
        table.find(weights, "--weights")
    inputs = [name for name in table.names if name not in (target, weights, *drop)]
    if not inputs:
        raise UserError(f"{table.path}: no column but {target!r} is left to explain it with.")
    return Columns(inputs, target, weights)


def take_rows(table: DataTable, columns: Columns, share: float) -> Rows:
    """Return the columns as numbers, with a share of the rows held out if it is worth it."""
    import pandas as pd

    X = pd.DataFrame(table.numbers(columns.inputs), columns=columns.inputs)
    y = pd.Series(table.numbers([columns.target])[:, 0], name=columns.target)
    weights = None if columns.weights is None else table.numbers([columns.weights])[:, 0]
    is_held_out = np.zeros(len(y), dtype=bool)
    n_held_out = round(share * len(y))
    if n_held_out >= MIN_HELD_OUT:
        random = Stream(0, "held-out rows").generator()
        is_held_out[random.choice(len(y), n_held_out, replace=False)] = True
    return Rows(X, y, weights, is_held_out)


def described(table: DataTable, rows: Rows) -> str:
    """Return in a line what the fit is about."""
    n_held_out = int(rows.is_held_out.sum())
    names = ", ".join(map(str, rows.X.columns[:8])) + ", ..." * (rows.X.shape[1] > 8)
    held_out = f"{n_held_out} rows are held out" if n_held_out else "no rows are held out"
    return f"{table.path}: {len(rows.y)} rows, {rows.target} from {names}; {held_out}."
