"""From what the user gives to a complete config, and to a checked one.

A config stays a plain dict (`load_config`), so that callers can change it, until `validate` turns
it into frozen, typed sections. Components never see it: `dso.core` hands each of them its section
as plain arguments.
"""

import logging
import os
from pathlib import Path

from pydantic import ValidationError

from dso.config.base import Section
from dso.config.config import (
    TASK_DEFAULTS,
    Config,
    common_defaults,
    model_at,
    section_of,
)
from dso.config.files import find_config, find_table, read_config
from dso.config.old_keys import drop_unknown, modernise, take_epochs
from dso.config.plain import merge, plain
from dso.config.sections import SCIPY_ONLY, Experiment, GPMeld, Postprocess
from dso.config.wording import describe
from dso.errors import UserError, unknown
from dso.plugins import is_reference

logger = logging.getLogger("dso")

# Sections in which the original ignored unknown keys.
_LENIENT: dict[str, type[Section]] = {
    "experiment": Experiment,
    "gp_meld": GPMeld,
    "postprocess": Postprocess,
}


def load_config(source: str | os.PathLike[str] | dict | None = None) -> dict:
    """Return a whole config: the defaults of its task with the user's values laid over them.

    Parameters
    ----------
    source : None, path, or dict
        A JSON file with comments, the name of a config that comes with dso, a dict of sections, or
        nothing. It is not changed.

    Returns
    -------
    dict
        Plain and the caller's own; values are checked by `validate`.

    Raises
    ------
    UserError
        If the file cannot be read or the task type is unknown.
    """
    user = read_source(source)
    modernise(user)
    n_epochs = take_epochs(user)
    _drop_ignored(user)
    kind = _task_type(user)
    if kind is None:
        logger.warning("config: no task.task_type given; 'regression' is taken.")
        kind = "regression"
    base = merge(common_defaults(), TASK_DEFAULTS.get(kind, {"task": {"task_type": kind}}))
    config = merge(base, user)
    if n_epochs is not None and isinstance(size := config["training"]["batch_size"], int | float):
        config["training"]["n_samples"] = n_epochs * size
    _say_what_is_off(config, user)
    if isinstance(config["task"], dict):
        config["task"]["task_type"] = kind
    return _fit_defaults_to(config, user)


def read_source(source: str | os.PathLike[str] | dict | None) -> dict:
    """Return what the user gave to `load_config` as a plain dict of their own, without defaults."""
    if source is None:
        return {}
    if isinstance(source, dict):
        return _with_its_table(plain(source), None)
    if not isinstance(source, str | os.PathLike):
        raise UserError(f"config: a path, a dict or None is expected, got {type(source).__name__}.")
    path = find_config(source)
    return _with_its_table(plain(read_config(path)), path.parent)


def _with_its_table(config: dict, beside: Path | None) -> dict:
    """Have the config say where its table of data is, which may lie in the same folder."""
    task = config.get("task")
    dataset = task.get("dataset") if isinstance(task, dict) else None
    if isinstance(dataset, str):
        from dso.data_files import is_table  # imports numpy

        if is_table(dataset):
            config["task"]["dataset"] = find_table(dataset, beside)
    return config


def _task_type(config: dict) -> str | None:
    """Return the task type of a config, None where it says nothing."""
    task = config.get("task")
    kind = task.get("task_type") if isinstance(task, dict) else None
    if kind is None or is_reference(kind) or (isinstance(kind, str) and kind in TASK_DEFAULTS):
        return kind
    raise unknown("task type", kind, [*TASK_DEFAULTS, "module:Class"], "task.task_type")


def _drop_ignored(config: dict) -> None:
    config.pop("$schema", None)  # which editors read
    for name in config:
        home = section_of(str(name))
        if name not in Config.model_fields and home is not None:
            raise UserError(f"config: '{name}' is a key of section '{home}'.")
    drop_unknown(config, Config.model_fields, "section", "the config")
    for name, section in _LENIENT.items():
        if isinstance(config.get(name), dict):
            drop_unknown(config[name], section.model_fields, "key", name)


def _say_what_is_off(config: dict, user: dict) -> None:
    """Warn of priors that have parameters but are not switched on."""
    given, whole = user.get("prior"), config["prior"]
    for name, value in given.items() if isinstance(given, dict) else ():
        merged = whole[name] if isinstance(value, dict) else value
        pairs = zip(value, merged, strict=True) if isinstance(value, list) else [(value, merged)]
        for one, result in pairs:
            if isinstance(one, dict) and one and "on" not in one and not result.get("on"):
                logger.warning('config: prior.%s is off; "on": true switches it on.', name)


def _fit_defaults_to(config: dict, user: dict) -> dict:
    """Withdraw defaults and options that belong to another choice than the user's."""
    task, given = config["task"], user.get("task")
    if isinstance(given, dict) and task["task_type"] == "regression":
        for name in ("metric", "extra_metric_test"):
            if name in given and f"{name}_params" not in given:
                task[f"{name}_params"] = None
    training = config["training"]
    params = training.get("const_params") if isinstance(training, dict) else None
    if isinstance(params, dict) and training["const_optimizer"] == "lm":
        for name in [name for name in SCIPY_ONLY if name in params]:
            del params[name]
            logger.warning(
                "config: training.const_params.%s is for const_optimizer 'scipy'; ignored.", name
            )
    return config


def validate(config: dict) -> Config:
    """Check every value of a config and return it typed and frozen.

    Parameters
    ----------
    config : dict
        As `load_config` returns it. A section or key that is absent has its common default, not its
        task's; so ``config["prior"] = {}`` means no prior.

    Raises
    ------
    UserError
        Naming section and key, the value given, what is allowed and the nearest match.
    """
    if not isinstance(config, dict):
        raise UserError(f"config: a dict of sections is expected, got {type(config).__name__}.")
    config = plain(config)
    _drop_ignored(config)
    _task_type(config)
    try:
        return Config.model_validate(config)
    except ValidationError as error:
        raise UserError(
            describe(error, config, lambda path: model_at(path, config), section_of)
        ) from None
