"""The command line: ``python -m dso.run [CONFIG] [options]``."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dso.config import load_config, read_source, validate
from dso.errors import UserError
from dso.launch.jobs import (
    BATCH_FILE,
    Job,
    batch_text,
    jobs_of,
    label,
    overview,
    read_sweep,
    unfinished,
    with_values,
)
from dso.launch.outcome import FAILED, Outcome
from dso.launch.runner import do_jobs
from dso.launch.table import BatchTable
from dso.report.text import report_lines
from dso.runs.disk import Guard, write_text
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
def _messages_as_lines() -> Iterator[None]:
    handler, level = LineHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@click.command()
@click.argument("config_template", metavar="[CONFIG]", default="")
@click.option(
    "--runs",
    "--r",
    default=1,
    type=click.IntRange(min=1),
    help="Independent runs; run i uses seed + i.",
)
@click.option(
    "--n_cores_task",
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
@click.option("--exp_name", default=None, help="Name of the run folder below experiment.logdir.")
@click.option(
    "--sweep", default=None, metavar="FILE", help="Run every combination of keys that FILE names."
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
def main(
    config_template: str,
    runs: int,
    n_cores_task: int,
    seed: int | None,
    benchmark: tuple[str, ...],
    exp_name: str | None,
    sweep: str | None,
    resume: str | None,
    backend: str,
    scheduler: str | None,
) -> None:
    """Search as CONFIG says: a JSON file, or the name of one that comes with dso.

    Without CONFIG: regression with the default settings.
    """
    with _messages_as_lines():
        try:
            if (backend == "dask") != (scheduler is not None):
                raise UserError("--backend dask and --scheduler ADDRESS belong together.")
            if resume is not None:
                if config_template or benchmark or exp_name or sweep or seed is not None:
                    raise UserError("--resume RUN_DIR goes on as RUN_DIR says; give no config.")
                jobs, root = _resumed(Path(resume))
            else:
                jobs, root = _planned(config_template, benchmark, sweep, exp_name, seed, runs)
            n_processes = _n_processes(n_cores_task, len(jobs)) if backend == "loky" else 1
            reasons = run_all(jobs, n_processes, scheduler, root)
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


def _planned(
    template: str,
    benchmarks: tuple[str, ...],
    sweep: str | None,
    exp_name: str | None,
    seed: int | None,
    runs: int,
) -> tuple[list[Job], Path | None]:
    """Return the runs that the options ask for, and the folder of a batch of several configs."""
    combinations = read_sweep(sweep) if sweep is not None else [{}]
    configs: list[tuple[dict, dict[str, Any]]] = []
    for name in benchmarks or (None,):
        for values in combinations:
            config = _load(template, values)
            validate(config)
            varied = dict(values)
            if name is not None:
                place = _set_benchmark(config, name)
                varied = {place: name, **varied} if len(benchmarks) > 1 else varied
            _apply_options(config, exp_name=exp_name, seed=seed, runs=runs)
            configs.append((config, varied))
    root = None
    if len(configs) > 1:
        first = configs[0][0]["experiment"]
        for config, _ in configs:  # which were read one after the other
            for key in ("timestamp", "seed", "starting_seed"):
                config["experiment"][key] = first[key]
        folder = exp_name or f"batch_{first['timestamp']}"
        for i, (config, varied) in enumerate(configs):
            config["experiment"]["exp_name"] = f"{folder}/{_folder_name(i, varied, sweep)}"
        if first["logdir"] is not None:
            root = Path(first["logdir"], folder)
            with Guard()(root):
                root.mkdir(parents=True, exist_ok=True)
                write_text(root / BATCH_FILE, batch_text(configs, runs))
    return jobs_of(configs, runs), root


def _load(template: str, values: dict[str, Any]) -> dict:
    if not values:
        return load_config(template or None)
    return load_config(with_values(read_source(template or None), values))


def _folder_name(number: int, varied: dict[str, Any], sweep: str | None) -> str:
    if sweep is not None:
        return label(number, varied)
    return re.sub(r"[^\w.-]+", "_", str(next(iter(varied.values()))))


def _resumed(folder: Path) -> tuple[list[Job], Path | None]:
    """Return the runs of a folder that are not done, and the folder itself if it is of a batch."""
    jobs, n_done = unfinished(folder, load_config)
    for job in jobs:
        validate(job.config)
        job.config["experiment"]["timestamp"] = time.strftime("%Y-%m-%d-%H%M%S")
    click.echo(f"{n_done} run(s) are done, {len(jobs)} to do.")
    return jobs, folder if (folder / BATCH_FILE).exists() else None


def _set_benchmark(config: dict, name: str) -> str:
    """Put the name where the task has it, and return that place."""
    task = config["task"]
    keys = {"regression": "dataset", "control": "env"}
    if task["task_type"] not in keys:
        raise UserError(
            f"--benchmark: a task of type {task['task_type']!r} has no benchmarks; "
            "it can be given for regression and control."
        )
    task[keys[task["task_type"]]] = name
    return f"task.{keys[task['task_type']]}"


def _apply_options(config: dict, *, exp_name: str | None, seed: int | None, runs: int) -> None:
    """Lay the options of the command line over the config, and note when and how it was called."""
    experiment = config["experiment"]
    if exp_name is not None:
        experiment["exp_name"] = exp_name
    if seed is not None:
        if experiment["seed"] not in (None, seed):
            logger.info("--seed %d overrides experiment.seed = %s.", seed, experiment["seed"])
        experiment["seed"] = seed
    elif experiment["seed"] is None:
        experiment["seed"] = time.time_ns() // 1_000_000 % 1_000_000_000
    experiment["starting_seed"] = experiment["seed"]
    experiment["runs"] = runs if runs > 1 else None
    experiment["cmd"] = " ".join(sys.argv)
    experiment["timestamp"] = time.strftime("%Y-%m-%d-%H%M%S")


def _n_processes(n_cores_task: int, runs: int) -> int:
    if n_cores_task == -1:
        from joblib import cpu_count  # those that this process may use

        return max(1, min(cpu_count(), runs))
    n_processes = max(n_cores_task, 1)
    if n_processes > runs:
        logger.info(
            "--n_cores_task %d is more than the %d run(s): %d used.", n_processes, runs, runs
        )
    return max(1, min(n_processes, runs))


def run_all(
    jobs: list[Job], n_processes: int, scheduler: str | None = None, root: Path | None = None
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
            if outcome.error is None:
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
    _postprocess(jobs, outcomes)
    errors = sum(outcome.error is not None for outcome in outcomes)
    if errors:
        click.echo(f"{errors} of {len(jobs)} run(s) failed.", err=True)
    return {outcome.stop_reason for outcome in outcomes}


def _postprocess(jobs: list[Job], outcomes: list[Outcome]) -> None:
    """Say of each run folder what its runs found, as its section postprocess asks."""
    sections = {job.number: job.config["postprocess"] for job in jobs}
    wanted = {one.save_path: sections[one.number] for one in outcomes if one.save_path is not None}
    for folder, section in wanted.items():
        try:
            for line in report_lines(folder, section["show_count"], section["save_plots"]):
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
    shown = ("r", "r_avg_test", "r_avg_anchor", "success", "expression", "traversal", "n_samples")
    for name in shown:
        if name in result:
            click.echo(f"  {name}: {result[name]}")
    n_invalid = sum(count for name, count in result.items() if name.startswith("error_node_"))
    click.echo(f"  invalid samples: {n_invalid} of {result['n_samples']}")
    if outcome.save_path is not None:
        click.echo(f"  results in {outcome.save_path}")
