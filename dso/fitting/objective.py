"""What a run minimises instead of the mean squared error.

A loss of single rows l(p, y) or l(p, y, w), which is averaged in a run:

    sum w l(p, y) / sum w,    or    sum l(p, y, w) / sum w,

is either a formula, which the virtual machine runs and derives (`FormulaLoss`), or a function of
numpy or torch, called once for a batch of predictions (`RowFunction`). An objective of whole
predictions is a function of them and of the data (`WholeFunction`).

Constants are fitted along the gradient of the objective: the loss's own slope times the derivatives
of the predictions, by the chain rule. A slope is symbolic for a formula, torch's for a function of
torch, and for a function of numpy a central difference in the prediction. See `descent` for
functions; formulas are fitted natively.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.fitting.named_losses import formula_of
from dso.fitting.weights import weighted_variance
from dso.library.definition import Definition, read_definition
from dso.library.library import native_definition
from dso.native import _core
from dso.program import FitData

SCALES = ("log", "linear")
STEP = float(np.cbrt(np.finfo(np.float64).eps))
"""Of a central difference, relative to the prediction."""
SOFTENING = 1e-9
"""Distances below this share of the deviation of y count as this, where l is divided by them."""
DEGREE_STEP = 1.1
"""Factor of residuals by which the degree of a loss is told."""
ARGUMENTS = ("prediction", "target", "weight")
"""Names of the arguments of a formula that is given alone."""


class Objective(ABC):
    """What is to be small.

    Attributes
    ----------
    name : str
        For people.
    scale : {"log", "linear"}
        Whether losses are positive, so that their ratios mean something, or any numbers.
    keeps_rows : bool
        Whether the order of rows may matter.
    """

    name: str
    scale: str = "log"
    keeps_rows = False

    @abstractmethod
    def means(self, predictions: np.ndarray, data: FitData) -> np.ndarray:
        """Return the loss (B,) of predictions (B, N)."""

    @abstractmethod
    def model(
        self, predictions: np.ndarray, jacobians: np.ndarray, data: FitData
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients (B, K) in constants and a model of the curvature (B, K, K).

        `jacobians` (B, K, N) holds the derivatives of the predictions (B, N).
        """


