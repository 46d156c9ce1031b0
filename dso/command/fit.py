"""``dso fit DATA --target NAME``: a formula for a column of a table."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dso.command.fit_data import choose_columns, described, take_rows
from dso.command.fit_summary import summary_lines
from dso.config import with_values
from dso.data_files import read_table
from dso.launch.command import SIGNAL_BASE, leaving_in_order, messages_as_lines
from dso.launch.folders import clear, occupied
from dso.launch.options import CONTEXT, shared_options, values_of
from dso.runs.folder import file_name

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from dso.regressor import DeepSymbolicRegressor


@click.command(context_settings=CONTEXT)
@click.argument("data", metavar="DATA")
@click.option("--target", "-t", default=None, help="Column to explain; default: y, or the last.")
@click.option("--drop", multiple=True, metavar="NAME", help="Column to leave out; may be repeated.")
@click.option("--weights", default=None, metavar="NAME", help="Column of the weights of the rows.")
@click.option("--dropna", is_flag=True, help="Leave out rows with a missing value.")
@click.option(
    "--held-out",
    default=0.2,
    type=click.FloatRange(0, 0.9),
    help="Share of the rows that only judge the result; none of fewer than 50 rows.",
)
@click.option(
    "--preset",
    default="default",
    type=click.Choice(["quick", "default", "best"]),
    help="How long to search: seconds, some 15 seconds, many minutes of computing.",
)
@click.option("--operators", default=None, metavar="LIST", help="E.g. add,mul,sin,const.")
@click.option("--maxsize", default=None, type=click.IntRange(min=1), help="Most tokens; 30.")
@click.option("--seed", default=0, type=click.IntRange(min=0), help="Of the search; 0.")
@click.option("--exp-name", default=None, help="Name of the run folder below --logdir.")
@shared_options
def fit(
    data: str,
    target: str | None,
    drop: tuple[str, ...],
    weights: str | None,
    dropna: bool,
    held_out: float,
    preset: str,
    operators: str | None,
    maxsize: int | None,
    seed: int,
    exp_name: str | None,
    assignments: tuple[str, ...],
    n_samples: int | None,
    seconds: float | None,
    logdir: str | None,
    quiet: bool,
    dry_run: bool,
    overwrite: bool,
) -> None:
    """Find a formula for a column of DATA, a table: csv tsv txt (also gz), xlsx, parquet, npy, npz.

    Ctrl-C ends the search and keeps what it has found.
    """
    table = read_table(data)
    columns = choose_columns(table, target, drop, weights)
    if dropna:
        table = table.without_gaps(columns.all)
    rows = take_rows(table, columns, held_out)
    values = values_of(assignments, n_samples, seconds, logdir, quiet)
    name = exp_name or file_name(f"{table.path.stem}_{time.strftime('%Y-%m-%d-%H%M%S')}")
    config = _config(preset, {"experiment.seed": seed, **values})
    # The estimator has an argument for it, and would warn of the key.
    logdir = str(Path(config["experiment"].pop("logdir")).expanduser())
    model = _estimator(config, operators, maxsize, quiet)
    model.set_params(output_directory=logdir, run_id=name)
    if not quiet:
        for line in (*table.notes, described(table, rows)):
            click.echo(line)
    seen = ~rows.is_held_out
    given = rows.X[seen], rows.y[seen], None if rows.weights is None else rows.weights[seen]
    with messages_as_lines(quiet=True), leaving_in_order():
        _check(model, *given)  # before anything is written
        if dry_run:
            click.echo(_planned(model, Path(logdir, name)))
            return
        _claim(Path(logdir, name), overwrite)
        model.fit(*given)
    for line in summary_lines(model, rows, short=quiet):
        click.echo(line)
    if model.interrupted_:
        sys.exit(SIGNAL_BASE + signal.SIGINT)


def _config(preset: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the estimator's own config with the budget of a preset, and what the options say."""
    from dso.regressor.options import PRESETS, SEARCH

    usual = {"training.n_samples": PRESETS[preset], "experiment.logdir": "logs"}
    return with_values(SEARCH, {**usual, **values})


def _estimator(
    config: dict[str, Any], operators: str | None, maxsize: int | None, quiet: bool
) -> DeepSymbolicRegressor:
    from dso.regressor import DeepSymbolicRegressor

    return DeepSymbolicRegressor(
        config,
        function_set=None if operators is None else _tokens(operators),
        maxsize=maxsize,
        n_jobs=-1,
        progress=not quiet,
    )


def _tokens(text: str) -> list[str | float]:
    tokens: list[str | float] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            tokens.append(float(part))
        except ValueError:
            tokens.append(part)
    return tokens


def _check(
    model: DeepSymbolicRegressor, X: pd.DataFrame, y: pd.Series, weights: np.ndarray | None
) -> None:
    """Build what the fit would use, which refuses what cannot be used."""
    from dso.core import DeepSymbolicOptimizer
    from dso.export import identifiers
    from dso.regressor.options import search_config
    from dso.task.regression.dataset import from_arrays

    config = search_config(model)
    config["experiment"]["logdir"] = None
    data = from_arrays(X, y, input_names=tuple(identifiers(list(X.columns))), weights=weights)
    DeepSymbolicOptimizer(config, data).setup()


def _planned(model: DeepSymbolicRegressor, folder: Path) -> str:
    """Return what the fit would do."""
    from dso.regressor.options import search_config

    config = search_config(model)
    training, functions = config["training"], config["task"]["function_set"]
    limit = "" if training["max_seconds"] is None else f" or {training['max_seconds']:g} s"
    return (
        f"Tokens: {', '.join(map(str, functions))}; at most {training['n_samples']} "
        f"expressions{limit}.\nInto {folder}. Nothing was run or written."
    )


def _claim(folder: Path, overwrite: bool) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not overwrite:
            raise occupied(folder, "has results already", can_go_on=False)
        clear(folder)
