"""What a command line asks for: the runs, their folders, and whether these are free."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import click

from dso.config import load_config, read_source, validate, with_values
from dso.config.code import code_in
from dso.data_files import is_table
from dso.errors import UserError
from dso.launch.folders import claim, clear, occupied
from dso.launch.jobs import Job, batch_text, is_staged, jobs_of, label, read_sweep, unfinished
from dso.plugins import refuse_code
from dso.runs.batches import BATCH_FILE
from dso.runs.disk import Guard, write_text
from dso.runs.lock import wait_for_writers

logger = logging.getLogger("dso")


@dataclass(frozen=True)
class Wanted:
    """Which runs a command line asks for.

    Attributes
    ----------
    template : str
        Of the config; empty for the defaults.
    benchmarks : sequence of str
    sweep : str or None
        File of a sweep.
    exp_name : str or None
    seed : int or None
    runs : int
        Of each config.
    changes : dict
        Values of dotted keys for all of them.
    """

    template: str
    benchmarks: Sequence[str]
    sweep: str | None
    exp_name: str | None
    seed: int | None
    runs: int
    changes: Mapping[str, Any]


def planned(
    wanted: Wanted, *, overwrite: bool = False, guard: Guard | None = None
) -> tuple[list[Job], Path | None]:
    """Return the runs that are wanted, and the folder of a batch of several configs.

    Parameters
    ----------
    wanted : Wanted
    overwrite : bool
        Whether results in their folders are removed.
    guard : Guard, optional
        Watches the writing; without it no folder is claimed, and none made for a batch.
    """
    if is_table(wanted.template):
        raise UserError(
            f"{wanted.template} is a table of data; 'dso fit {wanted.template} --target NAME' "
            "searches a formula for one of its columns, and dso run takes a config."
        )
    configs = _configs(wanted)
    root = None
    if len(configs) > 1:
        first = configs[0][0]["experiment"]
        for config, _ in configs:  # which were read one after the other
            for key in ("timestamp", "seed", "starting_seed"):
                config["experiment"][key] = first[key]
        folder = wanted.exp_name or f"batch_{first['timestamp']}"
        for i, (config, varied) in enumerate(configs):
            name = _folder_name(i, varied, wanted.sweep)
            config["experiment"]["exp_name"] = f"{folder}/{name}"
        if first["logdir"] is not None:
            root = Path(first["logdir"], folder)
    jobs = jobs_of(configs, wanted.runs)
    if guard is not None:
        _claim_folders(jobs, root, overwrite=overwrite)
        if root is not None:
            with guard(root):
                root.mkdir(parents=True, exist_ok=True)
                write_text(root / BATCH_FILE, batch_text(configs, wanted.runs))
    return jobs, root


def _configs(wanted: Wanted) -> list[tuple[dict, dict[str, Any]]]:
    """Return each config with the keys in which it differs from the others."""
    combinations = read_sweep(wanted.sweep) if wanted.sweep is not None else [{}]
    configs: list[tuple[dict, dict[str, Any]]] = []
    for name in wanted.benchmarks or (None,):
        for values in combinations:
            config = _load(wanted.template, values, wanted.changes)
            _check(config)
            varied = dict(values)
            if name is not None:
                place = _set_benchmark(config, name)
                varied = {place: name, **varied} if len(wanted.benchmarks) > 1 else varied
            _apply_options(config, exp_name=wanted.exp_name, seed=wanted.seed, runs=wanted.runs)
            _check(config)
            configs.append((config, varied))
    return configs


def _check(config: dict[str, Any]) -> None:
    """Check every value, and put those that count in place of those given: 2 for 2.0."""
    config.update(validate(config).to_dict())


def _load(template: str, swept: dict[str, Any], changes: Mapping[str, Any]) -> dict:
    """Return a config with the values of a sweep over those of the command line."""
    if not swept and not changes:
        return load_config(template or None)
    source = with_values(read_source(template or None), changes)
    return load_config(with_values(source, swept, "--sweep"))


def _claim_folders(jobs: list[Job], root: Path | None, *, overwrite: bool) -> None:
    """Refuse folders that have results already, or clear them."""
    if root is not None and (root / BATCH_FILE).exists():
        if not overwrite:
            raise occupied(root, "holds a batch already")
        clear(root)
    for group in _by_config(jobs):
        claim(group[0].config, [job.seed for job in group], overwrite=overwrite)


def _by_config(jobs: list[Job]) -> list[list[Job]]:
    groups: dict[str | None, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.config["experiment"]["exp_name"], []).append(job)
    return list(groups.values())


def describe(jobs: list[Job]) -> None:
    """Set up each config, and say what would be done."""
    for group in _by_config(jobs):
        name, folder, at_most = _set_up(group[0])
        seeds = [job.seed for job in group]
        shown = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
        click.echo(f"{name}, {shown}: {at_most}, into {folder or 'no folder'}")
    click.echo(f"{len(jobs)} run(s) would start. Nothing was run or written.")


def _set_up(job: Job) -> tuple[str, str | None, str]:
    """Return the name of a job's task, the folder, and what it may cost; nothing is written."""
    training = job.config["training"]
    limit = "" if training["max_seconds"] is None else f" or {training['max_seconds']:g} s"
    at_most = f"at most {training['n_samples']} samples{limit}"
    if is_staged(job.config):
        from dso.launch.stages import StageRun

        with closing(StageRun(job)) as run:
            name, n_searches = run.task.name, run.set_up()
        folder = None if run.folder is None else str(run.folder.path)
        return name, folder, f"{n_searches} searches of {at_most}" if n_searches else "scored"
    from dso.core import DeepSymbolicOptimizer

    model = DeepSymbolicOptimizer(job.config)
    model.setup()
    return model.task.name, model.save_path, at_most


def _folder_name(number: int, varied: dict[str, Any], sweep: str | None) -> str:
    if sweep is not None:
        return label(number, varied)
    return re.sub(r"[^\w.-]+", "_", str(next(iter(varied.values()))))


def resumed(folder: Path, allow_code: Sequence[str] = ()) -> tuple[list[Job], Path | None]:
    """Return the runs of a folder that are not done, and the folder itself if it is of a batch."""
    for job in unfinished(folder, load_config)[0]:
        experiment = job.config["experiment"]
        wait_for_writers(Path(experiment["logdir"], experiment["exp_name"]), job.seed)
    jobs, n_done = unfinished(folder, load_config)  # with what these have done
    named = chain.from_iterable(code_in(job.config) for job in jobs)
    refuse_code(named, allow_code, f"--resume {str(folder)!r}", "--allow-code MODULE")
    for job in jobs:
        _check(job.config)
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
