"""Figures of a result: the front, predictions against truth, residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError

if TYPE_CHECKING:
    from dso.regressor.equations import Equations


def plot(equations: Equations, chosen: int, rows: tuple[np.ndarray, np.ndarray] | None) -> Any:
    """Return a figure of matplotlib.

    Parameters
    ----------
    equations : Equations
    chosen : int
        The row of the front that is marked, and whose predictions are shown.
    rows : (X (N, D), y (N,)), optional
        Without them only the front is drawn.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "plot() needs matplotlib: install it, or dso with the extra 'plots'."
        ) from None
    n_panels = 1 if rows is None else 3
    figure = Figure(figsize=(4.5 * n_panels, 4), layout="constrained")
    axes = figure.subplots(1, n_panels, squeeze=False)[0]
    _draw_front(axes[0], equations, chosen)
    if rows is not None:
        X, y = rows
        predictions = equations.program(chosen).execute(X)
        _draw_predictions(axes[1], y, predictions)
        _draw_residuals(axes[2], y, predictions)
    return figure


def _draw_front(axes: Any, equations: Equations, chosen: int) -> None:
    complexities, losses = equations.front.complexities, equations.front.losses
    axes.plot(complexities, losses, "o-")
    axes.plot(complexities[chosen], losses[chosen], "s", markersize=10, label="selected")
    if (losses > 0).all():
        axes.set_yscale("log")
    axes.set(xlabel="complexity", ylabel="loss", title="Pareto front")
    axes.legend()


def _draw_predictions(axes: Any, y: np.ndarray, predictions: np.ndarray) -> None:
    axes.plot(y, predictions, ".")
    ends = [y.min(), y.max()]
    axes.plot(ends, ends, "-", linewidth=1, color="gray")
    axes.set(xlabel="y", ylabel="prediction", title="Predictions")


def _draw_residuals(axes: Any, y: np.ndarray, predictions: np.ndarray) -> None:
    axes.plot(predictions, y - predictions, ".")
    axes.axhline(0, linewidth=1, color="gray")
    axes.set(xlabel="prediction", ylabel="y - prediction", title="Residuals")
