"""What `dso fit` prints at its end: the front, the picked formula, its errors, and the files."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from dso.program.symbolic import short_text

if TYPE_CHECKING:
    from dso.command.fit_data import Rows
    from dso.regressor import DeepSymbolicRegressor
    from dso.regressor.equations import Equations

DIGITS = 4
MAX_ROWS = 12


def summary_lines(model: DeepSymbolicRegressor, rows: Rows, *, short: bool) -> Iterator[str]:
    """Yield the result of a fit, line by line.

    Parameters
    ----------
    model : DeepSymbolicRegressor
        Fitted to the rows that are not held out.
    rows : Rows
    short : bool
        Whether the formula alone is wanted.
    """
    equations = model._targets[0]
    chosen = equations.select(model.model_selection)
    formula = short_text(equations.short_sympy(chosen), DIGITS)
    if short:
        yield f"{rows.target} = {formula}"
        return
    is_held_out = bool(rows.is_held_out.any())
    judged = rows.is_held_out if is_held_out else np.ones(len(rows.y), dtype=bool)
    X, y = rows.X.to_numpy()[judged], rows.y.to_numpy()[judged]
    yield ""
    yield from _front(equations, X, y, chosen, is_held_out=is_held_out)
    yield ""
    yield f"{rows.target} = {formula}"
    r2 = _r2(equations.program(chosen).execute(X), y)
    yield f"R2 {r2:.4f} on {len(y)} {'held-out' if is_held_out else 'fitted'} rows; {_stop(model)}."
    yield from _constants(model)
    folder = Path(str(model.output_directory_), str(model.run_id_))
    if (picture := _picture(model, X, y, folder)) is not None:
        yield f"Picture in {picture}"
    yield f"Files in {folder}; dso report {folder} makes a page of them."
    yield f'In Python: import dso; model = dso.load("{folder}")'


def _picture(
    model: DeepSymbolicRegressor, X: np.ndarray, y: np.ndarray, folder: Path
) -> Path | None:
    """Draw front, predictions and residuals into the folder, where matplotlib is installed."""
    if find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    names = getattr(model, "feature_names_in_", None)
    panels = Figure(figsize=(13.5, 4), layout="constrained").subplots(1, 3)
    model.plot(X if names is None else pd.DataFrame(X, columns=names), y, ax=panels)
    path = folder / "formula.png"
    panels[0].figure.savefig(path, dpi=150)
    return path


def _stop(model: DeepSymbolicRegressor) -> str:
    return f"{model.n_evaluations_} expressions ({model.stop_reason_})"


def _front(
    equations: Equations, X: np.ndarray, y: np.ndarray, chosen: int, *, is_held_out: bool
) -> Iterator[str]:
    """Yield the rows of the front, the picked one marked; of many, those around it."""
    head = "R2 held out" if is_held_out else "R2"
    yield f"     size        loss  {head:>11}  formula"
    first = max(0, min(chosen - MAX_ROWS // 2, len(equations) - MAX_ROWS))
    shown = range(first, min(first + MAX_ROWS, len(equations)))
    for i in shown:
        mark = ">>" if i == chosen else "  "
        r2 = _r2(equations.program(i).execute(X), y)
        text = short_text(equations.short_sympy(i), DIGITS)
        size, loss = equations.front.complexities[i], equations.front.losses[i]
        yield f"  {mark} {size:4g}  {loss:10.4g}  {r2:11.4f}  {text}"
    if len(shown) < len(equations):
        yield f"     ({len(equations) - len(shown)} more in the files)"


def _r2(predictions: np.ndarray, y: np.ndarray) -> float:
    """Return 1 - (squared errors) / (squared deviations from the mean), -inf where undefined."""
    if not np.isfinite(predictions).all():
        return -np.inf
    spread = np.sum((y - y.mean()) ** 2)
    return float(1 - np.sum((y - predictions) ** 2) / spread) if spread else float("nan")


def _constants(model: DeepSymbolicRegressor) -> Iterator[str]:
    """Yield the constants of the picked formula with their errors."""
    table: Any = model.constants()
    if not len(table):
        return
    yield f"{table.attrs['equation']}, where"
    for name, row in table.iterrows():
        error = row["standard_error"]
        shown = "not determined by the data" if np.isnan(error) else f"+- {error:.2g}"
        yield f"  {name} = {row['value']:.6g} {shown}"
    if table.attrs["note"]:
        yield f"  {table.attrs['note']}"
