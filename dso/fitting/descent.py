"""The constants that minimise an objective, for many programs in batched steps.

Levenberg and Marquardt's method, with the objective's own gradient g and a positive semidefinite
model H of its curvature, which are had through the derivatives of the predictions. For each program
a step d within the bounds solves

    (H + m D) d = -g,    D = diag(H), the greatest so far;

m follows how much of -(g'd + d'Hd / 2) was gained, as in `constants`. An iteration derives all
programs that still move, and calls the objective once or twice with all their predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dso.fitting.objective import Objective
from dso.native import _core
from dso.program import FitData, ProgramBatch, has_poly, has_python_token
from dso.program.derivatives import derivatives_in_constants
from dso.program.execute import VALID, Polynomials, execute_columns

MIN_GAIN = 1e-12
"""Share of the objective; what promises and gains less is at its end."""
MAX_DAMPING = 1e16

Derive = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Of programs by number (b,) with constants (b, K): predictions (b, N), their derivatives
(b, K, N), and whether each is valid (b,)."""


class Derivatives:
    """A `Derive` of some programs: native, and one by one where only Python can execute them.

    Parameters
    ----------
    programs : ProgramBatch
    data : FitData
    polynomials : sequence of (FittedPolynomial or None), optional
        What `poly` stands for in each; it does not move.
    n_threads : int
    """

    def __init__(
        self,
        programs: ProgramBatch,
        data: FitData,
        polynomials: Polynomials = None,
        n_threads: int = 1,
    ) -> None:
        self.programs = programs
        self.data = data
        self.n_threads = n_threads
        self.polynomials = polynomials
        with_poly = has_poly(data.library, programs)
        self.by_row = has_python_token(data.library, programs) | with_poly
        self._native_data = data.native

    def __call__(
        self, rows: np.ndarray, constants: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Derive the programs of these numbers at constants (b, K)."""
        programs = replace(self.programs[rows], constants=constants)
        by_row = self.by_row[rows]
        shape = (len(rows), constants.shape[1], self.data.n_rows)
        values, jacobians = np.zeros((len(rows), self.data.n_rows)), np.zeros(shape)
        is_valid = np.zeros(len(rows), dtype=bool)
        if not by_row.all():
            values[~by_row], jacobians[~by_row], is_valid[~by_row] = _core.derive(
                self.data.library.native,
                programs[~by_row].native,
                self._native_data,
                self.n_threads,
            )
        for b in np.flatnonzero(by_row).tolist():
            values[b], jacobians[b], is_valid[b] = self._of_row(programs, b, int(rows[b]))
        return values, jacobians, is_valid

    def _of_row(
        self, programs: ProgramBatch, b: int, number: int
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        data, library = self.data, self.data.library
        fitted = None if self.polynomials is None else self.polynomials[number]
        polynomial = None if fitted is None else fitted.values(data.columns)
        where = library, programs, b, data.columns, data.protected
        column, cause, _ = execute_columns(*where, polynomial)
        with np.errstate(all="ignore"):
            slopes = derivatives_in_constants(
                library, programs.row(b), programs.constants[b], data.columns, polynomial
            )
        return column, slopes.T, cause == VALID


def descend(
    derive: Derive,
    objective: Objective,
    data: FitData,
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the constants (B, K) from a start, and the objective (B,), infinite where invalid.

    Parameters
    ----------
    derive : callable
    objective : Objective
    data : FitData
    start : (B, K) float64
        NaN in slots that are not used.
    lower, upper : (B, K) float64
        Bounds; a constant whose bounds are equal, or NaN, stays.
    max_iterations : int
    """
    with np.errstate(all="ignore"):  # programs may overflow on their way
        return _descend(derive, objective, data, start, lower, upper, max_iterations)


def _descend(
    derive: Derive,
    objective: Objective,
    data: FitData,
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray]:
    is_free = lower < upper
    constants = np.where(is_free, np.clip(start, lower, upper), start)
    everyone = np.arange(len(start))
    values, jacobians, losses = _evaluated(derive, objective, data, everyone, constants)
    n_slots = start.shape[1]
    gradients, curvatures = np.zeros_like(start), np.zeros((*start.shape, n_slots))
    greatest = np.zeros_like(start)
    damping, growth = np.full(len(start), 1e-3), np.full(len(start), 2.0)
    has_moved = np.ones(len(start), dtype=bool)
    is_active = np.isfinite(losses) & is_free.any(axis=1)
    for _ in range(max_iterations):
        if len(new := np.flatnonzero(is_active & has_moved)):
            model = objective.model(values[new], jacobians[new], data)
            gradients[new], curvatures[new] = model
            diagonal = np.diagonal(curvatures[new], axis1=1, axis2=2)
            greatest[new] = np.maximum(greatest[new], diagonal)
        rows = np.flatnonzero(is_active)
        if not len(rows):
            break
        steps = _steps(
            gradients[rows],
            curvatures[rows],
            damping[rows, None] * greatest[rows],
            _movable(constants[rows], gradients[rows], lower[rows], upper[rows], is_free[rows]),
        )
        trial = np.where(
            is_free[rows], np.clip(constants[rows] + steps, lower[rows], upper[rows]), start[rows]
        )
        steps = np.where(is_free[rows], trial - constants[rows], 0.0)
        promised = -(steps * gradients[rows]).sum(axis=1)
        promised -= 0.5 * np.einsum("bk,bkl,bl->b", steps, curvatures[rows], steps)
        reached = _evaluated(derive, objective, data, rows, trial)
        gained = losses[rows] - reached[2]
        is_better = gained > 0
        small = MIN_GAIN * np.abs(losses[rows])
        won = rows[is_better]
        constants[won] = trial[is_better]
        values[won], jacobians[won], losses[won] = (part[is_better] for part in reached)
        with np.errstate(all="ignore"):
            ratio = np.clip(np.where(promised > 0, gained / promised, 0.0), 0.0, 1.0)
        shrink = np.clip(1 - (2 * ratio - 1) ** 3, 0.1, 2.0)
        damping[rows] *= np.where(is_better, shrink, growth[rows])
        growth[rows] = np.where(is_better, 2.0, 2 * growth[rows])
        is_done = np.where(is_better, (gained <= small) & (promised <= small), promised <= small)
        is_active[rows] = ~is_done & (damping[rows] < MAX_DAMPING)
        has_moved[:] = False
        has_moved[won] = True
    return constants, losses


def _evaluated(
    derive: Derive, objective: Objective, data: FitData, rows: np.ndarray, constants: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, jacobians, is_valid = derive(rows, constants)
    losses = np.full(len(rows), np.inf)
    if is_valid.any():
        found = objective.means(values[is_valid], data)
        losses[is_valid] = np.where(np.isfinite(found), found, np.inf)
    # A row at a pole does not tell where to go.
    return values, np.where(np.abs(jacobians) < 1e140, jacobians, 0.0), losses


def _movable(
    constants: np.ndarray,
    gradients: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    is_free: np.ndarray,
) -> np.ndarray:
    """Tell which constants (B, K) are not pushed against a bound."""
    is_blocked = ((constants <= lower) & (gradients >= 0)) | (
        (constants >= upper) & (gradients <= 0)
    )
    return is_free & ~is_blocked


def _steps(
    gradients: np.ndarray, curvatures: np.ndarray, damping: np.ndarray, is_movable: np.ndarray
) -> np.ndarray:
    """Return the steps (B, K) of damped equations; 0 for what does not move or has no effect."""
    diagonal = np.diagonal(curvatures, axis1=1, axis2=2)
    moves = is_movable & (diagonal > 0) & np.isfinite(gradients)
    scale = np.where(moves, np.sqrt(np.where(moves, diagonal + damping, 1.0)), 1.0)
    both = moves[:, :, None] & moves[:, None, :]
    matrix = np.where(both, curvatures, 0.0) / (scale[:, :, None] * scale[:, None, :])
    k = np.arange(matrix.shape[1])
    matrix[:, k, k] = 1.0 + 1e-15
    right = np.where(moves, -gradients, 0.0) / scale
    steps = np.zeros_like(right)
    for b in np.flatnonzero(np.isfinite(matrix).all(axis=(1, 2))):
        try:
            steps[b] = np.linalg.solve(matrix[b], right[b])
        except np.linalg.LinAlgError:
            steps[b] = right[b]
    return steps / scale
