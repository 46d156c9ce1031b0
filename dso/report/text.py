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
from dso.report.pick import picked_row
from dso.report.pictures import (
    draw_front,
    draw_learning,
    draw_prediction,
    draw_ranks,
    new_figure,
)
from dso.report.run_data import load_run_data
from dso.runs.batches import settings_of
from dso.runs.folder import file_name
from dso.runs.results import RunResults, numbers, refuse_without_runs, truths

if TYPE_CHECKING:
    import pandas as pd

SHOW_COUNT = 10
ERRORS = ("nmse_test", "r_avg_test")
"""What a plot shows besides the reward: of regression, of control."""


class LogEval:
    """The runs of a folder, or of all settings of a sweep, put together.

    Parameters
    ----------
    path : str or Path
        A run folder, or that of a batch of several configs.

    Attributes
    ----------
    task : str
    settings : list of Setting
        Of a batch; otherwise the folder alone.
    summary : DataFrame
        One row per run that has ended.
    hof : DataFrame
        Halls of fame of all runs with the columns ``seed`` and ``setting``, best first.
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
        self.settings = settings_of(self.path)
        self._results = [RunResults(setting.folder) for setting in self.settings]
        self.runs = [(i, run) for i, one in enumerate(self._results) for run in one.runs()]
        self.task = self._task_name()
        self.summary = self._put_together([one.summary() for one in self._results])
        self.hof = _sorted(self._joined("_hof"), ["r", "success", "seed"], best_first=True)
        self.pf = _not_dominated(_sorted(self._joined("_pf"), ["complexity", "seed"]))

    def _task_name(self) -> str:
        names = [one.config().get("experiment", {}).get("task_name") for one in self._results]
        found = [*filter(None, names), *(run.task for _, run in self.runs)]
        return ", ".join(dict.fromkeys(map(str, found))) or "unknown"

    def _put_together(self, tables: list[pd.DataFrame]) -> pd.DataFrame:
        import pandas as pd

        named = [
            table.assign(setting=setting.label)
            for table, setting in zip(tables, self.settings, strict=True)
            if len(table)
        ]
        return pd.concat(named, ignore_index=True) if named else pd.DataFrame()

    def _joined(self, suffix: str) -> pd.DataFrame:
        import pandas as pd

        tables: list[list[pd.DataFrame]] = [[] for _ in self.settings]
        for i, run in self.runs:
            table = self._results[i].best(run, suffix)
            if len(table):
                tables[i].append(table.assign(seed=run.seed))
        return self._put_together(
            [pd.concat(one, ignore_index=True) if one else pd.DataFrame() for one in tables]
        )

    @property
    def issues(self) -> list[str]:
        """What could not be read, one line each."""
        found = []
        for setting, one in zip(self.settings, self._results, strict=True):
            if setting.folder.is_dir():  # else none of its runs has begun
                where = "" if len(self.settings) == 1 else f"{setting.folder.name}/"
                found += [f"{where}{name} {why}" for name, why in sorted(one.issues.items())]
        return found

    def lines(
        self, *, show_count: int = SHOW_COUNT, show_hof: bool = True, show_pf: bool = True
    ) -> Iterator[str]:
        """Yield the text of the evaluation, line by line."""
        yield from _block("LOG SUMMARY", self._overview())
        if len(self.settings) > 1:
            yield from _block("SETTINGS (best mean first)", setting_lines(self.summary))
        for i, run in self.runs:
            if found := self._results[i].reductions(run):
                text = [found["why"], *(f"- {step}" for step in found["steps"])]
                yield from _block(f"WHAT THE DATA SAY (seed {run.seed})", text)
        if show_hof:
            rows = (self._line(i, row) for i, row in enumerate(_first(self.hof, show_count)))
            yield from _block(f"HALL OF FAME (best {show_count})", rows)
        if show_pf:
            rows = (self._line(i, row) for i, row in enumerate(_first(self.pf, show_count)))
            yield from _block(f"PARETO FRONT (first {show_count})", rows)
        if self.issues:
            yield from _block("FOUND ISSUES", self.issues)

    def _overview(self) -> Iterator[str]:
        yield f"Task                 : {self.task}"
        yield f"Folder               : {self.path}"
        n_ended = len(self.summary)
        ended = set(zip(self._setting_of(self.summary), numbers(self.summary, "seed"), strict=True))
        begun = {(self.settings[i].label, float(run.seed)) for i, run in self.runs}
        n_others = len(begun - ended)
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

    def _line(self, i: int, row: dict[str, Any]) -> str:
        size = f"C={row['complexity']:g} " if "complexity" in row else ""
        setting = f"[{row['setting']}] " if len(self.settings) > 1 else ""
        r, text = row.get("r"), row.get("expression")
        return f"{i:3d}: S={row['seed']} R={r:.6f} {size}{setting}<-- {text}"

    @staticmethod
    def _setting_of(table: pd.DataFrame) -> list[str]:
        return table["setting"].tolist() if "setting" in table else [""] * len(table)

    def analyze_log(self, show_count: int = SHOW_COUNT, *, save_plots: bool = False) -> None:
        """Print what the command line prints of the folder."""
        for line in report_lines(self.path, show_count, save_plots):
            print(line)

    def plot_hof(self) -> Any:
        """Return a figure of the rewards and errors in the halls of fame."""
        names = ["r", *self._errors(self.hof)]
        figure, (upper, lower) = new_figure(len(names), 2)
        for name, above, below in zip(names, upper, lower, strict=True):
            draw_ranks(above, below, numbers(self.hof, name), name, f"Hall of fame, {self.task}")
        return figure

    def plot_pf(self) -> Any:
        """Return a figure of rewards and errors against complexity, the picked row marked."""
        names = ["r", *self._errors(self.pf)]
        figure, (panels,) = new_figure(len(names))
        picked = picked_row(self.pf, self._best_result())
        for name, panel in zip(names, panels, strict=True):
            draw_front(panel, self.pf, name, picked, f"Pareto front, {self.task}")
        return figure

    def plot_curves(self) -> Any:
        """Return a figure of the best reward over samples, of all runs."""
        figure, ((panel,),) = new_figure(1)
        logs = [self._results[i].log(run) for i, run in self.runs]
        draw_learning(panel, logs, f"Learning curve, {self.task}")
        return figure

    def plot_prediction(self) -> Any:
        """Return a figure of predictions of the best result against data.

        Raises
        ------
        UserError
            If there is no result, or its data cannot be had.
        """
        result = self._best_result()
        if not result.get("traversal"):
            raise UserError(f"{self.path}: no run has a result yet.")
        labels = [setting.label for setting in self.settings]
        setting = self._results[labels.index(result["setting"])]
        data = load_run_data(setting.config(), setting.path)
        predicted = data.predict(result["traversal"])
        if predicted is None:
            raise UserError(f"{self.path}: the predictions cannot be computed.")
        figure, ((panel,),) = new_figure(1)
        draw_prediction(panel, data.y, predicted, data.is_test, f"Predictions, {self.task}")
        return figure

    def _best_result(self) -> dict[str, Any]:
        """Return the row of the summary with the best reward, empty where there is none."""
        rewards = numbers(self.summary, "r")
        if not np.isfinite(rewards).any():
            return {}
        return dict(self.summary.iloc[int(np.nanargmax(rewards))])

    def _errors(self, table: pd.DataFrame) -> list[str]:
        return [name for name in ERRORS if np.isfinite(numbers(table, name)).any()]

    def save_plots(self) -> list[Path]:
        """Write the plots that have something to show as PNG files into the folder."""
        plots = {
            "hof": self.plot_hof if len(self.hof) else None,
            "pf": self.plot_pf if len(self.pf) else None,
            "curves": self.plot_curves if self.runs else None,
            "prediction": self.plot_prediction if self._best_result() else None,
        }
        saved = []
        for kind, plot in plots.items():
            try:
                figure = None if plot is None else plot()
            except UserError:
                if kind != "prediction":  # for control, and where data are elsewhere
                    raise
                figure = None
            if figure is not None:
                path = self.path / f"dso_{file_name(self.task)}_plot_{kind}.png"
                figure.savefig(path, dpi=200)
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
    evaluation = LogEval(path)
    # What has ended without a table, as runs in stages do, is not "nothing yet".
    yield from evaluation.lines(
        show_count=show_count,
        show_hof=show_count > 0 and len(evaluation.hof) > 0,
        show_pf=show_count > 0 and len(evaluation.pf) > 0,
    )
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


def setting_lines(summary: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each setting of a batch: its runs, mean, deviation and best result."""
    if "setting" not in summary or "r" not in summary:
        return
    column = "r_avg_test" if "r_avg_test" in summary else "r"
    groups = []
    for label, rows in summary.groupby("setting", sort=False):
        values = numbers(rows, column)
        values = values[np.isfinite(values)]
        if len(values):
            n_solved = int(truths(rows, "success").sum())
            groups.append((values.mean(), values, n_solved, len(rows), str(label)))
    width = max((len(group[-1]) for group in groups), default=0)
    for mean, values, n_solved, n_runs, label in sorted(groups, key=lambda one: -one[0]):
        spread = values.std(ddof=1) if len(values) > 1 else 0.0
        yield (
            f"  {label:<{width}}  runs {n_runs}  {column} mean {mean:.6g}  sd {spread:.3g}  "
            f"best {values.max():.6g}  solved {n_solved}"
        )


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
        refuse_without_runs(evaluation.path)
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
