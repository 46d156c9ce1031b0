"""Figures of runs as they could stand in a paper, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.runs.results import numbers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LABELS = {
    "r": "Reward",
    "nmse_test": "NMSE on test rows",
    "r_avg_test": "Mean return of test episodes",
}
LOGARITHMIC = ("nmse_test",)
FLOOR = 1e-32
"""What is drawn for an error of zero on a logarithmic scale."""
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.dpi": 200,
}
DATA, FORMULA, OTHER = "#1f77b4", "#d62728", "0.55"


def new_figure(n_columns: int, n_rows: int = 1) -> tuple[Any, list[list[Axes]]]:
    """Return a figure with its panels (n_rows, n_columns).

    Raises
    ------
    UserError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "plots need matplotlib: pip install 'deep-symbolic-optimization[plots]'."
        ) from None
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * n_columns, 3.2 * n_rows), layout="constrained")
        return figure, figure.subplots(n_rows, n_columns, squeeze=False).tolist()


def label_of(name: str) -> str:
    """Return what an axis says of a column."""
    return LABELS.get(name, name.replace("_", " "))


def draw_learning(axes: Axes, logs: Sequence[pd.DataFrame], title: str) -> None:
    """Draw the best reward over samples: each run faintly, and the median of several."""
    curves = [(numbers(log, "nevals"), numbers(log, "r_best")) for log in logs if len(log)]
    many = len(curves) > 1
    width, alpha = (0.8, 0.4) if many else (1.6, 1.0)
    for samples, best in curves:
        best = np.where(np.isfinite(best), best, np.nan)
        axes.plot(samples, best, color=DATA, linewidth=width, alpha=alpha)
    if many:
        ends = np.concatenate([samples for samples, _ in curves])
        grid = np.linspace(ends.min(), ends.max(), 200)
        held = [np.interp(grid, samples, best) for samples, best in curves]
        middle = np.median(held, axis=0)
        axes.plot(grid, middle, color=DATA, linewidth=2, label="median of the runs")
        axes.legend(loc="lower right")
    axes.set(xlabel="Samples", ylabel="Best reward", title=title)


def draw_front(axes: Axes, front: pd.DataFrame, name: str, picked: int | None, title: str) -> None:
    """Draw a column of a Pareto front against complexity, the picked row marked."""
    x, y = numbers(front, "complexity"), numbers(front, name)
    if name in LOGARITHMIC:
        axes.set_yscale("log")
        y = np.maximum(y, FLOOR)
    axes.plot(x, y, "o-", color=DATA, markersize=4, linewidth=1.2)
    if picked is not None and np.isfinite(y[picked]):
        axes.plot(x[picked], y[picked], "*", color=FORMULA, markersize=13, label="picked")
        axes.legend()
    axes.set(xlabel="Complexity", ylabel=label_of(name), title=title)


def draw_ranks(above: Axes, below: Axes, values: np.ndarray, name: str, title: str) -> None:
    """Draw a column of the halls of fame by rank, and its distribution."""
    shown = np.maximum(values, FLOOR) if name in LOGARITHMIC else values
    above.plot(np.arange(1, len(values) + 1), shown, ".-", color=DATA, linewidth=1)
    above.set(xlabel="Rank", ylabel=label_of(name), title=title)
    below.boxplot(shown[np.isfinite(shown)], orientation="horizontal")
    below.set(xlabel=label_of(name), yticks=[])
    if name in LOGARITHMIC:
        above.set_yscale("log")
        below.set_xscale("log")


def draw_prediction(
    axes: Axes, y: np.ndarray, predicted: np.ndarray, is_test: np.ndarray, title: str
) -> None:
    """Draw predictions against data, with the line on which they would be equal."""
    known = np.isfinite(predicted)
    for rows, kind, marker, color in (
        (~is_test & known, "training rows", "o", DATA),
        (is_test & known, "test rows", "^", OTHER),
    ):
        if rows.any():
            axes.plot(
                *(y[rows], predicted[rows], marker),
                color=color,
                markersize=4,
                alpha=0.7,
                linewidth=0,
                label=kind,
            )
    ends = [y.min(), y.max()]
    axes.plot(ends, ends, color="0.3", linewidth=0.8)
    axes.set(xlabel="Data", ylabel="Prediction", title=title)
    axes.legend()
