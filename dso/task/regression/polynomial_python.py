"""The fit of `poly` in programs with a token that only Python can execute, one at a time.

The same steps as in `dso/native/poly.cpp`, written with dense matrices and numerical derivatives.
"""

from __future__ import annotations

import numpy as np

from dso.library import Library
from dso.program import ProgramBatch, wanted_values
from dso.program.execute import VALID, execute_columns
from dso.task.regression.polynomial_basis import PolynomialBasis

MAX_STEPS = 30
STARTS = (1.0, 0.1, 10.0, -1.0)
ROUNDING = 1e-13


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
    is_small |= contributions <= ROUNDING * contributions.max()
    return np.where(is_small, 0.0, coefficients), wishes[0] if is_known[0] else values @ u


def _improved(u, values, roots, y, predicted):  # type: ignore[no-untyped-def]
    """Levenberg-Marquardt on the coordinates `u` (rank,) in the space of y."""

    def squared_error(u: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            column = predicted(values @ u)
            return np.inf if column is None else float(np.sum((roots * (column - y)) ** 2))

    error, damping = squared_error(u), 1e-4
    floor = (np.finfo(float).eps * np.linalg.norm(roots * y)) ** 2
    for _ in range(MAX_STEPS):
        if error <= floor or damping > 1e12:
            break
        polynomial = values @ u
        step = 1e-6 * np.maximum(1.0, np.abs(polynomial))
        above, below = predicted(polynomial + step), predicted(polynomial - step)
        if above is None or below is None:
            break
        slopes = roots * (above - below) / (2 * step)
        jacobian = slopes[:, None] * values
        scale = np.sqrt(damping * max(np.mean(slopes**2), np.finfo(float).tiny))
        left = np.vstack([jacobian, scale * np.eye(len(u))])
        right = np.append(roots * (y - predicted(polynomial)), np.zeros(len(u)))
        if not np.isfinite(left).all():
            break
        trial = u + np.linalg.lstsq(left, right, rcond=None)[0]
        reached = squared_error(trial)
        if reached < error:
            is_last = reached > (1 - 1e-9) * error
            u, error, damping = trial, reached, max(1e-14, damping / 10)
            if is_last:
                break
        else:
            damping *= 10
    return u
