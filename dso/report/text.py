"""What a run folder holds, in words: ``python -m dso.logeval RUN_DIR``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from dso.errors import UserError
from dso.runs.results import RunResults, numbers, truths

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHOW_COUNT = 10
ERRORS = ("nmse_test", "r_avg_test")
"""What a plot shows beside the reward: of regression, of control."""


class LogEval:
    """The runs of a folder, put together.

    Parameters
    ----------
    path : str or Path
        A run folder.

    Attributes
    ----------
    task : str
    summary : DataFrame
        One row per run that has ended.
    hof : DataFrame
        Halls of fame of all runs with a column ``seed``, best first.
    pf : DataFrame
        What is not dominated among the Pareto fronts of all runs, simplest first.

    Raises
    ------
    UserError
        If there is no such folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise UserError(
                f"RUN_DIR: {str(path)!r} is not a folder; expected one that a run made."
            )
        self._results = RunResults(self.path)
        self.runs = self._results.runs()
        self.task = self._task_name()
        self.summary = self._results.summary()
        self.hof = _sorted(self._joined("_hof"), ["r", "success", "seed"], best_first=True)
        self.pf = _not_dominated(_sorted(self._joined("_pf"), ["complexity", "seed"]))

    def _task_name(self) -> str:
        experiment = self._results.config().get("experiment", {})
        return str(experiment.get("task_name") or next((run.task for run in self.runs), "unknown"))

    def _joined(self, suffix: str) -> pd.DataFrame:
        import pandas as pd

        tables = [self._results.best(run, suffix).assign(seed=run.seed) for run in self.runs]
        tables = [table for table in tables if len(table)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    @property
    def issues(self) -> list[str]:
        """What could not be read, one line each."""
        return [f"{name} {why}" for name, why in sorted(self._results.issues.items())]

    def lines(
        self, *, show_count: int = SHOW_COUNT, show_hof: bool = True, show_pf: bool = True
    ) -> Iterator[str]:
        """Yield the text of the evaluation, line by line."""
        yield from _block("LOG SUMMARY", self._overview())
        if show_hof:
            rows = (_line(i, row) for i, row in enumerate(_first(self.hof, show_count)))
            yield from _block(f"HALL OF FAME (best {show_count})", rows)
        if show_pf:
            rows = (
                _line(i, row, complexity=True) for i, row in enumerate(_first(self.pf, show_count))
            )
            yield from _block(f"PARETO FRONT (first {show_count})", rows)
        if self.issues:
            yield from _block("FOUND ISSUES", self.issues)

    def _overview(self) -> Iterator[str]:
        yield f"Task                 : {self.task}"
        yield f"Folder               : {self.path}"
        n_ended = len(self.summary)
        n_others = len({run.seed for run in self.runs} - set(numbers(self.summary, "seed")))
        others = f", {n_others} without a result" if n_others else ""
        yield f"Runs                 : {n_ended}{others}"
        if not n_ended:
            return
        samples = numbers(self.summary, "n_samples")
        if np.isfinite(samples).any():
            yield f"Most samples of a run: {int(np.nanmax(samples))}"
        if "error" in self.summary:
            yield f"Failed runs          : {int(self.summary['error'].notna().sum())}"
        if "success" in self.summary:
            n_solved = int(truths(self.summary, "success").sum())
            yield f"Success rate         : {n_solved / n_ended:.3f} ({n_solved} of {n_ended})"

    def plot_hof(self) -> Any:
        """Return a figure of the rewards and errors in the halls of fame."""
        names = ["r", *self._errors(self.hof)]
        figure, (upper, lower) = _axes(2, len(names))
        for name, above, below in zip(names, upper, lower, strict=True):
            values = numbers(self.hof, name)
            above.plot(np.arange(1, len(values) + 1), values, ".-")
            above.set(xlabel="rank", ylabel=name, title=name)
            below.boxplot(values[np.isfinite(values)], orientation="horizontal")
            below.set(xlabel=name, yticks=[])
        return figure

    def plot_pf(self) -> Any:
        """Return a figure of rewards and errors against complexity."""
        names = ["r", *self._errors(self.pf)]
        figure, (panels,) = _axes(1, len(names))
        for name, panel in zip(names, panels, strict=True):
            panel.plot(numbers(self.pf, "complexity"), numbers(self.pf, name), "o-")
            panel.set(xlabel="complexity", ylabel=name, title=name)
        return figure

    def _errors(self, table: pd.DataFrame) -> list[str]:
        return [name for name in ERRORS if np.isfinite(numbers(table, name)).any()]

    def save_plots(self) -> list[Path]:
        """Write the plots that have something to show as PNG files into the folder."""
        saved = []
        for kind, table, plot in (("hof", self.hof, self.plot_hof), ("pf", self.pf, self.plot_pf)):
            if len(table):
                path = self.path / f"dso_{self.task.replace('/', '_')}_plot_{kind}.png"
                plot().savefig(path, dpi=150)
                saved.append(path)
        return saved


def report_lines(path: str | Path, show_count: int, save_plots: bool) -> Iterator[str]:
    """Yield what the command line says of a folder when its runs have ended.

    Parameters
    ----------
    path : str or Path
    show_count : int
        Rows of the halls of fame and of the front; 0 for neither.
    save_plots : bool
        Save the plots too; a line says so where matplotlib is missing.

    Raises
    ------
    UserError
        If there is no such folder.
    OSError
        If a plot cannot be written.
    """
    evaluation, shows = LogEval(path), show_count > 0
    yield from evaluation.lines(show_count=show_count, show_hof=shows, show_pf=shows)
    if save_plots:
        yield from _saved_or_missing(evaluation)


def _saved_or_missing(evaluation: LogEval) -> list[str]:
    if find_spec("matplotlib") is None:
        return ["Plots are not saved: matplotlib is not installed."]
    return [f"Plot saved as {path}" for path in evaluation.save_plots()]


def _block(title: str, lines: Any) -> Iterator[str]:
    yield f"== {title} =="
    yield from (list(lines) or ["(nothing yet)"])
    yield ""


def _first(table: pd.DataFrame, n_rows: int) -> list[dict[str, Any]]:
    return [dict(row) for _, row in table.head(n_rows).iterrows()]


def _line(i: int, row: dict[str, Any], *, complexity: bool = False) -> str:
    size = f"C={row.get('complexity')} " if complexity else ""
    return f"{i:3d}: S={row['seed']} R={row.get('r'):.6f} {size}<-- {row.get('expression')}"


def _sorted(table: pd.DataFrame, columns: list[str], *, best_first: bool = False) -> pd.DataFrame:
    present = [name for name in columns if name in table]
    if not len(table) or columns[0] not in present:
        return table.iloc[:0]
    ordered = table.dropna(subset=columns[:1])
    return ordered.sort_values(present, ascending=not best_first, kind="stable", ignore_index=True)


def _not_dominated(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows, in order of complexity, that are better than all simpler ones."""
    if not len(table):
        return table
    by_size = table.sort_values(["complexity", "r"], ascending=[True, False], kind="stable")
    best_before = by_size["r"].cummax().shift(fill_value=-np.inf)
    return by_size[by_size["r"] > best_before].reset_index(drop=True)


def _axes(n_rows: int, n_columns: int) -> tuple[Any, list[list[Axes]]]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "plots need matplotlib: pip install 'deep-symbolic-optimization[plots]'."
        ) from None
    figure = Figure(figsize=(5 * n_columns, 3 * n_rows), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False).tolist()


@click.command()
@click.argument("run_dir", metavar="RUN_DIR")
@click.option(
    "--show_count", default=SHOW_COUNT, type=click.IntRange(min=1), help="Programs to print."
)
@click.option("--show_hof", is_flag=True, help="Print the halls of fame.")
@click.option("--show_pf", is_flag=True, help="Print the Pareto front.")
@click.option("--show_plots", is_flag=True, help="Open the plots in a window.")
@click.option("--save_plots", is_flag=True, help="Write the plots as PNG files into RUN_DIR.")
def main(
    run_dir: str, show_count: int, show_hof: bool, show_pf: bool, show_plots: bool, save_plots: bool
) -> None:
    """Say what the runs in RUN_DIR found."""
    try:
        evaluation = LogEval(run_dir)
        for line in evaluation.lines(show_count=show_count, show_hof=show_hof, show_pf=show_pf):
            click.echo(line)
        if save_plots or show_plots:
            for path in evaluation.save_plots():
                click.echo(f"Plot saved as {path}")
                if show_plots:
                    click.launch(str(path))
    except (UserError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
