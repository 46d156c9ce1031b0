"""FitData: rows of data that the programs of one library are compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.program.columns import Rows


@dataclass(frozen=True)
class FitData:
    """Inputs and a target, as rewards, fits and the search by values take them.

    Attributes
    ----------
    library : Library
        Of the programs; its inputs are the columns.
    columns : (D, N) float64
        Inputs, one row of memory per input.
    y : (N,) float64
    weights : (N,) float64 or None
        Of the rows, in squared errors.
    protected : bool
        Whether programs are executed in protected mode.
    """

    library: Library
    columns: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None = None
    protected: bool = False

    @classmethod
    def of_rows(
        cls,
        library: Library,
        X: np.ndarray,
        y: np.ndarray,
        weights: np.ndarray | None = None,
        protected: bool = False,
    ) -> Self:
        """Arrange inputs (N, D) by column."""
        columns = np.ascontiguousarray(np.asarray(X, dtype=np.float64).T)
        y = np.ascontiguousarray(y, dtype=np.float64)
        return cls(library, columns, y, weights, protected)

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.y)

    @property
    def native(self) -> _core.Data:
        """A copy for the native core."""
        return _core.Data(self.columns, self.y, self.weights, self.protected)

    def on_rows(self, rows: Rows) -> Self:
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        columns = np.ascontiguousarray(self.columns[:, rows])
        return replace(self, columns=columns, y=self.y[rows], weights=weights)
