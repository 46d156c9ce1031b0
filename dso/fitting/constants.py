"""The fit of the token `const`: the numbers that maximise a program's reward.

Where the reward is a squared error on rows of data, all programs of a batch are fitted by weighted
least squares in one native call, with Levenberg and Marquardt's method. With errors e, weights W
and the derivatives J of the predictions in the constants c, a step d solves

    (J'WJ + m D) d = -J'We,    D = diag(J'WJ), the greatest so far

so that the units of a constant do not matter. m = 0 is Gauss and Newton's step, the exact one where
predictions are linear in c; with a large m it is a short step down the gradient. A step that lowers
the error is taken, and m becomes m max(1/10, min(2, 1 - (2 q - 1)^3)), where q is the ratio of what
was gained to what the linear model promised; else m grows 2, 4, 8, ... times (Marquardt, 1963;
Nielsen, Damping parameter in Marquardt's method, 1999). So the damping follows how nearly linear
the predictions are; most programs take few steps, and each of them is one pass over the rows.

Another loss of single rows that is a formula is fitted in the same way, by reweighting the rows in
each step: see `dso::machine::Loss`. What has a token in Python is fitted one by one; see
`constants_python`. What is rewarded for something else is fitted by its rewards; see `simplex`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dso.errors import UserError
from dso.fitting.constants_python import least_squares_fit
from dso.fitting.descent import Derivatives, descend
from dso.fitting.least_squares import MAX_EXACT, least_squares
from dso.fitting.objective import FormulaLoss, Objective
from dso.fitting.rounding import nearest_rational
from dso.fitting.simplex import least
from dso.fitting.slots import Bounds, bound_rows, start_points, widened, with_ones
from dso.library import Library
from dso.program import FitData, Program, ProgramBatch, has_poly, has_python_token
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.fitting.polynomial_fitter import PolynomialFitter

logger = logging.getLogger("dso")

MAX_SNAP_LOSS = 1e-3
"""Share by which snapping may raise the squared error."""
X_TOLERANCE, F_TOLERANCE = 1e-6, 1e-8
"""When a search for the greatest reward ends: shares of the constants, and of the first reward."""
MIN_SIZE = 1e-3
"""Of constants, where shares of them are meant."""


@dataclass(frozen=True)
class FitOptions:
    """How constants are fitted.

    Attributes
    ----------
    bounds : pair, sequence of pairs or None
        Least and greatest value of every constant, or of the first, second, ...; None in a pair,
        or no pair for a constant, means no bound.
    n_starts : int
        Start points per program: ones, then random ones of its own.
    max_iterations : int
        Steps per start.
    snap : {None, "integer", "rational"}
        Whether a constant becomes such a number where the fit is as good with it.
    """

    bounds: Bounds = None
    n_starts: int = 1
    max_iterations: int = 50
    snap: str | None = None


class FittedTask(Protocol):
    """What a fit asks of a task; see `dso.task.Task`."""

    library: Library
    n_threads: int
    protected: bool
    fit_data: FitData | None
    is_least_squares: bool
    objective: Objective | None
    polynomials: PolynomialFitter | None

    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        """Return the reward of one program."""

    def fitting_rewards(self, programs: ProgramBatch) -> np.ndarray | None:
        """Return the rewards (B,) of programs whose constants are fitted; None: one by one."""


class ConstantFitter:
    """Fits constants: natively by least squares where the task allows that, else with SciPy.

    Parameters
    ----------
    task : Task
        With ``fit_data`` and ``is_least_squares`` it is fitted natively. Where there is an
        ``objective``, the fit goes along its gradient, natively if it is a formula. Else the least
        squares are where the search for a greater reward starts. Without data that is
        ``task.reward_function(program, optimizing=True)``.
    options : FitOptions
    """

    def __init__(self, task: FittedTask, options: FitOptions | None = None) -> None:
        self.options = options or FitOptions()
        self._key = Stream(0, "constants").key
        self._aim_at(task)

    def _aim_at(self, task: FittedTask) -> None:
        self.task = task
        self.data = task.fit_data
        self.is_least_squares = self.data is not None and task.is_least_squares
        self.objective = task.objective
        self.reward = reward_while_fitting(task)

    def of(self, task: FittedTask) -> ConstantFitter:
        """Return a fitter with the same options for another task, e.g. one with other rows."""
        other = copy(self)
        other._aim_at(task)
        return other

    def fit(self, programs: ProgramBatch, first: np.ndarray | None = None) -> ProgramBatch:
        """Return programs with their constants.

        A number that is given with a program stays; the others are fitted. The result for a program
        depends on nothing but that program, the data and the options.

        Parameters
        ----------
        programs : ProgramBatch
            (B, K'), NaN where a constant is not known.
        first : (B, K'') float64, optional
            Where the fit starts; NaN is 1. Default: ones.

        Returns
        -------
        ProgramBatch
            (B, K) constants, NaN where a program has no further one. Where no valid constants were
            found they are 1.
        """
        start = with_ones(self.task.library, programs)
        given = widened(programs.constants, start.constants.shape[1])
        rows = np.flatnonzero((np.isnan(given) & ~np.isnan(start.constants)).any(axis=1))
        if len(rows) == 0:
            return start
        bounds = self._bounds(given[rows], start.constants[rows])
        if first is not None:
            first = widened(first, start.constants.shape[1])
            is_known = np.isnan(given) & ~np.isnan(first) & ~np.isnan(start.constants)
            start = replace(start, constants=np.where(is_known, first, start.constants))
        fitted = self._fit(start[rows], *bounds)
        constants = start.constants.copy()
        constants[rows] = fitted
        return replace(start, constants=constants)

    def _fit(self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the constants (B, K) of programs that all have one to fit."""
        if self.data is None:
            return self._maximised(start, lower, upper)
        in_python = has_python_token(self.task.library, start)
        with_poly = has_poly(self.task.library, start)
        is_native = ~in_python & ~with_poly
        constants = start.constants.copy()
        if self.objective is not None and not isinstance(self.objective, FormulaLoss):
            is_native[:] = False
        constants[is_native] = self._least_squares(start, lower, upper, is_native)
        if self.objective is not None:
            if not is_native.all():
                constants[~is_native] = self._least_losses(
                    start[~is_native], lower[~is_native], upper[~is_native]
                )
            return constants
        for b in np.flatnonzero(in_python & ~with_poly):
            constants[b] = least_squares_fit(
                start[b : b + 1], self.data, lower[b], upper[b], **self._effort
            )
        if with_poly.any():
            constants[with_poly] = self._beside_poly(start, lower, upper, with_poly, in_python)
        if not self.is_least_squares:
            return self._maximised(replace(start, constants=constants), lower, upper)
        return constants

    def _bounds(self, given: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return bounds (B, K): a given number's are itself, those of an unused slot NaN."""
        low, high = bound_rows(self.options.bounds, given.shape[1])
        is_given = ~np.isnan(given) | np.isnan(start)
        return np.where(is_given, given, low), np.where(is_given, given, high)

    def _least_squares(
        self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        start, lower, upper = start[rows], lower[rows], upper[rows]
        constants, mse = self._native(start, lower, upper, self.options.n_starts)
        if self.options.snap is None:
            return constants
        return self._snapped(replace(start, constants=constants), mse, lower, upper)

    def _least_losses(
        self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray
    ) -> np.ndarray:
        """Return the constants (B, K) with the least objective found.

        A polynomial is that of the least squared error at the start.
        """
        task = self.task
        assert self.data is not None
        assert self.objective is not None
        polynomials = None
        if task.polynomials is not None:
            polynomials = task.polynomials.polynomials(start, task.n_threads)
        derive = Derivatives(start, self.data, polynomials, task.n_threads)
        best, least = start.constants, np.full(len(start), np.inf)
        for first in self._starts(start.constants, lower, upper, start.keys()):
            limits = lower, upper, self.options.max_iterations
            found, losses = descend(derive, self.objective, self.data, first, *limits)
            best = np.where((losses < least)[:, None], found, best)
            least = np.minimum(losses, least)
        return best

    def _starts(
        self, first: np.ndarray, lower: np.ndarray, upper: np.ndarray, keys: np.ndarray
    ) -> list[np.ndarray]:
        """Return the constants (B, K) that fits start from, one array for each start."""
        n_starts, is_free = self.options.n_starts, lower < upper
        starts = [first.copy() for _ in range(n_starts)]
        for b, free in enumerate(is_free):
            limits = lower[b, free], upper[b, free]
            points = start_points(int(keys[b]), first[b, free], *limits, n_starts)
            for start, point in zip(starts, points, strict=True):
                start[b, free] = point
        return starts

    def _beside_poly(
        self,
        start: ProgramBatch,
        lower: np.ndarray,
        upper: np.ndarray,
        with_poly: np.ndarray,
        in_python: np.ndarray,
    ) -> np.ndarray:
        """Fit constants together with the polynomials; where only Python can, around them."""
        fitted = start.constants.copy()
        native = with_poly & ~in_python
        if native.any():
            assert self.task.polynomials is not None
            fits = self.task.polynomials.fit(
                start[native], self.task.n_threads, lower[native], upper[native]
            )
            n_slots = fitted.shape[1]
            is_free = lower[native] < upper[native]
            fitted[native] = np.where(is_free, fits.constants[:, :n_slots], fitted[native])
        others = with_poly & in_python
        fitted[others] = self._maximised(start[others], lower[others], upper[others])
        return fitted[with_poly]

    def _native(
        self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray, n_starts: int
    ) -> tuple[np.ndarray, np.ndarray]:
        assert self.data is not None
        loss = self.objective.native if isinstance(self.objective, FormulaLoss) else None
        fitted, mse = least_squares(
            self.data,
            start,
            lower,
            upper,
            max_iterations=self.options.max_iterations,
            n_starts=n_starts,
            key=self._key,
            n_threads=self.task.n_threads,
            loss=loss,
        )
        return fitted.constants, mse

    def _snapped(
        self, programs: ProgramBatch, mse: np.ndarray, lower: np.ndarray, upper: np.ndarray
    ) -> np.ndarray:
        """Round constants one after the other, fitting the rest again, while the fit holds."""
        nearest = np.round if self.options.snap == "integer" else nearest_rational
        assert self.data is not None
        exact = MAX_EXACT * np.var(self.data.y) if self.objective is None else -np.inf
        limit = np.maximum(mse + np.abs(mse) * MAX_SNAP_LOSS, exact)
        for k in range(programs.constants.shape[1]):
            value = nearest(programs.constants[:, k])
            value = np.clip(value, lower[:, k], upper[:, k])
            held_low, held_high = lower.copy(), upper.copy()
            held_low[:, k] = held_high[:, k] = value
            trial = programs.constants.copy()
            trial[:, k] = value
            constants, reached = self._native(
                replace(programs, constants=trial), held_low, held_high, 1
            )
            holds = reached <= limit  # never where invalid
            programs = replace(
                programs, constants=np.where(holds[:, None], constants, programs.constants)
            )
            lower = np.where(holds[:, None], held_low, lower)
            upper = np.where(holds[:, None], held_high, upper)
        return programs.constants

    def _maximised(self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return the constants (B, K) with the greatest rewards found."""
        constants = np.clip(start.constants, lower, upper)
        is_free = lower < upper
        n_free = is_free.sum(axis=1)
        for k in np.unique(n_free[n_free > 0]):
            rows = np.flatnonzero(n_free == k)
            constants[rows] = self._greatest(
                replace(start[rows], constants=constants[rows]),
                is_free[rows],
                lower[rows],
                upper[rows],
            )
        return constants

    def _greatest(
        self, start: ProgramBatch, is_free: np.ndarray, lower: np.ndarray, upper: np.ndarray
    ) -> np.ndarray:
        """Do what `_maximised` does, for programs that have the same number of free constants."""
        shape = (len(start), -1)
        low, high = (bounds[is_free].reshape(shape) for bounds in (lower, upper))

        def whole(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
            constants = start.constants[rows]
            constants[is_free[rows]] = points.ravel()
            return constants

        def loss(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
            rewards = self._rewards(replace(start[rows], constants=whole(points, rows)))
            return np.where(np.isfinite(rewards), -rewards, np.inf)

        every = np.arange(len(start))
        best = start.constants[is_free].reshape(shape)
        lowest = loss(best, every)
        for one in self._starts(start.constants, lower, upper, start.keys()):
            point = one[is_free].reshape(shape)
            size = np.maximum(MIN_SIZE, np.abs(point).max(axis=1))
            first = lowest if (point == best).all() else loss(point, every)
            found, losses = least(
                loss,
                point,
                low,
                high,
                max_iterations=self.options.max_iterations * point.shape[1],
                x_tolerance=X_TOLERANCE * size,
                f_tolerance=F_TOLERANCE * np.minimum(np.abs(first), 1.0),
            )
            best = np.where((losses < lowest)[:, None], found, best)
            lowest = np.minimum(losses, lowest)
        return whole(best, every)

    def _rewards(self, programs: ProgramBatch) -> np.ndarray:
        """Return the rewards (B,) that the fit goes by."""
        rewards = self.task.fitting_rewards(programs)
        if rewards is None:
            rows = (programs[b : b + 1] for b in range(len(programs)))
            rewards = np.array([self.reward(self._program(r, r.constants[0])) for r in rows])
        return rewards

    @property
    def _effort(self) -> dict[str, int]:
        """What fits in Python are told of the options."""
        options = self.options
        return {"n_starts": options.n_starts, "max_iterations": options.max_iterations}

    def _program(self, row: ProgramBatch, constants: np.ndarray) -> Program:
        task, polynomial = self.task, None
        if task.polynomials is not None:
            (polynomial,) = task.polynomials.polynomials(replace(row, constants=constants[None]))
        return Program(
            task.library, row.row(0), constants, protected=task.protected, polynomial=polynomial
        )


class ScipyFitter(ConstantFitter):
    """Fits every program alone with `scipy.optimize.minimize` and numerical derivatives.

    Slow; there to compare with.

    Parameters
    ----------
    task : Task
        The objective is ``-task.reward_function(program, optimizing=True)``.
    arguments : dict
        Of `scipy.optimize.minimize`. The start is all ones.
    """

    def __init__(self, task: FittedTask, arguments: dict[str, Any]) -> None:
        super().__init__(task)
        self.arguments = arguments
        self._try_arguments()
        logger.warning(
            "training.const_optimizer is 'scipy': every program is fitted alone, which is hundreds "
            "of times slower than 'lm'."
        )

    def _try_arguments(self) -> None:
        """Refuse what SciPy would refuse during a run."""
        from scipy.optimize import minimize  # takes a second to import

        try:
            minimize(lambda x: float(x @ x), np.ones(1), **self.arguments)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"training.const_params: scipy.optimize.minimize does not take "
                f"{self.arguments} ({str(error).rstrip('.')})."
            ) from None

    def _fit(self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        from scipy.optimize import minimize

        constants = start.constants.copy()
        for b in range(len(start)):
            row, is_free = start[b : b + 1], lower[b] < upper[b]

            def loss(free: np.ndarray, b: int = b, row: ProgramBatch = row) -> float:
                trial = constants[b].copy()
                trial[lower[b] < upper[b]] = free
                return -self.reward(self._program(row, trial))

            with np.errstate(all="ignore"):
                found = minimize(loss, constants[b, is_free], **self.arguments).x
            if np.isfinite(found).all():
                constants[b, is_free] = found
        return constants


def make_fitter(
    task: FittedTask, kind: str | None, params: dict[str, Any]
) -> ConstantFitter | None:
    """Return what fits the constants of a task; None where nothing is to be fitted.

    Parameters
    ----------
    task : Task
    kind : {"lm", "scipy", "dummy", None}
    params : dict
        ``training.const_params``: fields of `FitOptions`, or arguments of SciPy's `minimize`.
    """
    if task.library.const_token is None or kind in (None, "dummy"):
        return None
    if kind == "scipy":
        return ScipyFitter(task, params)
    return ConstantFitter(task, FitOptions(**params))


def reward_while_fitting(task: FittedTask) -> Callable[[Program], float]:
    """Return the reward that fits go by; tasks may leave the argument `optimizing` out."""
    parameters = inspect.signature(task.reward_function).parameters.values()
    takes_it = any(p.name == "optimizing" or p.kind is p.VAR_KEYWORD for p in parameters)
    return partial(_reward, task, {"optimizing": True} if takes_it else {})


def _reward(task: FittedTask, keywords: dict[str, bool], program: Program) -> float:
    return float(task.reward_function(program, **keywords))
