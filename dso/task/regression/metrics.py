"""How well predictions fit: the metrics that a regression reward can be.

Every metric is a formula over one summary per program: the mean squared error (which the native
core computes for a whole batch without storing predictions), the fraction of rows within a
tolerance, or a correlation. All are vectorised over the B programs of a batch, take optional row
weights, and are scaled by the variance of the training targets, also on test data.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from dso.errors import UserError, unknown
from dso.fitting.objective import Objective
from dso.plugins import absolute, import_object, is_reference
from dso.program import FitData

Formula = Callable[[np.ndarray, float, Sequence[float]], np.ndarray]
"""Maps mean squared errors (B,), the variance of the targets and the parameters to rewards."""


@dataclass(frozen=True)
class MetricRow:
    """One line of the metric table.

    Attributes
    ----------
    n_params : int
        Numbers expected in ``metric_params``.
    worst : float or callable
        The reward of an invalid program, or a function of the variance that gives it.
    best : float
        The reward of a perfect program.
    from_mse : callable or None
        The formula, where the metric is one of the mean squared error.
    """

    n_params: int
    worst: float | Callable[[float], float]
    best: float
    from_mse: Formula | None = None


METRICS: dict[str, MetricRow] = {
    "neg_mse": MetricRow(0, lambda var: -var, 0.0, lambda mse, var, p: -mse),
    "neg_rmse": MetricRow(0, lambda var: -np.sqrt(var), 0.0, lambda mse, var, p: -np.sqrt(mse)),
    "neg_nmse": MetricRow(0, -1.0, 0.0, lambda mse, var, p: -mse / var),
    "neg_nrmse": MetricRow(0, -1.0, 0.0, lambda mse, var, p: -np.sqrt(mse / var)),
    "neglog_mse": MetricRow(0, lambda var: -np.log1p(var), 0.0, lambda mse, var, p: -np.log1p(mse)),
    "inv_mse": MetricRow(1, 0.0, 1.0, lambda mse, var, p: 1 / (1 + p[0] * mse)),
    "inv_nmse": MetricRow(1, 0.0, 1.0, lambda mse, var, p: 1 / (1 + p[0] * (mse / var))),
    "inv_nrmse": MetricRow(1, 0.0, 1.0, lambda mse, var, p: 1 / (1 + p[0] * np.sqrt(mse / var))),
    "fraction": MetricRow(2, 0.0, 1.0),
    "pearson": MetricRow(0, 0.0, 1.0),
    "spearman": MetricRow(0, 0.0, 1.0),
}


@dataclass(frozen=True)
class Metric:
    """A metric bound to its parameters and to the variance of the training targets.

    Attributes
    ----------
    name : str
    params : tuple of float
    variance : float
        Of the targets the metric was made for.
    invalid_reward, max_reward : float
    function : callable or None
        Of a metric of one's own: targets (N,), predictions (N,) and the parameters -> a number, the
        greater the better. Where rows have weights it is given them as `weights` (N,).
    reference : str or None
        What it is imported by.
    """

    name: str
    params: tuple[float, ...]
    variance: float
    invalid_reward: float
    max_reward: float
    function: Callable[..., float] | None = None
    reference: str | None = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Code of a file is found again by its path: pickle can import nothing but modules.
        if self.reference is None:
            return super().__reduce_ex__(protocol)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["function"]
        return _imported, (values,)

    @property
    def is_of_mse(self) -> bool:
        """Whether `from_mse` applies, so that predictions need not be stored.

        Where another loss is in force, it stands in the place of the squared error, and the loss of
        the mean of y in the place of the variance.
        """
        return self.function is None and METRICS[self.name].from_mse is not None

    def from_mse(self, mse: np.ndarray) -> np.ndarray:
        """Return the rewards (B,) for mean squared errors (B,).

        An error too large to be a number (or NaN, of an invalid program) has the invalid reward.
        """
        formula = METRICS[self.name].from_mse
        assert formula is not None
        with np.errstate(over="ignore", invalid="ignore"):
            rewards = formula(mse, self.variance, self.params)
        return self._or_invalid(rewards, np.isfinite(mse) & np.isfinite(rewards))

    def from_fraction(self, fraction: np.ndarray) -> np.ndarray:
        """Return the rewards (B,) for fractions (B,) of rows within the tolerance."""
        return self._or_invalid(fraction, np.isfinite(fraction))

    def from_predictions(
        self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None = None
    ) -> np.ndarray:
        """Score predictions.

        Parameters
        ----------
        y : (N,) float64
            Targets.
        predictions : (B, N) float64
            A row with a value that is not finite has the invalid reward.
        weights : (N,) float64, optional
            Weights of the rows. Default: all equal.

        Returns
        -------
        rewards : (B,) float64
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.is_of_mse:
                return self.from_mse(np.average((predictions - y) ** 2, axis=1, weights=weights))
            is_finite = np.isfinite(predictions).all(axis=1)
            if self.function is not None:
                return self._of_function(y, predictions, is_finite, weights)
            if self.name == "fraction":
                hits = np.abs(y - predictions) < self.params[0] * np.abs(y) + self.params[1]
                return self._or_invalid(np.average(hits, axis=1, weights=weights), is_finite)
        rewards = np.full(len(predictions), self.invalid_reward)
        usable = is_finite & ~_is_constant(predictions)
        if usable.any():
            correlation = _spearman if self.name == "spearman" else _pearson
            rewards[usable] = correlation(y, predictions[usable], weights)
        return self._or_invalid(rewards, np.isfinite(rewards))

    def _of_function(
        self,
        y: np.ndarray,
        predictions: np.ndarray,
        is_finite: np.ndarray,
        weights: np.ndarray | None,
    ) -> np.ndarray:
        assert self.function is not None
        keyword = {} if weights is None else {"weights": weights}
        rewards = np.full(len(predictions), self.invalid_reward)
        for b in np.flatnonzero(is_finite):
            value = self.function(y, predictions[b], *self.params, **keyword)
            rewards[b] = _as_number(value, self.name)
        return self._or_invalid(rewards, np.isfinite(rewards))

    def _or_invalid(self, rewards: np.ndarray, is_valid: np.ndarray) -> np.ndarray:
        return np.where(is_valid, rewards, self.invalid_reward)


