"""The fit of `poly` in programs with a token that only Python can execute, one at a time.

The same steps as in `polynomial_fitter`, written with dense matrices and numerical derivatives.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dso.fitting.polynomial_basis import PolynomialBasis
from dso.library import Library
from dso.program import ProgramBatch, wanted_values
from dso.program.execute import VALID, execute_columns

MAX_STEPS = 30
"""Of Levenberg and Marquardt's method."""
STARTS = (1.0, 0.1, 10.0, -1.0)
"""Where a polynomial starts if the program cannot be inverted: the first that is valid."""
MAX_ROUNDING = 1e-13
"""Share of a term in the greatest one that stands for zero."""
RELATIVE_STEP = 1e-6
"""Of a polynomial's value, of numerical derivatives."""


def fit_in_python(
    library: Library,
    program: ProgramBatch,
    basis: PolynomialBasis,
    y: np.ndarray,
    protected: bool,
    coef_tol: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the polynomial of one program for the constants that it has.

    Returns
    -------
    coefficients : (P,) float64
    wanted : (n,) float64
        What the polynomial ought to be on the rows of the basis, or is where that is unknown.
    """
    values, to_monomials, sizes = basis.arrays
    weights = np.ones(len(y)) if basis.weights is None else basis.weights
    position = np.flatnonzero(program.tokens[0] == library.poly_token)[:1]
    wishes, is_known = wanted_values(library, program, position, basis.columns, y)

    def predicted(polynomial: np.ndarray) -> np.ndarray | None:
        column, cause, _ = execute_columns(
            library, program, 0, basis.columns, protected, polynomial
        )
        return column if cause == VALID else None

    starts = [np.full(len(y), value) for value in STARTS]
    if is_known[0]:
        starts.insert(0, wishes[0])
    for start in starts:
        u = values.T @ (weights * start)
        if predicted(values @ u) is not None:
            break
    else:
        return np.eye(1, len(to_monomials))[0], np.ones(len(y))
    u = _improved(u, values, np.sqrt(weights), y, predicted)
    coefficients = to_monomials @ u
    contributions = np.abs(coefficients) * sizes
    is_small = np.abs(coefficients) < coef_tol
    is_small |= contributions <= MAX_ROUNDING * contributions.max()
    return np.where(is_small, 0.0, coefficients), wishes[0] if is_known[0] else values @ u


def _improved(
    u: np.ndarray,
    values: np.ndarray,
    roots: np.ndarray,
    y: np.ndarray,
    predicted: Callable[[np.ndarray], np.ndarray | None],
) -> np.ndarray:
    """Lower the squared error in y from the coordinates `u` (rank,) on."""
    from scipy.optimize import least_squares  # takes a second to import

    def errors(u: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            column = predicted(values @ u)
        return np.full(len(y), np.inf) if column is None else roots * (column - y)

    def jacobian(u: np.ndarray) -> np.ndarray:
        polynomial = values @ u
        step = RELATIVE_STEP * np.maximum(1.0, np.abs(polynomial))
        with np.errstate(all="ignore"):
            above, below = predicted(polynomial + step), predicted(polynomial - step)
        if above is None or below is None:
            return np.full((len(y), len(u)), np.inf)
        return (roots * (above - below) / (2 * step))[:, None] * values

    try:
        return least_squares(errors, u, jacobian, max_nfev=MAX_STEPS, xtol=1e-15, ftol=1e-12).x
    except (ValueError, np.linalg.LinAlgError):  # where slopes are not finite
        return u
