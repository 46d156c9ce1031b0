"""The fit of the token `const`: which numbers make a program's reward greatest.

Where the reward is a squared error on rows of data, all programs of a batch are fitted by least
squares in one native call. Any other reward is maximised program by program with SciPy.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dso.errors import UserError
from dso.fitting.least_squares import least_squares
from dso.library import Library
from dso.program import (
    FitData,
    Program,
    ProgramBatch,
    execute,
    has_poly,
    has_python_token,
    mean_squared_error,
)
from dso.program.derivatives import derivatives_in_constants
from dso.program.execute import VALID
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.fitting.polynomial_fitter import PolynomialFitter

logger = logging.getLogger("dso")

MAX_DENOMINATOR = 12
"""Of the rational numbers that constants are snapped to."""
SNAP_LOSS = 1e-3
"""Share by which snapping may raise the squared error."""
EXACT = 1e-20
"""Normalised squared errors below this are as good as none."""

Bounds = Sequence[float | None] | Sequence[Sequence[float | None]] | None


@dataclass(frozen=True)
class FitOptions:
    """How constants are fitted.

    Attributes
    ----------
    bounds : pair, sequence of pairs or None
        Least and greatest value of every constant, or of the first, second, ...; None in a pair,
        or no pair for a constant, is no bound.
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
    polynomials: PolynomialFitter | None

    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        """Return the reward of one program."""


