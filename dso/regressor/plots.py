"""Figures of a result: the front, predictions against truth, residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.runs.display import is_notebook

if TYPE_CHECKING:
    from dso.regressor.equations import Equations


def plot(
    equations: Equations,
    chosen: int,
    rows: tuple[np.ndarray, np.ndarray] | None,
    ax: Any = None,
) -> np.ndarray:
    """Draw with matplotlib, and return the axes.

    Parameters
    ----------
    equations : Equations
    chosen : int
        The row of the front that is marked, and whose predictions are shown.
    rows : (X (N, D), y (N,)), optional
        Without them only the front is drawn.
    ax : Axes or sequence of Axes, optional
        What to draw in: one for the front alone, or three.
    """
    given = None if ax is None else np.ravel(np.asarray(ax, dtype=object))
    if given is not None and len(given) not in (1, 3):
        raise UserError(f"plot: ax has {len(given)} axes; expected 1, for the front, or 3.")
    n_panels = (1 if rows is None else 3) if given is None else len(given)
    if n_panels == 3 and rows is None:
        raise UserError("plot: three axes need X and y; a model that was loaded has no data.")
    axes = _new_axes(n_panels) if given is None else given
    _draw_front(axes[0], equations, chosen)
    if rows is not None and n_panels == 3:
        X, y = rows
        predictions = equations.program(chosen).execute(X)
        _draw_predictions(axes[1], y, predictions)
        _draw_residuals(axes[2], y, predictions)
    if given is None:
        _show(axes[0].figure)
    return axes


def _new_axes(n_panels: int) -> np.ndarray:
    """Return the axes of a new figure, one that is shown where anything can be shown."""
    size: dict[str, Any] = {"figsize": (4.5 * n_panels, 4), "layout": "constrained"}
    try:
        if _is_shown():
            from matplotlib import pyplot

            figure = pyplot.figure(**size)
        else:
            from matplotlib.figure import Figure

            figure = Figure(**size)
    except ImportError:
        raise UserError(
            "plot() needs matplotlib: install it, or dso with the extra 'plots'."
        ) from None
    return figure.subplots(1, n_panels, squeeze=False)[0]


def _is_shown() -> bool:
    """Tell whether a figure of pyplot gets to somebody: in a notebook, or in a window."""
    if is_notebook():
        return True
    import matplotlib
    from matplotlib.backends.registry import BackendFilter, backend_registry

    return matplotlib.get_backend().lower() in {
        name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)
    }


def _show(figure: Any) -> None:
    """Open the window of a figure; a notebook shows it at the end of the cell."""
    if not is_notebook() and getattr(figure.canvas, "manager", None) is not None:
        figure.show()


def _draw_front(axes: Any, equations: Equations, chosen: int) -> None:
    complexities, losses = equations.front.complexities, equations.front.losses
    axes.plot(complexities, losses, "o-")
    axes.plot(complexities[chosen], losses[chosen], "s", markersize=10, label="selected")
    if (losses > 0).all():
        axes.set_yscale("log")
    axes.set(xlabel="Complexity", ylabel="Loss", title="Pareto front")
    axes.legend()


def _draw_predictions(axes: Any, y: np.ndarray, predictions: np.ndarray) -> None:
    axes.plot(y, predictions, ".")
    ends = [y.min(), y.max()]
    axes.plot(ends, ends, "-", linewidth=1, color="gray")
    axes.set(xlabel="Data", ylabel="Prediction", title="Predictions")


def _draw_residuals(axes: Any, y: np.ndarray, predictions: np.ndarray) -> None:
    axes.plot(predictions, y - predictions, ".")
    axes.axhline(0, linewidth=1, color="gray")
    axes.set(xlabel="Prediction", ylabel="Data - prediction", title="Residuals")
