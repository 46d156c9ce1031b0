"""The command line: ``python -m dso.run [CONFIG] [options]``."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType

import click

from dso.errors import UserError
from dso.launch.jobs import Job, overview
from dso.launch.options import CONTEXT, shared_options, values_of
from dso.launch.outcome import Outcome
from dso.launch.output import safe_output
from dso.launch.plan import Wanted, describe, planned, resumed
from dso.launch.runner import do_jobs
from dso.launch.table import BatchTable
from dso.processes import ENDING, handlers
from dso.report.text import report_lines
from dso.runs.disk import Guard
from dso.runs.folder import RunFolder, write_rows

logger = logging.getLogger("dso")

FAILURE = 1
SIGNAL_BASE = 128
"""Added to the number of the signal that ended a command, as shells do."""
SHOWN = {
    "r": "",
    "r_best": " (the greatest of any expression)",
    "r_avg_test": " (mean return of the test episodes)",
    "r_avg_anchor": " (that of the anchor)",
    "success": "",
    "expression": "",
    "traversal": "",
    "n_samples": "",
}
"""What is printed of a result, and what it means where the name does not say it."""


class LineHandler(logging.Handler):
    """Print log messages as lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message; only what is more than information bears its level."""
        prefix = "" if record.levelno == logging.INFO else f"{record.levelname}: "
        click.echo(prefix + record.getMessage())


@contextmanager
def messages_as_lines(quiet: bool = False) -> Iterator[None]:
    """Print the messages of a command as lines; only warnings and worse where it is quiet."""
    handler, level = LineHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@click.command(context_settings=CONTEXT)
@click.argument("config_template", metavar="[CONFIG]", default="")
@click.option(
    "--runs",
    "--r",
    default=None,
    type=click.IntRange(min=1),
    help="Independent runs, 1 by default; run i uses seed + i.",
)
@click.option(
    "--n-cores-task",
    "--n",
    default=1,
    type=click.IntRange(min=-1),
    help="Processes across runs; -1: all cores.",
)
@click.option(
    "--seed", "--s", default=None, type=click.IntRange(min=0), help="Overrides experiment.seed."
)
@click.option(
    "--benchmark",
    "--b",
    multiple=True,
    help="Overrides task.dataset (regression) or task.env (control); may be given several times.",
)
@click.option("--exp-name", default=None, help="Name of the run folder below experiment.logdir.")
@click.option(
    "--sweep", default=None, metavar="FILE", help="Run every combination of the values in FILE."
)
@click.option(
    "--n-islands",
    default=None,
    type=click.IntRange(min=1),
    help="Overrides islands.n: searches that exchange their best, in --n-cores-task processes.",
)
@click.option(
    "--resume", default=None, metavar="RUN_DIR", help="Complete the runs of a run folder."
)
@click.option(
    "--allow-code",
    multiple=True,
    metavar="MODULE",
    help="With --resume: a module of your own that RUN_DIR names and that may be run.",
)
@click.option(
    "--backend",
    default="loky",
    type=click.Choice(["loky", "dask"]),
    help="Processes of this machine, or the workers of a Dask cluster.",
)
@click.option("--scheduler", default=None, metavar="ADDRESS", help="Address of the Dask scheduler.")
@shared_options
def main(
    config_template: str,
    runs: int | None,
    n_cores_task: int,
    seed: int | None,
    benchmark: tuple[str, ...],
    exp_name: str | None,
    sweep: str | None,
    n_islands: int | None,
    resume: str | None,
    allow_code: tuple[str, ...],
    backend: str,
    scheduler: str | None,
    assignments: tuple[str, ...],
    n_samples: int | None,
    seconds: float | None,
    logdir: str | None,
    quiet: bool,
    dry_run: bool,
    overwrite: bool,
) -> None:
    """Search as CONFIG says: a JSON file, or the name of one that comes with dso.

    Without CONFIG: regression with the default settings.
    """
    guard = Guard()
    with safe_output(guard), messages_as_lines(quiet), leaving_in_order():
        try:
            changes = values_of(assignments, n_samples, seconds, logdir, quiet)
            if n_islands is not None:
                changes["islands.n"] = n_islands
            if (backend == "dask") != (scheduler is not None):
                raise UserError("--backend dask needs --scheduler ADDRESS, and conversely.")
            if resume is not None:
                others = (config_template, benchmark, exp_name, sweep, seed, runs, changes)
                if any(other not in (None, "", (), {}) for other in others):
                    raise UserError(
                        "--resume RUN_DIR uses the config of RUN_DIR; it takes no config, and only "
                        "the options --n-cores-task, --backend, --scheduler and --allow-code."
                    )
                jobs, root = resumed(Path(resume), allow_code)
            else:
                wanted = Wanted(
                    config_template, benchmark, sweep, exp_name, seed, runs or 1, changes
                )
                writer = None if dry_run else guard
                jobs, root = planned(wanted, overwrite=overwrite, guard=writer)
            if dry_run:
                describe(jobs)
                return
            n_processes = _n_processes(n_cores_task, jobs) if backend == "loky" else 1
            outcomes = run_all(jobs, n_processes, scheduler, root, guard, quiet=quiet)
            status = exit_status(outcomes, guard)
        except (UserError, OSError) as error:
            click.echo(f"Error: {error}", err=True)
            status = FAILURE
        except KeyboardInterrupt:  # while starting, or for the second time
            click.echo("Interrupted.", err=True)
            status = SIGNAL_BASE + signal.SIGINT
    sys.exit(status)


def exit_status(outcomes: list[Outcome], guard: Guard) -> int:
    """Return the exit status of the command; say what could not be written."""
    missing = list(dict.fromkeys([*guard.missing, *chain(*(one.unwritten for one in outcomes))]))
    for what in missing:
        click.echo(f"Not written: {what}", err=True)
    signals = [one.signal for one in outcomes if one.signal is not None]
    if signals:
        return SIGNAL_BASE + signals[0]
    return FAILURE if missing or any(one.error is not None for one in outcomes) else 0


@contextmanager
def leaving_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, where no run has to be ended first, end the command as an error does.

    What is ignored, as SIGHUP under nohup, still is.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(SIGNAL_BASE + number)

    others = [number for number in ENDING if number != signal.SIGINT]
    with handlers(dict.fromkeys(others, leave)):
        yield


def _n_processes(n_cores_task: int, jobs: list[Job]) -> int:
    """Return the processes to use: as many as there are runs, or islands of a single one."""
    runs, things = len(jobs), "run(s)"
    if runs == 1 and (n_islands := jobs[0].config["islands"]["n"]) > 1:
        runs, things = n_islands, "islands"
    if n_cores_task == -1:
        from joblib import cpu_count  # those that this process may use

        return max(1, min(cpu_count(), runs))
    n_processes = max(n_cores_task, 1)
    if n_processes > runs > 0:
        logger.info(
            "--n_cores_task %d is more than the %d %s: %d used.", n_processes, runs, things, runs
        )
    return max(1, min(n_processes, runs))


def run_all(
    jobs: list[Job],
    n_processes: int,
    scheduler: str | None = None,
    root: Path | None = None,
    guard: Guard | None = None,
    *,
    quiet: bool = False,
) -> list[Outcome]:
    """Do all runs, print each result, and return what became of them.

    Parameters
    ----------
    jobs : list of Job
    n_processes : int
    scheduler : str, optional
        See `dso.launch.runner.do_jobs`.
    root : Path, optional
        Where a batch of several configs has its table of all runs.
    guard : Guard, optional
        Takes down what could not be written or shown.
    quiet : bool
        Whether results alone are printed.
    """
    if not jobs:
        return []
    guard = guard or Guard()
    table = BatchTable(jobs, sys.stdout)
    outcomes: list[Outcome] = []
    try:
        for outcome in do_jobs(
            jobs, n_processes=n_processes, scheduler=scheduler, watch=table.watch
        ):
            outcomes.append(outcome)
            table.add(outcome)
            _print_outcome(outcome)
            if outcome.error is None and not quiet:
                seconds, expression = outcome.result["t"], outcome.result["expression"]
                done = f"{len(outcomes)} of {len(jobs)}"
                click.echo(f"Completed run {done} in {seconds:.1f} s: {expression}")
    finally:
        table.close()
        if root is not None:
            with guard(root / "summary.csv"):
                write_rows(root / "summary.csv", overview(root))
    if root is None:
        _write_homeless_errors(outcomes, guard)
    _postprocess(jobs, outcomes, root, guard, quiet=quiet)
    errors = sum(outcome.error is not None for outcome in outcomes)
    if errors:
        click.echo(f"{errors} of {len(jobs)} run(s) failed.", err=True)
    return outcomes


def _postprocess(
    jobs: list[Job], outcomes: list[Outcome], root: Path | None, guard: Guard, *, quiet: bool
) -> None:
    """Say of each run folder, or of a whole batch, what its runs found, as postprocess asks."""
    sections = {job.number: job.config["postprocess"] for job in jobs}
    wanted = {one.save_path: sections[one.number] for one in outcomes if one.save_path is not None}
    if root is not None:
        wanted = {str(root): section for section in list(wanted.values())[:1]}
    for folder, section in wanted.items():
        if not Path(folder).is_dir():  # which has been said
            continue
        with guard(f"the report on {folder}"):
            for line in report_lines(folder, section["show_count"], section["save_plots"]):
                if not quiet:
                    click.echo(line)


def _write_homeless_errors(outcomes: list[Outcome], guard: Guard) -> None:
    """Write down errors of runs that did not get far enough to know their folder.

    Where no name is given, all runs of a config share the folder that those know which began.
    """
    folders = {one.save_path for one in outcomes if one.save_path is not None}
    if len(folders) != 1:
        return
    for outcome in outcomes:
        if outcome.save_path is None and outcome.error is not None:
            folder = RunFolder(Path(*folders), "", outcome.seed, guard=guard)
            folder.append_summary(outcome.result)


def _print_outcome(outcome: Outcome) -> None:
    result = outcome.result
    if outcome.error is not None:
        click.echo(f"Seed {outcome.seed} failed: {outcome.error}", err=True)
        return
    click.echo(f"Seed {result['seed']} ended: {outcome.stop_reason}.")
    for name, meaning in SHOWN.items():
        if name in result:
            click.echo(f"  {name}: {result[name]}{meaning}")
    n_invalid = sum(count for name, count in result.items() if name.startswith("error_node_"))
    click.echo(f"  invalid samples: {n_invalid} of {result['n_samples']}")
    if outcome.save_path is not None and Path(outcome.save_path).is_dir():
        click.echo(f"  results in {outcome.save_path}")
