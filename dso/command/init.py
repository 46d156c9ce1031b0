"""``dso init``: a config to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dso.config import load_config, merge, validate, with_values
from dso.config.document import document
from dso.errors import UserError
from dso.launch.options import CONTEXT, SET, values_of
from dso.runs.disk import write_text

COMMON = {
    "experiment": ("logdir", "seed"),
    "training": ("n_samples", "max_seconds", "batch_size", "epsilon"),
    "policy_optimizer": ("policy_optimizer_type", "learning_rate", "entropy_weight"),
    "gp_meld": ("run_gp_meld",),
    "prior": ("length", "soft_length"),
}
KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "regression": {
        "task": ("task_type", "dataset", "function_set", "metric", "threshold"),
        **COMMON,
        "semantic": ("on",),
    },
    "control": {
        "task": ("task_type", "env", "function_set", "n_episodes_train", "n_episodes_test"),
        **COMMON,
    },
}
"""The keys that most people change."""
STARTS: dict[str, dict[str, Any]] = {
    "regression": {
        "dataset": "Nguyen-5",
        "function_set": ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"],
    },
    "control": {"env": "CustomCartPoleContinuous-v0"},
}
"""Values of a task that work as they are."""
HEAD = (
    "A config of dso: 'dso run {name}' searches as it says, 'dso run {name} --dry-run' checks it. "
    "These are the keys that most people change, with their defaults; all others are in "
    "docs/configuration.md."
)


@click.command(context_settings=CONTEXT)
@click.argument("path", metavar="FILE", default="config.json")
@click.option(
    "--task",
    "kind",
    default="regression",
    type=click.Choice(list(KEYS)),
    help="What to search for.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.")
@SET
def init(path: str, kind: str, overwrite: bool, assignments: tuple[str, ...]) -> None:
    """Write a config with comments to FILE (config.json), to be edited."""
    target = Path(path)
    if target.exists() and not overwrite:
        raise UserError(f"{path} exists; --overwrite replaces it, or name another file.")
    start: dict[str, Any] = {"task": {"task_type": kind, **STARTS[kind]}}
    source = with_values(start, values_of(assignments))
    config = load_config(source)
    validate(config)
    chosen = {
        section: {key: config[section][key] for key in keys if key in config[section]}
        for section, keys in KEYS[kind].items()
    }
    write_text(target, document(HEAD.format(name=target.name), merge(chosen, source)))
    click.echo(f"Config in {path}: edit it, then dso run {path}")
