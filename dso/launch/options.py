"""Options of every command that searches, and what they change in a config."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from dso.config import read_assignments

CONTEXT = {
    "token_normalize_func": lambda name: name.replace("_", "-"),
    "help_option_names": ["-h", "--help"],
}
"""Hyphens and underscores mean the same in the names of options and commands."""

SET = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Change a key of the config; may be given several times.",
)
N_SAMPLES = click.option(
    "--n-samples",
    default=None,
    type=click.IntRange(min=1),
    help="Budget of expressions: training.n_samples.",
)
SECONDS = click.option(
    "--seconds",
    default=None,
    type=click.FloatRange(min=0, min_open=True),
    help="Limit of the wall time: training.max_seconds.",
)
LOGDIR = click.option("--logdir", default=None, help="Folder in which run folders are made.")
QUIET = click.option("--quiet", "-q", is_flag=True, help="Show the result alone.")
DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Check everything, say what would be done, and do nothing."
)
OVERWRITE = click.option(
    "--overwrite", is_flag=True, help="Replace the results in a run folder of this name."
)


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all commands which search have."""
    for option in (OVERWRITE, DRY_RUN, QUIET, LOGDIR, SECONDS, N_SAMPLES, SET):
        command = option(command)
    return command


def values_of(
    assignments: Sequence[str],
    n_samples: int | None = None,
    seconds: float | None = None,
    logdir: str | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Return what these options change, from dotted keys to values; options win over --set."""
    given = {
        "training.n_samples": n_samples,
        "training.max_seconds": seconds,
        "experiment.logdir": logdir,
        "training.verbose": False if quiet else None,
    }
    known = {place: value for place, value in given.items() if value is not None}
    return {**read_assignments(assignments), **known}
