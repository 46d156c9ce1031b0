"""The regressors of the token `poly`: from the values that it should have to coefficients.

Each takes monomials (n, P), wanted values (n,) and weights (n,) or None, and returns coefficients
(P,). The first monomial is 1, and an intercept is added to its coefficient.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.fitting.weights import weighted_variance

Regressor = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
PARAMS_KEY = "task.poly_optimizer_params.regressor_params"
"""That errors name."""


def make_regressor(name: str, params: dict[str, Any]) -> Regressor:
    """Bind a regressor other than `dso_least_squares` to its parameters.

    Parameters
    ----------
    name : {"linear_regression", "lasso", "ridge", "dso_lasso"}
    params : dict
        Arguments of scikit-learn's class; of `dso_lasso`: gamma, comp_tol, rtrn_constrnd_ls.

    Raises
    ------
    UserError
        If there is no such argument, or it does not take this value.
    """
    if name == "dso_lasso":
        _check_own_lasso(params)
        return partial(_own_lasso, **params)
    from sklearn import linear_model  # takes a second to import

    made = {
        "linear_regression": linear_model.LinearRegression,
        "lasso": linear_model.Lasso,
        "ridge": linear_model.Ridge,
    }[name]
    regressor = partial(_of_sklearn, lambda: made(**params))
    try:
        # The classes look at the values of their arguments no sooner than in a fit.
        regressor(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0]]), np.array([0.0, 1.0, 2.0]), None)
    except (TypeError, ValueError) as error:
        raise UserError(f"{PARAMS_KEY}: {str(error).rstrip('.')}.") from None
    return regressor


def _check_own_lasso(params: dict[str, Any]) -> None:
    """Refuse parameters of `dso_lasso` that mean nothing."""
    for key, value in params.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in ("gamma", "comp_tol") and not (is_number and 0 <= value < np.inf):
            raise UserError(f"{PARAMS_KEY}.{key}: {value!r}; allowed: a finite number >= 0.")
        if key == "rtrn_constrnd_ls" and not isinstance(value, bool):
            raise UserError(f"{PARAMS_KEY}.{key}: {value!r}; allowed: true or false.")


def _of_sklearn(
    make: Callable[[], Any], monomials: np.ndarray, wanted: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    model = make()
    if hasattr(model, "warm_start"):
        # A lasso has one optimum, and from here it takes few steps there; from zero thousands.
        model.warm_start = True
        model.coef_ = _least_squares(monomials, wanted, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(monomials, wanted, sample_weight=weights)
    coefficients = np.array(model.coef_, dtype=np.float64)
    coefficients[0] += model.intercept_
    return coefficients


def _own_lasso(
    monomials: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray | None,
    *,
    gamma: float,
    comp_tol: float,
    rtrn_constrnd_ls: bool,
) -> np.ndarray:
    """Minimise |y - X b|^2 / (2 n var y) + gamma |b|_1 / P; then least squares on the support."""
    from sklearn.linear_model import Lasso

    n_terms = monomials.shape[1]
    scale = weighted_variance(wanted, weights) or 1.0
    lasso = partial(
        Lasso, alpha=gamma * scale / n_terms, tol=comp_tol, fit_intercept=False, max_iter=10_000
    )
    coefficients = _of_sklearn(lasso, monomials, wanted, weights)
    support = np.flatnonzero(coefficients)
    if rtrn_constrnd_ls and len(support):
        coefficients[support] = _least_squares(monomials[:, support], wanted, weights)
    return coefficients


def _least_squares(
    monomials: np.ndarray, wanted: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    roots = np.ones(len(wanted)) if weights is None else np.sqrt(weights)
    return np.linalg.lstsq(roots[:, None] * monomials, roots * wanted, rcond=None)[0]


def pruned(
    coefficients: np.ndarray,
    monomials: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray | None,
    cutoff_p_value: float,
    n_max_terms: int | None,
) -> np.ndarray:
    """Keep the significant terms of a least-squares fit, and fit those alone again.

    The p-values are those of two-sided t-tests that a coefficient is zero. Terms with a larger one
    than `cutoff_p_value` go, then all but the `n_max_terms` with the smallest.

    Parameters
    ----------
    coefficients : (P,) float64
        Zero where a term is out already.
    monomials, wanted, weights : (n, P), (n,), (n,) or None
    cutoff_p_value : float
    n_max_terms : int or None
    """
    from scipy.stats import t

    terms = np.flatnonzero(coefficients)
    n_rows = len(wanted)
    is_enough = cutoff_p_value >= 1 and (n_max_terms is None or len(terms) <= n_max_terms)
    if is_enough or n_rows <= len(terms):
        return coefficients
    roots = np.ones(n_rows) if weights is None else np.sqrt(weights)
    left, right = roots[:, None] * monomials[:, terms], roots * wanted
    sizes = np.linalg.norm(left, axis=0)
    inverse = np.linalg.pinv(left / sizes) / sizes[:, None]
    estimate = inverse @ right
    error = np.sum((right - left @ estimate) ** 2) / (n_rows - len(terms))
    deviation = np.sqrt(error * np.sum(inverse**2, axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * t.sf(np.abs(estimate) / deviation, n_rows - len(terms))
    order = np.argsort(p_values, kind="stable")
    kept = order[p_values[order] <= cutoff_p_value][:n_max_terms]
    result = np.zeros_like(coefficients)
    if len(kept):
        result[terms[kept]] = _least_squares(monomials[:, terms[kept]], wanted, weights)
    return result
