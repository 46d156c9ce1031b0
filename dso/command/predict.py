"""``dso predict RUN_DIR DATA``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from dso.command.models import is_regressor, load_one, target_name
from dso.data_files import DataTable, read_table
from dso.errors import UserError
from dso.launch.options import CONTEXT
from dso.runs.disk import write_text


@click.command(context_settings=CONTEXT)
@click.argument("run_dir", metavar="RUN_DIR")
@click.argument("data", metavar="DATA")
@click.option("--seed", default=None, type=int, help="Which of several runs; default: the best.")
@click.option("--row", default=None, type=int, help="Row of the front; default: the picked one.")
@click.option("--dropna", is_flag=True, help="Leave out rows with a missing value.")
@click.option("--out", "-o", default=None, help="CSV to write: the table and its predictions.")
def predict(
    run_dir: str, data: str, seed: int | None, row: int | None, dropna: bool, out: str | None
) -> None:
    """Compute what the formula or policy in RUN_DIR predicts for the rows of the table DATA.

    Inputs are matched by the names of columns, or by their order if the table has no names.
    """
    model, table = load_one(run_dir, seed), read_table(data)
    inputs = _inputs(model, table)
    if dropna:
        table = table.without_gaps(inputs)
    for note in table.notes:
        click.echo(note, err=True)
    predictions = _predictions(model, table.numbers(inputs), row)
    if out is None:
        click.echo(",".join(predictions))
        for values in np.column_stack(list(predictions.values())).tolist():
            click.echo(",".join(map(repr, values)))
        return
    whole = table.frame.assign(**predictions)
    write_text(Path(out), whole.to_csv(index=False))
    click.echo(f"{len(whole)} rows in {out}")


def _inputs(model: Any, table: DataTable) -> list[str]:
    """Return the columns that the model takes, in its order."""
    names = table.names
    wanted = list(model._original_names if is_regressor(model) else model.names)
    numbered = [f"x{i + 1}" for i in range(len(wanted))]
    if set(wanted) <= set(names):
        return wanted
    if not is_regressor(model) and set(numbered) <= set(names):  # what traversals call them
        return numbered
    if wanted != numbered:
        missing = next(name for name in wanted if name not in names)
        table.find(missing, "an input of the formula")
    if len(names) != len(wanted):
        raise UserError(
            f"{table.path}: has {len(names)} columns; the model has {len(wanted)} inputs."
        )
    return names


def _predictions(model: Any, X: np.ndarray, row: int | None) -> dict[str, np.ndarray]:
    """Return the columns (N,) that are predicted, by name."""
    if is_regressor(model):
        import pandas as pd

        named = getattr(model, "feature_names_in_", None)
        rows = X if named is None else pd.DataFrame(X, columns=named)
        return {f"{target_name(model)}_predicted": model.predict(rows, row)}
    actions = np.asarray(model.predict(X)[0], dtype=np.float64).reshape(len(X), -1)
    return {f"a{i + 1}": column for i, column in enumerate(actions.T)}
