"""Where a model of the data may be asked: where rows of the data are near."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dso.reduction.surrogate import Surrogate

REACH = 2.0
"""A place is near a row within this many times the distance that most rows have to neighbours."""
MIN_PLACES = 30
FAR = 1e9


class Inside:
    """A model, asked for its values near its rows only.

    Parameters
    ----------
    model : Surrogate

    Attributes
    ----------
    error : float
        By what the model errs on unseen rows, the median.
    """

    def __init__(self, model: Surrogate) -> None:
        from scipy.spatial import KDTree  # slow to import

        self.model = model
        self.error = float(np.median(model.errors))
        self._rows = KDTree(model.standardised(model.X))
        distances = self._rows.query(self._rows.data, k=2)[0][:, 1]
        self._reach = REACH * float(np.quantile(distances, 0.9))

    def values(self, corners: Sequence[np.ndarray]) -> np.ndarray | None:
        """Return the values at the corners of figures.

        Parameters
        ----------
        corners : sequence of (F, D) float64
            The first corner of all figures, the second, and so on.

        Returns
        -------
        (C, G) float64 or None
            Of the figures all corners of which are near rows; None if there are too few.
        """
        places = self.model.standardised(np.concatenate(corners))
        near = (
            self._rows.query(np.nan_to_num(places, nan=FAR, posinf=FAR, neginf=-FAR))[0]
            <= self._reach
        )
        is_near = near.reshape(len(corners), -1).all(axis=0)
        if is_near.sum() < MIN_PLACES:
            return None
        return np.stack([self.model.predict(corner[is_near]) for corner in corners])
