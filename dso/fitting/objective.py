"""What a run makes small instead of the mean squared error.

A loss of single rows l(p, y) or l(p, y, w), of which a run takes the mean

    sum w l(p, y) / sum w,    or    sum l(p, y, w) / sum w,

is either a formula, which the virtual machine runs and derives (`FormulaLoss`), or a function of
numpy or torch, called once for a batch of predictions (`RowFunction`). An objective of whole
predictions is a function of them and of the data (`WholeFunction`).

Constants are fitted along the gradient of the objective: the loss's own slope times the derivatives
of the predictions, by the chain rule. A slope is symbolic for a formula, torch's for a function of
torch, and for a function of numpy a central difference in the prediction.
"""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
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
    def value_and_gradient(
        self, prediction: np.ndarray, jacobian: np.ndarray, data: FitData
    ) -> tuple[float, np.ndarray]:
        """Return the loss of one prediction (N,), and its derivatives (K,) by the chain rule.

        `jacobian` (N, K) holds those of the prediction.
        """


class RowLoss(Objective):
    """An objective that is a mean over rows."""

    takes_weight: bool

    @abstractmethod
    def of_rows(self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the losses (B, N) of predictions (B, N), without weights of 2-argument losses."""

    @abstractmethod
    def slopes(self, prediction: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return their derivatives (N,) in one prediction (N,)."""

    def means(self, predictions: np.ndarray, data: FitData) -> np.ndarray:
        """Return the mean loss (B,) of predictions (B, N)."""
        weights = _weights(data)
        losses = self.of_rows(predictions, data.y, weights)
        with np.errstate(all="ignore"):
            return losses @ self._shares(weights)

    def value_and_gradient(
        self, prediction: np.ndarray, jacobian: np.ndarray, data: FitData
    ) -> tuple[float, np.ndarray]:
        """Return the mean loss and its gradient; see `Objective`."""
        weights = _weights(data)
        slopes = self._shares(weights) * self.slopes(prediction, data.y, weights)
        # A row at a kink or pole does not tell where to go.
        usable = np.where(np.isfinite(jacobian), jacobian, 0.0)
        slopes = np.where(np.isfinite(slopes), slopes, 0.0)
        return float(self.means(prediction[None], data)[0]), slopes @ usable

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
    def native(self) -> _core.Loss:
        """The loss with its two derivatives, for the core."""
        parts = (self.definition, self._slope, self._slope.derivative(0))
        arity = len(self.definition.arguments)
        return _core.Loss(arity, *map(native_definition, parts), self.softening)

    def of_rows(self, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the losses (B, N)."""
        return self._called(self.definition, predictions, y, weights)

    def slopes(self, prediction: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives (N,)."""
        return self._called(self._slope, prediction, y, weights)

    def _called(
        self, definition: Definition, predictions: np.ndarray, y: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        arguments = (predictions, y, weights)[: len(self.definition.arguments)]
        return np.broadcast_to(definition(*arguments), predictions.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("native", "_slope")}


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

    def slopes(self, prediction: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives (N,)."""
        if self.is_torch:
            arguments = (y, weights)[: 2 if self.takes_weight else 1]
            return _torch_gradient(lambda p, *rest: self.function(p, *rest).sum(), prediction, *arguments)
        step = STEP * np.maximum(1.0, np.abs(prediction))
        low, high = self.of_rows(np.stack([prediction - step, prediction + step]), y, weights)
        with np.errstate(all="ignore"):
            return (high - low) / (2 * step)


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

    def value_and_gradient(
        self, prediction: np.ndarray, jacobian: np.ndarray, data: FitData
    ) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient; see `Objective`.

        Of a function of numpy each derivative is a central difference along a column of the
        jacobian, all in one call.
        """
        usable = np.where(np.isfinite(jacobian), jacobian, 0.0)
        value = float(self.means(prediction[None], data)[0])
        if self.is_torch:
            view = LossRows.of(data, True)
            one = prediction[None] if self.is_batched else prediction
            slopes = _torch_gradient(lambda p: self.function(p, view).sum(), one).reshape(-1)
            return value, np.where(np.isfinite(slopes), slopes, 0.0) @ usable
        sizes = np.maximum(np.abs(usable).max(axis=0), np.finfo(float).tiny)
        steps = STEP * max(1.0, float(np.abs(prediction).max())) / sizes
        sides = [prediction + sign * steps[:, None] * usable.T for sign in (-1, 1)]
        found = self.means(np.concatenate(sides), data)
        low, high = found[: len(steps)], found[len(steps) :]
        return value, (high - low) / (2 * steps)

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
        tensor = sys.modules["torch"].as_tensor
        weights = None if rows.weights is None else tensor(rows.weights)
        return LossRows(tensor(np.ascontiguousarray(rows.X)), tensor(rows.y), weights)


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
        If it cannot be read or called, returns what is no loss, or has no finite value.
    """
    if elementwise_loss is not None and loss_function is not None:
        raise UserError("elementwise_loss and loss_function exclude each other; give one of them.")
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
    predictions = np.stack([data.y + 1.0, data.y])
    arguments = (predictions, data.y, _weights(data))[: 3 if takes_weight else 2]
    is_torch = _needs_torch(function, name, *arguments)
    found = RowFunction(name, function, takes_weight, is_torch, scale)
    found.of_rows(predictions, data.y, _weights(data))
    return found


def _tried_function(function: Callable[..., Any], scale: str, data: FitData) -> Objective:
    if not callable(function):
        raise UserError(
            f"loss_function: {function!r}; expected a function of predictions and data. A formula "
            "of single rows is an elementwise_loss."
        )
    name = f"loss_function {_name_of(function)!r}"
    several = np.stack([data.y + 1.0, data.y, data.y - 1.0])
    is_torch = _needs_torch(function, name, several[0], data)
    found = WholeFunction(name, function, True, is_torch, scale)
    try:
        found.means(several, data)
    except UserError:
        found = replace(found, is_batched=False)
        found.means(several, data)
    return found


def _needs_torch(function: Callable[..., Any], name: str, *arguments: Any) -> bool:
    """Tell whether a function takes tensors, not arrays."""
    problems = []
    for is_torch in (False, True):
        given = [LossRows.of(a, is_torch) if isinstance(a, FitData) else a for a in arguments]
        try:
            _called(function, is_torch, *given)
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
            if "torch" not in sys.modules:
                break
        else:
            return is_torch
    raise UserError(f"{name} failed: {problems[0]}")


def _called(function: Callable[..., Any], is_torch: bool, *arguments: Any) -> np.ndarray:
    """Return what a function of a user's returns, as numbers."""
    if is_torch:
        tensor = sys.modules["torch"].as_tensor
        arguments = tuple(tensor(a) if isinstance(a, np.ndarray) else a for a in arguments)
    with np.errstate(all="ignore"):
        found = function(*arguments)
    if is_torch and hasattr(found, "detach"):
        found = found.detach().numpy()
    return np.asarray(found, dtype=np.float64)


def _torch_gradient(
    function: Callable[..., Any], prediction: np.ndarray, *others: np.ndarray
) -> np.ndarray:
    torch = sys.modules["torch"]
    with torch.enable_grad():
        moved = torch.tensor(prediction, requires_grad=True)
        function(moved, *map(torch.as_tensor, others)).backward()
    return moved.grad.numpy()


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