class RowLoss(Objective):
    """An objective that is a mean over rows."""

    takes_weight: bool

    @abstractmethod
    def of_rows(self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the losses (B, N) of predictions (B, N), without weights of 2-argument losses."""

    @abstractmethod
    def derivatives(
        self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return their first and second derivatives (B, N) in the predictions."""

    def means(self, predictions: np.ndarray, data: FitData) -> np.ndarray:
        """Return the mean loss (B,) of predictions (B, N)."""
        weights = _weights(data)
        losses = self.of_rows(predictions, data.y, weights)
        with np.errstate(all="ignore"):
            return losses @ self._shares(weights)

    def model(
        self, predictions: np.ndarray, jacobians: np.ndarray, data: FitData
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients and curvatures; see `dso::machine::LossOfRows` for the latter."""
        weights = _weights(data)
        slopes, bends = self.derivatives(predictions, data.y, weights)
        return _chained(self._shares(weights), slopes, bends, predictions, jacobians, data)

    def shared(self, predictions: np.ndarray, data: FitData) -> np.ndarray:
        """Return the losses (B, N) of rows, weighted so that their mean is the loss."""
        weights = _weights(data)
        losses = self.of_rows(predictions, data.y, weights)
        with np.errstate(all="ignore"):
            return losses * (self._shares(weights) * data.n_rows)

    def degree(self, prediction: np.ndarray, data: FitData) -> float | None:
        """Return the power of the residuals that the loss grows with, near one prediction (N,).

        None where y itself is not the best prediction.
        """
        factors = np.array([0.0, 1 / DEGREE_STEP, 1.0, DEGREE_STEP])
        residuals = prediction - data.y
        none, low, here, high = self.means(data.y + factors[:, None] * residuals, data)
        if not (0 <= none < 1e-9 * here and 0 < low < high < np.inf):
            return None
        return float(np.clip(np.log(high / low) / (2 * np.log(DEGREE_STEP)), 0.25, 8.0))

    def _shares(self, weights: np.ndarray) -> np.ndarray:
        factors = np.ones_like(weights) if self.takes_weight else weights
        return factors / weights.sum()


@dataclass(frozen=True)
class FormulaLoss(RowLoss):
    """A loss of single rows by a formula.

    Attributes
    ----------
    name : str
    definition : Definition
        Of prediction, target and perhaps weight.
    softening : float
        See `SOFTENING`; in units of y.
    scale : str
    """

    name: str
    definition: Definition
    softening: float
    scale: str = "log"

    @property
    def takes_weight(self) -> bool:  # type: ignore[override]
        """Whether the formula has the weight of a row in it."""
        return len(self.definition.arguments) == 3

    @cached_property
    def _slope(self) -> Definition:
        return self.definition.derivative(0)

    @cached_property
    def _bend(self) -> Definition:
        return self._slope.derivative(0)

    @cached_property
    def native(self) -> _core.Loss:
        """The loss with its two derivatives, for the core."""
        return _core.Loss(
            len(self.definition.arguments),
            native_definition(self.definition),
            native_definition(self._slope),
            native_definition(self._bend),
            self.softening,
        )

    def of_rows(self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the losses (B, N)."""
        return self._called(self.definition, predictions, y, weights)

    def derivatives(
        self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives (B, N) of the formula."""
        first, second = (
            self._called(part, predictions, y, weights) for part in (self._slope, self._bend)
        )
        return first, second

    def _called(
        self, definition: Definition, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        arguments = (predictions, y, weights)[: len(self.definition.arguments)]
        return np.broadcast_to(definition(*arguments), predictions.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("native", "_slope", "_bend")}


@dataclass(frozen=True)
class RowFunction(RowLoss):
    """A loss of single rows by a function of a user's, of numpy or torch.

    Attributes
    ----------
    name : str
    function : callable
        Of predictions (B, N) and targets (N,), and of weights (N,) if it takes three arguments;
        returns (B, N).
    takes_weight, is_torch : bool
    scale : str
    """

    name: str
    function: Callable[..., Any]
    takes_weight: bool = False  # type: ignore[misc]
    is_torch: bool = False
    scale: str = "log"

    def of_rows(self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the losses (B, N), from one call."""
        arguments = (predictions, y, weights)[: 3 if self.takes_weight else 2]
        found = _called(self.function, self.is_torch, *arguments)
        if found.shape != predictions.shape:
            raise UserError(
                f"{self.name} returned an array of shape {found.shape} for predictions of shape "
                f"{predictions.shape}; one loss for each is needed. A function of whole "
                "predictions is a loss_function."
            )
        return found

    def derivatives(
        self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives (B, N); central differences but for those that torch knows."""
        step = STEP * np.maximum(1.0, np.abs(predictions))
        sides = np.concatenate([predictions - step, predictions, predictions + step])
        with np.errstate(all="ignore"):
            if self.is_torch:
                arguments = (y, weights)[: 2 if self.takes_weight else 1]
                low, here, high = np.split(_torch_slopes(self.function, sides, *arguments), 3)
                return here, (high - low) / (2 * step)
            low, here, high = np.split(self.of_rows(sides, y, weights), 3)
            return (high - low) / (2 * step), (high - 2 * here + low) / step**2


@dataclass(frozen=True)
class WholeFunction(Objective):
    """An objective by a function of a user's, of predictions and data.

    Attributes
    ----------
    name : str
    function : callable
        Of predictions (B, N) and `FitData`, returns (B,); or of (N,), and returns a number.
    is_batched, is_torch : bool
        Whether it takes a batch at once.
    scale : str
    """

    name: str
    function: Callable[..., Any]
    is_batched: bool = True
    is_torch: bool = False
    scale: str = "log"
    keeps_rows = True

    def means(self, predictions: np.ndarray, data: FitData) -> np.ndarray:
        """Return the loss (B,), from one call where it takes a batch."""
        view = LossRows.of(data, self.is_torch)
        if not self.is_batched:
            rows = [_called(self.function, self.is_torch, row, view) for row in predictions]
            return np.array([self._number(row) for row in rows])
        found = _called(self.function, self.is_torch, predictions, view)
        if found.shape != (len(predictions),):
            raise UserError(
                f"{self.name} returned an array of shape {found.shape} for {len(predictions)} "
                "predictions; one number for each is needed."
            )
        return found

    def model(
        self, predictions: np.ndarray, jacobians: np.ndarray, data: FitData
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients and curvatures.

        Of a function of numpy they are central differences along the columns of the jacobian,
        all in one call; between two columns the curvature goes by their angle.
        """
        if self.is_torch:
            slopes = self._slopes(predictions, data)
            ones = np.ones(data.n_rows)
            return _chained(ones, slopes, np.zeros_like(slopes), predictions, jacobians, data)
        sizes = np.abs(jacobians).max(axis=2)
        sizes = np.where(sizes > 0, sizes, 1.0)  # what moves nothing has no slope
        steps = STEP * np.maximum(1.0, np.abs(predictions).max(axis=1))[:, None] / sizes
        moves = steps[:, :, None] * jacobians
        here = predictions[:, None]
        sides = [here + sign * moves for sign in (-1, 1)]
        several = np.concatenate([here, *sides], axis=1)
        found = self.means(several.reshape(-1, data.n_rows), data).reshape(several.shape[:2])
        n = steps.shape[1]
        low, high = found[:, 1 : n + 1], found[:, n + 1 :]
        bends = np.sqrt(np.abs(high - 2 * found[:, :1] + low)) / steps
        lengths = np.maximum(np.linalg.norm(jacobians, axis=2), np.finfo(float).tiny)
        units = jacobians / lengths[:, :, None]
        angles = units @ units.transpose(0, 2, 1)
        return (high - low) / (2 * steps), bends[:, :, None] * angles * bends[:, None, :]

    def _slopes(self, predictions: np.ndarray, data: FitData) -> np.ndarray:
        view = LossRows.of(data, True)
        if self.is_batched:
            return _torch_slopes(lambda p: self.function(p, view), predictions)
        rows = [_torch_slopes(lambda p: self.function(p, view), row) for row in predictions]
        return np.stack(rows)

    def _number(self, found: np.ndarray) -> float:
        if found.size != 1:
            raise UserError(
                f"{self.name} returned an array of shape {found.shape}; a number is needed."
            )
        return float(found.reshape(-1)[0])


@dataclass(frozen=True)
class LossRows:
    """What a loss_function is told of the data; tensors where it is one of torch.

    Attributes
    ----------
    X : (N, D)
    y : (N,)
    weights : (N,) or None
    """

    X: Any
    y: Any
    weights: Any

    @staticmethod
    def of(data: FitData, is_torch: bool) -> LossRows:
        """Return the rows of data."""
        rows = LossRows(data.columns.T, data.y, data.weights)
        if not is_torch:
            return rows
        weights = None if rows.weights is None else _tensor(rows.weights)
        return LossRows(_tensor(rows.X), _tensor(rows.y), weights)


def make_objective(
    elementwise_loss: Any, loss_function: Any, scale: str, data: FitData
) -> Objective | None:
    """Build the objective that a user asks for; None for the mean squared error.

    Parameters
    ----------
    elementwise_loss : str, callable or None
        A name of `NAMED_LOSSES`, a formula, or a function.
    loss_function : callable or None
    scale : {"log", "linear"}
    data : FitData
        The rows that it is tried on.

    Raises
    ------
    UserError
        If it cannot be read or called, does not return a loss, or has no finite value.
    """
    if elementwise_loss is not None and loss_function is not None:
        raise UserError("elementwise_loss and loss_function exclude each other; give one of them.")
    objective: Objective | None
    if loss_function is not None:
        objective = _tried_function(loss_function, scale, data)
    elif callable(elementwise_loss):
        objective = _tried_rows(elementwise_loss, scale, data)
    elif elementwise_loss is not None:
        objective = _formula_loss(str(elementwise_loss), scale, data)
        if objective is None:
            return None
    elif scale != "log":
        raise UserError(
            "loss_scale: 'linear' is for losses that may be negative; squared errors are not. "
            "Give elementwise_loss or loss_function too."
        )
    else:
        return None
    _check_values(objective, data)
    return objective


def _formula_loss(text: str, scale: str, data: FitData) -> Objective | None:
    where = "elementwise_loss"
    formula = formula_of(text, where) or text
    given = ARGUMENTS if "weight" in formula else ARGUMENTS[:2]
    definition = read_definition(formula, where, given)
    if len(definition.arguments) not in (2, 3):
        raise UserError(
            f"{where}: {text!r} has {len(definition.arguments)} argument(s); a loss has two, "
            "prediction and target, or three, with the weight."
        )
    if 0 not in definition.used:
        raise UserError(
            f"{where}: {text!r} does not use {definition.arguments[0]!r}, the prediction."
        )
    if scale == "log" and definition.tree in _SQUARES:
        return None
    deviation = np.sqrt(weighted_variance(data.y, data.weights)) or 1.0
    found = FormulaLoss(text, definition, SOFTENING * float(deviation), scale)
    _ = found.native  # refuses what has no derivative
    return found


_DIFFERENCE = ("sub", ("arg", 0), ("arg", 1))
_SQUARES = [
    (name, of)
    for name in ("n2",)
    for of in (_DIFFERENCE, ("abs", _DIFFERENCE), ("sub", ("arg", 1), ("arg", 0)))
]


def _tried_rows(function: Callable[..., Any], scale: str, data: FitData) -> Objective:
    name = f"elementwise_loss {_name_of(function)!r}"
    takes_weight = _n_arguments(function) == 3
    found = [RowFunction(name, function, takes_weight, is_torch, scale) for is_torch in _LIBRARIES]
    return _first_that_works(found, data)


def _tried_function(function: Callable[..., Any], scale: str, data: FitData) -> Objective:
    if not callable(function):
        raise UserError(
            f"loss_function: {function!r}; expected a function of predictions and data. A formula "
            "of single rows is an elementwise_loss."
        )
    name = f"loss_function {_name_of(function)!r}"
    ways = itertools.product(_LIBRARIES, (True, False))
    found = [WholeFunction(name, function, *way[::-1], scale) for way in ways]
    return _first_that_works(found, data)


_LIBRARIES = (False, True)
"""Whether a function is called with tensors."""


def _first_that_works(candidates: Sequence[Objective], data: FitData) -> Objective:
    """Return the first way of calling a function that gives what is needed."""
    several, problem = np.stack([data.y + 1.0, data.y, data.y - 1.0]), ""
    for objective in candidates:
        if objective.is_torch and "torch" not in sys.modules:  # type: ignore[attr-defined]
            break
        try:
            with warnings.catch_warnings():  # numpy's, where it is tried on tensors
                warnings.simplefilter("ignore", DeprecationWarning)
                objective.means(several, data)
        except UserError as error:  # returned something else
            problem = problem or str(error)
        except Exception as error:
            problem = problem or f"{objective.name} failed: {type(error).__name__}: {error}"
        else:
            return objective
    raise UserError(problem)


def _called(function: Callable[..., Any], is_torch: bool, *arguments: Any) -> np.ndarray:
    """Return what a function of a user's returns, as numbers."""
    if is_torch:
        arguments = tuple(_tensor(a) if isinstance(a, np.ndarray) else a for a in arguments)
    with np.errstate(all="ignore"):
        found = function(*arguments)
    if is_torch and hasattr(found, "detach"):
        found = found.detach().numpy()
    return np.asarray(found, dtype=np.float64)


def _tensor(array: np.ndarray) -> Any:
    """Return a tensor of its own, which a function may write to."""
    return sys.modules["torch"].tensor(array)


def _torch_slopes(
    function: Callable[..., Any], predictions: np.ndarray, *others: np.ndarray
) -> np.ndarray:
    """Return the derivatives of the sum of what a function returns, in the predictions."""
    torch = sys.modules["torch"]
    with torch.enable_grad():
        moved = torch.tensor(predictions, requires_grad=True)
        function(moved, *map(_tensor, others)).sum().backward()
    return moved.grad.numpy()


def _chained(
    shares: np.ndarray,
    slopes: np.ndarray,
    bends: np.ndarray,
    predictions: np.ndarray,
    jacobians: np.ndarray,
    data: FitData,
) -> tuple[np.ndarray, np.ndarray]:
    """Return gradients and curvatures by the chain rule, from derivatives in the predictions."""
    deviation = np.sqrt(weighted_variance(data.y, data.weights))
    with np.errstate(all="ignore"):
        distances = np.abs(predictions - data.y) + SOFTENING * (deviation or 1.0)
        weights = np.fmax(np.abs(slopes) / distances, np.abs(bends))
    slopes = shares * np.where(np.isfinite(slopes), slopes, 0.0)
    weights = shares * np.where(weights < 1e140, weights, 0.0)
    gradients = np.einsum("bn,bkn->bk", slopes, jacobians)
    return gradients, np.einsum("bn,bkn,bln->bkl", weights, jacobians, jacobians, optimize=True)


def _check_values(objective: Objective, data: FitData) -> None:
    """Refuse an objective that is a number nowhere, or negative where it may not be."""
    mean = float(np.average(data.y, weights=data.weights))
    tried = np.stack([np.full(len(data.y), mean), np.ones(len(data.y)), data.y])
    values = objective.means(tried, data)
    if not np.isfinite(values).any():
        raise UserError(
            f"{_shown(objective)} is {values[0]} for predictions of {mean:.6g} (the mean of y), "
            f"{values[1]} for ones, and {values[2]} for y itself; a finite number is needed."
        )
    if objective.scale == "log" and (values[np.isfinite(values)] < 0).any():
        raise UserError(
            f"{_shown(objective)} is negative ({values[np.isfinite(values)].min():.6g}); "
            "give loss_scale='linear' for losses that may be."
        )


def _shown(objective: Objective) -> str:
    name = objective.name
    return name if "loss" in name[:17] and " " in name else f"elementwise_loss {name!r}"


def _weights(data: FitData) -> np.ndarray:
    return np.ones(len(data.y)) if data.weights is None else data.weights


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _n_arguments(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 2
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters)