@dataclass(frozen=True)
class LinearMetric(Metric):
    """The reward of losses that may be negative: 1/2 + d / (2 sqrt(1 + d^2)).

    d is what the mean of y has more of the loss, in units of its size, at least 1; so the mean of
    y has 1/2, and 1 is never reached.

    Attributes
    ----------
    spread : float
        That size.
    """

    spread: float = 1.0

    @property
    def is_of_mse(self) -> bool:
        """Whether `from_mse` applies."""
        return True

    def from_mse(self, mse: np.ndarray) -> np.ndarray:
        """Return the rewards (B,) for losses (B,)."""
        with np.errstate(all="ignore"):
            gain = (self.variance - mse) / self.spread
            rewards = 0.5 + 0.5 * gain / np.sqrt(1 + gain**2)
        return self._or_invalid(rewards, np.isfinite(mse))


def metric_of_loss(metric: Metric, objective: Objective, data: FitData) -> Metric:
    """Return the metric that rewards a loss other than the squared error.

    Raises
    ------
    UserError
        If the metric is not a formula over the mean loss.
    """
    if not metric.is_of_mse:
        raise UserError(
            f"task.metric: {metric.name!r} is not a formula over the mean loss, so it does not go "
            "with elementwise_loss or loss_function; leave it out, or give one of "
            + ", ".join(name for name, row in METRICS.items() if row.from_mse)
            + "."
        )
    mean = float(np.average(data.y, weights=data.weights))
    baseline = float(objective.means(np.full((1, data.n_rows), mean), data)[0])
    if objective.scale == "linear":
        spread = max(abs(baseline), 1.0) if np.isfinite(baseline) else 1.0
        baseline = baseline if np.isfinite(baseline) else 0.0
        return LinearMetric("loss", (), baseline, 0.0, 1.0, spread=spread)
    baseline = baseline if np.isfinite(baseline) and baseline > 0 else 1.0
    row = METRICS[metric.name]
    worst = row.worst(baseline) if callable(row.worst) else row.worst
    return replace(metric, variance=baseline, invalid_reward=float(worst))


