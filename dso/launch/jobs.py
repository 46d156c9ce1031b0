"""Which runs a command asks for: seeds, benchmarks, a sweep over keys, or those not yet done."""

from __future__ import annotations

import copy
import csv
import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dso.config.files import parse_config
from dso.errors import UserError, unknown
from dso.files import read_regular
from dso.runs.batches import BATCH_FILE, BATCH_FORMAT, VERSION
from dso.runs.checkpoint import find_runs, peek
from dso.runs.folder import Row, read_rows

MAX_RUNS = 1_000_000
MAX_BYTES = 2**30


@dataclass(frozen=True)
class Job:
    """One run of a batch.

    Attributes
    ----------
    number : int
        Its place in the batch, from 0.
    config : dict
        With its own seed.
    varied : dict
        The keys in which its config differs from others of the batch, e.g.
        ``{"training.epsilon": 0.1}``.
    is_resumed : bool
        Whether it goes on from its newest checkpoint.
    """

    number: int
    config: dict
    varied: dict[str, Any] = field(default_factory=dict)
    is_resumed: bool = False

    @property
    def seed(self) -> int:
        return self.config["experiment"]["seed"]


def read_sweep(path: str) -> list[dict[str, Any]]:
    """Return the combinations that a sweep file asks for, each from dotted keys to values.

    The file is JSON with comments: ``{"list": [{...}, ...]}``, one dict per combination, or
    ``{"grid": {...}}``, a list of values per key; all combinations are taken. With both,
    every entry of the list is combined with the whole grid. Keys are ``"section.key"``.

    Raises
    ------
    UserError
        If the file says anything else.
    """
    text = _text_of(Path(path), "--sweep")
    given = parse_config(text, path)
    for name in given:
        if name not in ("grid", "list"):
            raise unknown("key", name, ("grid", "list"), f"--sweep {path!r}")
    grid, entries = given.get("grid", {}), given.get("list", [{}])
    if not isinstance(grid, dict) or not all(isinstance(v, list) and v for v in grid.values()):
        raise UserError(f"--sweep {path!r}: grid is a dict of lists, e.g. {_EXAMPLE}.")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"--sweep {path!r}: list is a list of dicts from key to value.")
    n_combinations = len(entries)
    for values in grid.values():
        n_combinations *= len(values)
    if not 1 <= n_combinations <= MAX_RUNS or not (grid or any(entries)):
        raise UserError(f"--sweep {path!r}: {n_combinations} combinations; at least one is needed.")
    combinations = [
        {**entry, **dict(zip(grid, values, strict=True))}
        for entry in entries
        for values in itertools.product(*grid.values())
    ]
    for place in {name for one in combinations for name in one}:
        if "." not in place.strip("."):
            raise UserError(f"--sweep {path!r}: key {place!r}; expected 'section.key'.")
    return combinations


def _text_of(path: Path, option: str) -> str:
    """Return the text of a file that an option names, or that lies in its folder."""
    try:
        return read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{option} {str(path)!r} cannot be read: {error}.") from None


_EXAMPLE = '{"training.epsilon": [0.05, 0.1]}'


def label(number: int, values: dict[str, Any]) -> str:
    """Return the name of a combination's folder."""
    parts = []
    for place, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        parts.append(f"{place.rpartition('.')[2]}={text}")
    return f"{number:03d}_" + re.sub(r"[^\w.=+,-]+", "-", ",".join(parts))[:80].strip("-")


def is_staged(config: dict[str, Any]) -> bool:
    """Tell whether a config asks for all actions, or names a whole policy to be scored."""
    task = config["task"]
    if task["task_type"] != "control":
        return False
    spec = task["action_spec"]
    return spec == "auto" or (bool(spec) and all(entry is not None for entry in spec))


def jobs_of(configs: Sequence[tuple[dict, dict[str, Any]]], runs: int) -> list[Job]:
    """Return `runs` jobs of each (config, varied keys); run i takes the config's seed plus i."""
    jobs: list[Job] = []
    for config, varied in configs:
        for i in range(runs):
            own = copy.deepcopy(config)
            own["experiment"]["seed"] += i
            jobs.append(Job(len(jobs), own, varied))
    return jobs


def batch_text(configs: Sequence[tuple[dict, dict[str, Any]]], runs: int) -> str:
    """Return what `unfinished` has to know of a batch of several configs, as JSON."""
    entries = [{"config": config, "varied": varied} for config, varied in configs]
    whole = {"format": BATCH_FORMAT, "version": VERSION, "runs": runs, "entries": entries}
    return json.dumps(whole, indent=1) + "\n"


