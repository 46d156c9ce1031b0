"""The command line: ``python -m dso.run [CONFIG] [options]``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from dso.errors import UserError
from dso.launch.jobs import Job, overview
from dso.launch.options import CONTEXT, shared_options, values_of
from dso.launch.plan import Wanted, describe, planned, resumed
from dso.launch.runner import FAILED, Outcome, do_jobs
from dso.launch.table import BatchTable
from dso.report.text import report_lines
from dso.runs.disk import Guard
from dso.runs.folder import RunFolder, write_rows
from dso.training.stopping import INTERRUPT

logger = logging.getLogger("dso")

INTERRUPT_STATUS = 130  # the exit status that shells give a command ended by Ctrl-C


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
    default=1,
    type=click.IntRange(min=1),
    help="Independent runs; run i uses seed + i.",
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
    "--sweep", default=None, metavar="FILE", help="Run every combination of keys that FILE names."
)
@click.option(
    "--n-islands",
    default=None,
    type=click.IntRange(min=1),
    help="Overrides islands.n: searches that exchange their best, in --n_cores_task processes.",
)
@click.option(
    "--resume", default=None, metavar="RUN_DIR", help="Do what is not done yet in a run folder."
)
@click.option(
    "--backend",
    default="loky",
    type=click.Choice(["loky", "dask"]),
    help="Processes of this machine, or the workers of a Dask cluster.",
)
@click.option("--scheduler", default=None, metavar="ADDRESS", help="Of the Dask cluster.")
@shared_options
def main(
    config_template: str,
    runs: int,
    n_cores_task: int,
    seed: int | None,
    benchmark: tuple[str, ...],
    exp_name: str | None,
    sweep: str | None,
    n_islands: int | None,
    resume: str | None,
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
    with messages_as_lines(quiet):
        try:
            changes = values_of(assignments, n_samples, seconds, logdir, quiet)
            if n_islands is not None:
                changes["islands.n"] = n_islands
            if (backend == "dask") != (scheduler is not None):
                raise UserError("--backend dask and --scheduler ADDRESS belong together.")
            if resume is not None:
                if config_template or benchmark or exp_name or sweep or seed is not None or changes:
                    raise UserError("--resume RUN_DIR goes on as RUN_DIR says; give no config.")
                jobs, root = resumed(Path(resume))
            else:
                wanted = Wanted(config_template, benchmark, sweep, exp_name, seed, runs, changes)
                jobs, root = planned(wanted, overwrite=overwrite, writes=not dry_run)
            if dry_run:
                describe(jobs)
                return
            n_processes = _n_processes(n_cores_task, jobs) if backend == "loky" else 1
            reasons = run_all(jobs, n_processes, scheduler, root, quiet=quiet)
        except (UserError, OSError) as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:  # while starting, or for the second time
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPT_STATUS)
    if INTERRUPT in reasons:
        sys.exit(INTERRUPT_STATUS)
    if FAILED in reasons:
        sys.exit(1)


def _n_processes(n_cores_task: int, jobs: list[Job]) -> int:
    """Return the processes to use: as many as there are runs, or islands of a single one."""
    runs, things = len(jobs), "run(s)"
    if runs == 1 and (n_islands := jobs[0].config["islands"]["n"]) > 1:
        runs, things = n_islands, "islands"
    if n_cores_task == -1:
        from joblib import cpu_count  # those that this process may use

        return max(1, min(cpu_count(), runs))
    n_processes = max(n_cores_task, 1)
    if n_processes > runs:
        logger.info(
            "--n_cores_task %d is more than the %d %s: %d used.", n_processes, runs, things, runs
        )
    return max(1, min(n_processes, runs))


def run_all(
    jobs: list[Job],
    n_processes: int,
    scheduler: str | None = None,
    root: Path | None = None,
    *,
    quiet: bool = False,
) -> set[str]:
    """Do all runs, print each result, and return why they ended.

    Parameters
    ----------
    jobs : list of Job
    n_processes : int
    scheduler : str, optional
        See `dso.launch.runner.do_jobs`.
    root : Path, optional
        Where a batch of several configs has its table of all runs.
    quiet : bool
        Whether results alone are printed.
    """
    if not jobs:
        return set()
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
    if root is None:
        _write_homeless_errors(outcomes)
    else:
        with Guard()(root):
            write_rows(root / "summary.csv", overview(root))
    _postprocess(jobs, outcomes, root, quiet=quiet)
    errors = sum(outcome.error is not None for outcome in outcomes)
    if errors:
        click.echo(f"{errors} of {len(jobs)} run(s) failed.", err=True)
    return {outcome.stop_reason for outcome in outcomes}


def _postprocess(
    jobs: list[Job], outcomes: list[Outcome], root: Path | None, *, quiet: bool
) -> None:
    """Say of each run folder, or of a whole batch, what its runs found, as postprocess asks."""
    sections = {job.number: job.config["postprocess"] for job in jobs}
    wanted = {one.save_path: sections[one.number] for one in outcomes if one.save_path is not None}
    if root is not None:
        wanted = {str(root): section for section in list(wanted.values())[:1]}
    for folder, section in wanted.items():
        try:
            for line in report_lines(folder, section["show_count"], section["save_plots"]):
                if not quiet:
                    click.echo(line)
        except (UserError, OSError) as error:  # the results are there; only their report is not
            logger.warning("postprocess: %s", error)


def _write_homeless_errors(outcomes: list[Outcome]) -> None:
    """Write down errors of runs that did not get far enough to know their folder.

    Where no name is given, all runs of a config share the folder that those know which began.
    """
    folders = {one.save_path for one in outcomes if one.save_path is not None}
    if len(folders) != 1:
        return
    for outcome in outcomes:
        if outcome.save_path is None and outcome.error is not None:
            RunFolder(Path(*folders), "", outcome.seed).append_summary(outcome.result)


def _print_outcome(outcome: Outcome) -> None:
    result = outcome.result
    if outcome.error is not None:
        click.echo(f"Seed {outcome.seed} failed: {outcome.error}", err=True)
        return
    click.echo(f"Seed {result['seed']} ended: {outcome.stop_reason}.")
    shown = ("r", "success", "expression", "traversal", "n_samples")
    for name in shown:
        if name in result:
            click.echo(f"  {name}: {result[name]}")
    n_invalid = sum(count for name, count in result.items() if name.startswith("error_node_"))
    click.echo(f"  invalid samples: {n_invalid} of {result['n_samples']}")
    if outcome.save_path is not None:
        click.echo(f"  results in {outcome.save_path}")
