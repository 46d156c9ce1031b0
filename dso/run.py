"""The command line: ``python -m dso.run [CONFIG] [options]``."""

from __future__ import annotations

import copy
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from dso.config import load_config, validate
from dso.errors import UserError
from dso.stopping import INTERRUPT

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
    default=None,
    help="Overrides task.dataset (regression) or task.env (control).",
)
@click.option("--exp_name", default=None, help="Name of the run folder below experiment.logdir.")
def main(
    config_template: str,
    runs: int,
    n_cores_task: int,
    seed: int | None,
    benchmark: str | None,
    exp_name: str | None,
) -> None:
    """Search as CONFIG says: a JSON file, or the name of one that comes with dso.

    Without CONFIG: regression with the default settings.
    """
    with _messages_as_lines():
        try:
            config = load_config(config_template or None)
            validate(config)
            _apply_options(config, benchmark=benchmark, exp_name=exp_name, seed=seed)
            was_interrupted = run_all(config, runs, _n_processes(n_cores_task, runs))
        except (UserError, OSError) as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:  # while starting, or for the second time
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPT_STATUS)
    if was_interrupted:
        sys.exit(INTERRUPT_STATUS)


def _apply_options(
    config: dict, *, benchmark: str | None, exp_name: str | None, seed: int | None
) -> None:
    """Lay the options of the command line over the config, and note when and how it was called."""
    experiment, task = config["experiment"], config["task"]
    if benchmark is not None:
        keys = {"regression": "dataset", "control": "env"}
        if task["task_type"] not in keys:
            raise UserError(
                f"--benchmark: a task of type {task['task_type']!r} has no benchmarks; "
                "it can be given for regression and control."
            )
        task[keys[task["task_type"]]] = benchmark
    if exp_name is not None:
        experiment["exp_name"] = exp_name
    if seed is not None:
        if experiment["seed"] not in (None, seed):
            logger.info("--seed %d overrides experiment.seed = %s.", seed, experiment["seed"])
        experiment["seed"] = seed
    elif experiment["seed"] is None:
        experiment["seed"] = time.time_ns() // 1_000_000 % 1_000_000_000
    experiment["starting_seed"] = experiment["seed"]
    experiment["cmd"] = " ".join(sys.argv)
    experiment["timestamp"] = time.strftime("%Y-%m-%d-%H%M%S")


def _n_processes(n_cores_task: int, runs: int) -> int:
    n_processes = (os.cpu_count() or 1) if n_cores_task == -1 else max(n_cores_task, 1)
    if n_processes > runs:
        logger.info(
            "--n_cores_task %d is more than the %d run(s): %d used.", n_processes, runs, runs
        )
    return min(n_processes, runs)


def run_all(config: dict, runs: int, n_processes: int) -> bool:
    """Do all runs, print each result, and return whether Ctrl-C ended them.

    Parameters
    ----------
    config : dict
        Run i takes its seed plus i.
    runs : int
    n_processes : int
        With more than one, runs show no progress and evaluate with one thread each.
    """
    configs = []
    for i in range(runs):
        one = copy.deepcopy(config)
        one["experiment"]["seed"] += i
        if n_processes > 1:
            one["training"].update(verbose=False, n_cores_batch=1)
            one["gp_meld"]["parallel_eval"] = False
        configs.append(one)
    outcomes = _in_a_row(configs) if n_processes == 1 else _in_processes(configs, n_processes)
    was_interrupted = False
    for i, outcome in enumerate(outcomes, start=1):
        _print_outcome(outcome)
        seconds, expression = outcome.result["t"], outcome.result["expression"]
        click.echo(f"Completed run {i} of {runs} in {seconds:.1f} s: {expression}")
        was_interrupted |= outcome.stop_reason == INTERRUPT
    return was_interrupted


@dataclass(frozen=True)
class Outcome:
    """What is left of a run.

    Attributes
    ----------
    result : dict
        Of `DeepSymbolicOptimizer.finish`, without ``program`` and with the wall seconds ``t``.
    stop_reason : str
    save_path : str or None
    """

    result: dict[str, Any]
    stop_reason: str
    save_path: str | None


def run_one(config: dict) -> Outcome:
    """Do one run and add its row to ``summary.csv``."""
    from dso.core import DeepSymbolicOptimizer

    start = time.perf_counter()
    model = DeepSymbolicOptimizer(config)
    logger.info("Run with seed %d starts.", config["experiment"]["seed"])
    result = model.train()
    del result["program"]
    result["t"] = time.perf_counter() - start
    assert model.stop_reason is not None
    if model.folder is not None:
        try:
            model.folder.append_summary(result)
        except OSError as error:
            logger.warning("no row is added to summary.csv: %s.", error)
    return Outcome(result, model.stop_reason, model.save_path)


def _in_a_row(configs: list[dict]) -> Iterator[Outcome]:
    for config in configs:
        outcome = run_one(config)
        yield outcome
        if outcome.stop_reason == INTERRUPT:
            return


def _in_processes(configs: list[dict], n_processes: int) -> Iterator[Outcome]:
    """Yield outcomes in the order in which runs end."""
    from joblib import Parallel, delayed

    interrupts: list[int] = []

    def pending() -> Iterator[Any]:
        for config in configs:
            if interrupts:
                return
            yield delayed(run_one)(config)

    # Ctrl-C reaches the workers too, which finish their runs; this process waits for them.
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield from Parallel(
            n_jobs=n_processes, pre_dispatch="n_jobs", return_as="generator_unordered"
        )(pending())
    finally:
        signal.signal(signal.SIGINT, before)


def _print_outcome(outcome: Outcome) -> None:
    result = outcome.result
    click.echo(f"Seed {result['seed']} ended: {outcome.stop_reason}.")
    shown = ("r", "success", "expression", "traversal", "n_samples")
    for name in shown:
        if name in result:
            click.echo(f"  {name}: {result[name]}")
    n_invalid = sum(count for name, count in result.items() if name.startswith("error_node_"))
    click.echo(f"  invalid samples: {n_invalid} of {result['n_samples']}")
    if outcome.save_path is not None:
        click.echo(f"  results in {outcome.save_path}")


if __name__ == "__main__":
    main()