def unfinished(folder: Path, load: Callable[[Any], dict]) -> tuple[list[Job], int]:
    """Return the runs of a run folder, or of a batch of them, that are not done.

    Parameters
    ----------
    folder : Path
    load : callable
        `dso.config.load_config`.

    Returns
    -------
    jobs : list of Job
    n_done : int

    Raises
    ------
    UserError
        If it is not the folder of a run.
    """
    if not folder.is_dir():
        raise UserError(f"--resume {str(folder)!r}: no such folder.")
    configs, runs = _configs_of(folder, load)
    jobs: list[Job] = []
    n_done = 0
    for job in jobs_of(configs, runs):
        if _is_done(job.config):
            n_done += 1
        else:
            jobs.append(Job(job.number, job.config, job.varied, is_resumed=True))
    return jobs, n_done


def _configs_of(
    folder: Path, load: Callable[[Any], dict]
) -> tuple[list[tuple[dict, dict[str, Any]]], int]:
    """Return (config, varied keys) of each folder of a batch, and the runs of each."""
    path = folder / BATCH_FILE
    if not path.exists():
        config = load(_config_of(folder))
        _place(config, folder)
        return [(config, {})], _runs(config["experiment"].get("runs"), folder)
    whole = parse_config(_text_of(path, "--resume"), str(path))
    if whole.get("format") != BATCH_FORMAT or whole.get("version") != VERSION:
        raise UserError(f"--resume: '{path}' is not a batch that this dso can read.")
    configs = []
    try:
        for entry in whole["entries"]:
            config = load(entry["config"])
            name = Path(config["experiment"]["exp_name"]).name
            _place(config, folder / name)
            configs.append((config, dict(entry["varied"])))
    except (LookupError, TypeError, AttributeError):
        raise UserError(f"--resume: '{path}' is not a batch that this dso can read.") from None
    return configs, _runs(whole.get("runs"), folder)


def _place(config: dict, folder: Path) -> None:
    """Make a config that was written to `folder` run there again."""
    experiment = config["experiment"]
    experiment.update(logdir=str(folder.parent), exp_name=folder.name)
    if experiment["seed"] is None:
        raise UserError(f"--resume {str(folder)!r}: its config names no seed.")
    experiment["starting_seed"] = experiment["seed"]


def overview(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all runs of a batch of several configs, with what varies between them."""
    whole = parse_config(_text_of(folder / BATCH_FILE, "--resume"), BATCH_FILE)
    rows: list[dict[str, Any]] = []
    for entry in whole["entries"]:
        name = Path(entry["config"]["experiment"]["exp_name"]).name
        ours = summary_rows(folder / name)
        rows += [{"folder": name, **entry["varied"], **row} for row in ours]
    return rows


def summary_rows(folder: Path) -> list[Row]:
    """Return the rows of the ``summary.csv`` of a run folder; none where it cannot be read."""
    try:
        return read_rows(folder / "summary.csv")[0]
    except (OSError, ValueError, csv.Error):
        return []


def _runs(value: Any, folder: Path) -> int:
    if value is None:
        return 1
    if not isinstance(value, int) or not 1 <= value <= MAX_RUNS:
        raise UserError(f"--resume {str(folder)!r}: {value!r} runs.")
    return value


def _config_of(folder: Path) -> dict:
    """Return the config of a run folder, or of a checkpoint where ``config.json`` is missing."""
    path = folder / "config.json"
    if path.exists():
        return parse_config(_text_of(path, "--resume"), str(path))
    for prefix in find_runs(folder):
        for checkpoint in sorted((folder / "checkpoint").glob(f"{prefix}_*.zip"), reverse=True):
            try:
                return parse_config(peek(checkpoint)["config"], str(checkpoint))
            except (UserError, LookupError, TypeError):
                continue
    raise UserError(f"--resume {str(folder)!r}: there is neither a config.json nor a checkpoint.")


def _is_done(config: dict) -> bool:
    """Tell whether a run has its row in the summary, and no checkpoint to go on from."""
    experiment = config["experiment"]
    folder = Path(experiment["logdir"], experiment["exp_name"])
    seed = experiment["seed"]
    if any(prefix.rpartition("_")[2] == str(seed) for prefix in find_runs(folder)):
        return False
    rows = summary_rows(folder)
    return any(row.get("seed") == str(seed) and not row.get("error") for row in rows)
