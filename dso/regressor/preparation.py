"""Preparing data for a search: choosing inputs, removing noise.

Both are scikit-learn's work: inputs are ranked by a random forest, noise is what a Gaussian process
does not explain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from dso.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

N_TREES, DEPTH = 100, 3
N_STARTS = 5
"""Of the fit of a Gaussian process."""
MAX_DENOISED = 5000
"""A Gaussian process of N rows takes N^3 operations and N^2 numbers."""


_OF_TIMES = ". Give a number instead, such as the seconds since the first of them."
_OF_CATEGORIES = (
    ". Make a column of 0 and 1 for each category (pandas.get_dummies), or number the categories "
    "(pandas.factorize) and give each its own parameters with a template."
)


def refuse_categories(X: Any) -> None:
    """Refuse columns of a data frame that hold no numbers; those of whole and truth values do.

    Raises
    ------
    UserError
        Naming the columns, and what can be done.
    """
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "columns"):
        return
    wrong = [
        str(name)
        for name, dtype in zip(X.columns, dtypes, strict=True)
        if not _is_numeric(dtype) and not _holds_numbers(X[name])
    ]
    if wrong:
        column = X[wrong[0]]
        values = ", ".join(repr(value) for value in list(dict.fromkeys(column))[:3])
        raise UserError(
            f"X: column {wrong[0]!r} holds {column.dtype} ({values}, ...), not numbers"
            + (f"; so do {', '.join(map(repr, wrong[1:]))}" if wrong[1:] else "")
            + (_OF_TIMES if _is_time(column) else _OF_CATEGORIES)
        )


def _is_numeric(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "biuf" or str(dtype).lower().startswith(
        ("int", "uint", "float", "bool")
    )


def _is_time(column: pd.Series) -> bool:
    return getattr(column.dtype, "kind", "O") in "mM"


def _holds_numbers(column: pd.Series) -> bool:
    """Tell whether a column of objects can be read as numbers; others are refused elsewhere."""
    if str(column.dtype) == "category" or _is_time(column):
        return False
    try:
        np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def rank_inputs(
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None,
    names: Sequence[str],
    n_selected: int,
    random_state: Any,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Choose the inputs that explain the targets best.

    Parameters
    ----------
    X : (N, D) array
    targets : (N, K) array
    weights : (N,) array or None
    names : sequence of str
    n_selected : int
    random_state
        Of scikit-learn.

    Returns
    -------
    selected : (D,) bool
    ranking : DataFrame
        Columns input, importance (shares of 1) and selected; the most important first.
    """
    import pandas as pd
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_estimators=N_TREES, max_depth=DEPTH, random_state=_seed(random_state)
    )
    forest.fit(X, targets[:, 0] if targets.shape[1] == 1 else targets, sample_weight=weights)
    importances = forest.feature_importances_
    order = np.argsort(-importances, kind="stable")
    selected = np.zeros(len(names), dtype=bool)
    selected[order[:n_selected]] = True
    ranking = pd.DataFrame(
        {
            "input": [names[i] for i in order],
            "importance": importances[order],
            "selected": selected[order],
        }
    )
    return selected, ranking


def denoised(
    X: np.ndarray, targets: np.ndarray, resampled: np.ndarray | None, random_state: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows with targets that a Gaussian process predicts.

    Its kernel is a Gaussian of each input with its own width, a constant, and white noise.

    Parameters
    ----------
    X : (N, D) array
    targets : (N, K) array
    resampled : (M, D) array, optional
        Where to predict. Default: X.
    random_state
        Of scikit-learn.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    if len(X) > MAX_DENOISED:
        raise UserError(
            f"denoise: {len(X)} rows; a Gaussian process takes at most {MAX_DENOISED}. Give fewer "
            "rows, or leave it out: so many rows average out noise themselves."
        )
    center, scale = X.mean(axis=0), X.std(axis=0)
    scale[scale == 0] = 1.0
    places = X if resampled is None else resampled
    columns = []
    for y in targets.T:
        kernel = RBF(np.ones(X.shape[1])) + WhiteKernel(0.1) + ConstantKernel()
        process = GaussianProcessRegressor(
            kernel,
            n_restarts_optimizer=N_STARTS,
            normalize_y=True,
            random_state=_seed(random_state),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # widths that end at a bound
            process.fit((X - center) / scale, y)
        columns.append(process.predict((places - center) / scale))
    return places, np.column_stack(columns)


def _seed(random_state: Any) -> int:
    """Return a seed; a generator is drawn from once and left as a fit without this leaves it."""
    if isinstance(random_state, np.random.RandomState):
        return 0
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
