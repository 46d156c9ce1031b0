"""The folder that a command wants to write to: whether it is free, and clearing it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dso.config import validate
from dso.errors import UserError
from dso.runs.folder import RUN_FILES, config_difference
from dso.runs.results import RunResults


def claim(config: dict[str, Any], seeds: Iterable[int], *, overwrite: bool) -> None:
    """See that the runs of a config may write into the folder that it names.

    Runs of other seeds may be there if their config is the same.

    Parameters
    ----------
    config : dict
    seeds : iterable of int
    overwrite : bool
        Whether what is there is to be removed.

    Raises
    ------
    UserError
        If there are results that would be replaced or mixed with others.
    """
    experiment = config["experiment"]
    if experiment["logdir"] is None or experiment["exp_name"] is None:
        return
    folder = Path(experiment["logdir"], experiment["exp_name"])
    if overwrite:
        clear(folder)
        return
    known = RunResults(folder)
    done = {run.seed for run in known.runs()} & set(seeds)
    if done:
        listed = ", ".join(map(str, sorted(done)[:5]))
        raise occupied(folder, f"has results of seed {listed} already")
    if (folder / "config.json").exists():
        here = json.loads(json.dumps(validate(config).to_dict(), default=str))
        if other := config_difference(known.config(), here):
            raise occupied(folder, f"holds runs of another config ({other})")


def occupied(folder: Path, why: str, *, can_go_on: bool = True) -> UserError:
    """Return the error of a folder that has results."""
    go_on = f", or continue it with 'dso resume {folder}'" if can_go_on else ""
    return UserError(
        f"{folder} {why}; give another --exp-name, or --overwrite to replace it{go_on}."
    )


def clear(folder: Path) -> None:
    """Remove everything that runs have written to a folder, and to those of a sweep in it."""
    for path in list(_written(folder)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _written(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name in RUN_FILES or path.name.startswith(("dso_", "hall_of_fame")):
            yield path
        elif path.is_dir() and (path / "config.json").exists():
            yield from _written(path)