class ConstantFitter:
    """Fits constants: natively by least squares where the task allows that, else with SciPy.

    Parameters
    ----------
    task : Task
        With ``fit_data`` and ``is_least_squares`` it is fitted natively; if the latter is false,
        the least squares are where the search for a greater reward starts. Without data the
        objective is ``-task.reward_function(program, optimizing=True)``.
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
        constants[is_native] = self._least_squares(start, lower, upper, is_native)
        for b in np.flatnonzero(in_python & ~with_poly):
            constants[b] = self._least_squares_in_python(start[b : b + 1], lower[b], upper[b])
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
        for b in np.flatnonzero(with_poly & in_python):
            fitted[b] = self._maximised_row(start[b : b + 1], lower[b], upper[b])
        return fitted[with_poly]

    def _native(
        self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray, n_starts: int
    ) -> tuple[np.ndarray, np.ndarray]:
        assert self.data is not None
        fitted, mse = least_squares(
            self.data,
            start,
            lower,
            upper,
            max_iterations=self.options.max_iterations,
            n_starts=n_starts,
            key=self._key,
            n_threads=self.task.n_threads,
        )
        return fitted.constants, mse

    def _snapped(
        self, programs: ProgramBatch, mse: np.ndarray, lower: np.ndarray, upper: np.ndarray
    ) -> np.ndarray:
        """Round constants one after the other, fitting the rest anew, while the fit holds."""
        nearest = np.round if self.options.snap == "integer" else nearest_rational
        assert self.data is not None
        exact = EXACT * np.var(self.data.y)
        limit = np.maximum(mse * (1 + SNAP_LOSS), exact)
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

    def _least_squares_in_python(
        self, program: ProgramBatch, lower: np.ndarray, upper: np.ndarray
    ) -> np.ndarray:
        """Fit one program that the native machine cannot execute."""
        from scipy.optimize import least_squares  # takes a second to import

        data, library = self.data, self.task.library
        assert data is not None
        roots = 1.0 if data.weights is None else np.sqrt(data.weights)
        start = program.constants[0]
        is_free = lower < upper

        def whole(free: np.ndarray) -> ProgramBatch:
            constants = start.copy()
            constants[is_free] = free
            return replace(program, constants=constants[None])

        def errors(free: np.ndarray) -> np.ndarray:
            values, cause, _ = execute(library, whole(free), data.columns, data.protected)
            return np.where(cause[0] == VALID, roots * (values[0] - data.y), np.inf)

        def jacobian(free: np.ndarray) -> np.ndarray:
            constants = whole(free).constants[0]
            slopes = derivatives_in_constants(library, program.row(0), constants, data.columns)
            return np.reshape(roots, (-1, 1)) * slopes[:, is_free]

        def mse(free: np.ndarray) -> float:
            arguments = data.columns, data.y, data.weights, data.protected
            value = mean_squared_error(library, whole(free), *arguments).values[0]
            return value if np.isfinite(value) else np.inf

        best = np.clip(start, lower, upper)[is_free]
        low, high = lower[is_free], upper[is_free]
        key = int(program.keys()[0])
        points = start_points(key, best, low, high, self.options.n_starts)
        with np.errstate(all="ignore"):
            for point in points:
                if not np.isfinite(errors(point)).all():
                    continue
                try:
                    found = least_squares(
                        errors,
                        point,
                        jacobian,
                        bounds=(low, high),
                        max_nfev=self.options.max_iterations,
                    ).x
                except (ValueError, np.linalg.LinAlgError):  # derivatives that are not finite
                    found = point
                best = min((best, point, found), key=mse)
        return whole(best).constants[0]

    def _maximised(self, start: ProgramBatch, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        return np.stack(
            [self._maximised_row(start[b : b + 1], lower[b], upper[b]) for b in range(len(start))]
        )

    def _maximised_row(
        self, program: ProgramBatch, lower: np.ndarray, upper: np.ndarray
    ) -> np.ndarray:
        """Look for the greatest reward with a method that needs no derivatives."""
        from scipy.optimize import minimize  # takes a second to import

        start = program.constants[0]
        is_free = lower < upper
        low, high = lower[is_free], upper[is_free]

        def whole(free: np.ndarray) -> np.ndarray:
            constants = start.copy()
            constants[is_free] = free
            return constants

        def loss(free: np.ndarray) -> float:
            reward = self.reward(self._program(program, whole(free)))
            return -reward if np.isfinite(reward) else np.inf

        best = np.clip(start, lower, upper)[is_free]
        limit = self.options.max_iterations * max(1, len(best))
        with np.errstate(all="ignore"):
            points = start_points(int(program.keys()[0]), best, low, high, self.options.n_starts)
            for point in points:
                found = minimize(
                    loss,
                    point,
                    method="Nelder-Mead",
                    bounds=list(zip(low, high, strict=True)),
                    options={"maxiter": limit, "xatol": 1e-10, "fatol": 1e-12},
                ).x
                best = min((best, point, found), key=loss)
        return whole(best)

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
        """Refuse what SciPy would refuse in the midst of a run."""
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
    if takes_it:
        return lambda program: float(task.reward_function(program, optimizing=True))
    return lambda program: float(task.reward_function(program))


def constant_counts(library: Library, programs: ProgramBatch) -> np.ndarray:
    """Return how many constants each program has, (B,)."""
    if library.const_token is None:
        return np.zeros(len(programs), dtype=np.int64)
    return (programs.tokens == library.const_token).sum(axis=1)


def with_ones(library: Library, programs: ProgramBatch) -> ProgramBatch:
    """Return programs with (B, K) constants: those given, 1 for others, NaN in unused slots."""
    counts = constant_counts(library, programs)
    constants = np.full((len(programs), int(counts.max(initial=0))), np.nan)
    constants[np.arange(constants.shape[1]) < counts[:, None]] = 1.0
    given = programs.constants[:, : constants.shape[1]]
    known = ~np.isnan(given)
    constants[:, : given.shape[1]][known] = given[known]
    return replace(programs, constants=constants)


def widened(constants: np.ndarray, n_slots: int) -> np.ndarray:
    """Return constants (B, K) cut to or filled with NaN up to (B, n_slots)."""
    missing = max(0, n_slots - constants.shape[1])
    if missing == 0:
        return constants[:, :n_slots].copy()
    return np.pad(constants[:, :n_slots], ((0, 0), (0, missing)), constant_values=np.nan)


def bound_rows(bounds: Bounds, n_slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Return least and greatest values, each (n_slots,)."""
    low, high = np.full(n_slots, -np.inf), np.full(n_slots, np.inf)
    if not bounds:
        return low, high
    is_one_pair = not isinstance(bounds[0], list | tuple)
    pairs = [bounds] * n_slots if is_one_pair else bounds
    for k, (lowest, highest) in enumerate(pairs[:n_slots]):  # type: ignore[misc]
        low[k] = -np.inf if lowest is None else lowest
        high[k] = np.inf if highest is None else highest
    return low, high


def start_points(
    key: int, first: np.ndarray, low: np.ndarray, high: np.ndarray, n_starts: int
) -> list[np.ndarray]:
    """Return `n_starts` points within bounds: `first`, then random ones that belong to `key`."""
    random = np.random.Generator(np.random.Philox(key=key))
    points = [first]
    for _ in range(n_starts - 1):
        size = 10 ** random.uniform(-1, 1, len(first)) * random.choice([-1, 1], len(first))
        is_bounded = np.isfinite(low) & np.isfinite(high)
        inside = random.uniform(np.where(is_bounded, low, 0), np.where(is_bounded, high, 1))
        points.append(np.where(is_bounded, inside, np.clip(size, low, high)))
    return points


def nearest_rational(values: np.ndarray) -> np.ndarray:
    """Return for each number the nearest p / q with q up to `MAX_DENOMINATOR`."""
    denominators = np.arange(1, MAX_DENOMINATOR + 1)[:, None]
    candidates = np.round(values * denominators) / denominators  # (q, B)
    distance = np.abs(candidates - values)
    distance = np.where(np.isnan(distance), np.inf, distance)
    return candidates[distance.argmin(axis=0), np.arange(len(values))]