def make_metric(
    name: str,
    params: Sequence[float],
    variance: float,
    where: str = "task.metric",
    has_weights: bool = False,
) -> Metric:
    """Bind a metric to its parameters and to the variance of the training targets.

    A name of the form ``module:function`` or ``path/to/file.py:function`` is a metric of one's own.
    It may carry attributes `invalid_reward` (default 0) and `max_reward` (default inf).

    Raises
    ------
    UserError
        If there is no such metric, the parameters are not the numbers that it takes, or rows have
        weights and a metric of one's own does not take any.
    """
    if is_reference(name):
        return _own_metric(name, params, variance, where, has_weights)
    if name not in METRICS:
        raise unknown("metric", name, METRICS, where)
    row = METRICS[name]
    if len(params) != row.n_params:
        raise UserError(
            f"{where}_params: {list(params)} has {len(params)} number(s), but '{name}' takes "
            f"{row.n_params}."
        )
    if not all(_is_number(value) and value >= 0 for value in params):
        raise UserError(f"{where}_params: {list(params)}; expected finite numbers >= 0.")
    if len(params) and not any(params):
        raise UserError(
            f"{where}_params: {list(params)}; with these {name!r} is the same for every program."
        )
    worst = row.worst(variance) if callable(row.worst) else row.worst
    return Metric(name, tuple(map(float, params)), variance, float(worst), row.best)


def _own_metric(
    name: str, params: Sequence[float], variance: float, where: str, has_weights: bool
) -> Metric:
    function = import_object(name, where)
    if not callable(function):
        raise UserError(f"{where}: {name!r} is not a function.")
    if has_weights and not _takes_weights(function):
        raise UserError(
            f"{where}: the rows have weights, but {name!r} has no argument 'weights' to take them."
        )
    worst = float(getattr(function, "invalid_reward", 0.0))
    best = float(getattr(function, "max_reward", np.inf))
    return Metric(name, tuple(params), variance, worst, best, function, absolute(name))


def _imported(values: dict[str, Any]) -> Metric:
    function: Any = import_object(values["reference"], "task.metric")
    return Metric(function=function, **values)


def _takes_weights(function: Callable) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some compiled functions have none
        return True
    return any(p.name == "weights" or p.kind is p.VAR_KEYWORD for p in parameters)


def _as_number(value: object, name: str) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise UserError(f"metric {name!r} returned {value!r}; a number is needed.") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def _is_constant(predictions: np.ndarray) -> np.ndarray:
    """Tell rows (B,) of one value, rounding aside: their correlation would be that of the noise."""
    high, low = predictions.max(axis=1), predictions.min(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        return high - low <= 8 * np.finfo(float).eps * np.maximum(np.abs(high), np.abs(low))


def _pearson(y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Correlate y (N,) with each row of predictions (B, N)."""
    a, b = _standardised(y[None], weights), _standardised(predictions, weights)
    return np.clip(np.average(a * b, axis=1, weights=weights), -1.0, 1.0)


def _standardised(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Shift and scale each row to mean 0 and variance 1."""
    # Dividing by the largest value first keeps the squares of huge and tiny values in range.
    with np.errstate(invalid="ignore", divide="ignore"):
        values = values / np.abs(values).max(axis=1, keepdims=True)
        values = values - np.average(values, axis=1, weights=weights)[:, None]
        return values / np.sqrt(np.average(values**2, axis=1, weights=weights))[:, None]


def _spearman(y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    if weights is None:
        from scipy.stats import rankdata  # half a second to import, and only this metric needs it

        return _pearson(rankdata(y), rankdata(predictions, axis=1), None)
    ranks = np.stack([_weighted_ranks(row, weights) for row in predictions])
    return _pearson(_weighted_ranks(y, weights), ranks, weights)


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return mean ranks (N,), from 1/2, of rows that stand for as many as their weight says."""
    _, group = np.unique(values, return_inverse=True)
    share = np.bincount(group, weights)
    return (np.cumsum(share) - share / 2)[group]
