"""From the arguments of the estimator to a config."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import re
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from dso.config import load_config
from dso.config.loading import read_source
from dso.config.results import deciding_keys
from dso.errors import UserError, unknown
from dso.library import create_tokens
from dso.regressor.limits import limit_shape
from dso.regressor.template_spec import TemplateExpressionSpec

logger = logging.getLogger("dso")

SEARCH: dict[str, dict] = {
    "task": {
        "task_type": "regression",
        "function_set": ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "const"],
    },
    "training": {
        "n_samples": 600_000,
        "batch_size": 500,
        "epsilon": 0.02,
        "complexity": "length",
    },
    "policy_optimizer": {"learning_rate": 0.02},
    "gp_meld": {
        "run_gp_meld": True,
        "p_join": 0.5,
        "p_fit": 0.3,
        "p_archive": 0.3,
        "keep_population": True,
        "n_islands": 4,
        "restart_after": 40,
    },
    "semantic": {
        "on": True,
        "max_share": 0.5,
        "per_sample": 40,
        "max_lookups": 40_000_000,
    },
    "reduce": {"on": True},
    "prior": {
        "length": {"on": True, "min_": 1, "max_": 30},
        "repeat": {"on": True, "tokens": "const", "max_": 6},
        "no_inputs": {"on": False},
        "trig": {"on": True, "arc": False},
    },
}
"""What the regressor changes of the defaults of a config where none is given.

Programs of one token are allowed, so that the simplest rows of the front are there, and complexity
counts tokens, as in PySR. `docs/results.md` has the figures behind the rest: populations that live
on explain more of noisy data than those of each iteration alone, and at most six constants more
than any number; `poly` as one token wins by interpolation, so it is left to the user. Half of the
budget is twelve million evaluations of the search by values: on forty equations of physics, ten
times as many found no more.
"""


PRESETS = {"quick": 60_000, "default": 600_000, "best": 40_000_000}
"""Budgets by name: a tenth of that in `SEARCH`, that itself, and that of the best preset."""


def search_config(
    estimator: Any, inputs: Sequence[str] = (), selected: np.ndarray | None = None
) -> dict[str, Any]:
    """Return the config that an estimator's arguments stand for, without data and seed.

    `inputs` are names of the inputs that the search sees, which some arguments mention; `selected`,
    (D,) bool, says which of all inputs they are.

    Arguments that are None leave what the config says.

    Raises
    ------
    UserError
        If an argument cannot be used.
    """
    given = estimator.config
    config = load_config(SEARCH if given is None else given)
    if config["task"]["task_type"] != "regression":
        raise UserError(
            f"config: task.task_type is {config['task']['task_type']!r}; the regressor fits data, "
            "so it must be 'regression'."
        )
    if given is not None and "logdir" in (read_source(given).get("experiment") or {}):
        logger.warning(
            "config: experiment.logdir is ignored; output_directory says where files go."
        )
    task, training = config["task"], config["training"]
    task["model_selection"] = estimator.model_selection
    functions = function_set(estimator)
    if functions is not None:
        task["function_set"] = functions
    for name in ("elementwise_loss", "loss_function"):
        if getattr(estimator, name) is not None:
            task[name] = getattr(estimator, name)
    if estimator.loss_scale is not None:
        task["loss_scale"] = estimator.loss_scale
    if estimator.maxsize is not None:
        _set_maxsize(config, estimator.maxsize)
    limit_shape(config, estimator, inputs, selected)
    _see_rows(config, estimator)
    if estimator.expression_spec is not None:
        config["task"]["template"] = checked_spec(estimator.expression_spec).to_config()
    if estimator.pretrained is not None:
        config["pretrained"].update(pretrained(estimator.pretrained))
    _set_units(estimator, task)
    _set_knowledge(estimator, task, inputs)
    if estimator.reduce is not None:
        if not isinstance(estimator.reduce, bool | np.bool_):
            raise UserError(f"reduce: {estimator.reduce!r}; expected true, false or None.")
        config["reduce"]["on"] = bool(estimator.reduce)
    if estimator.n_islands is not None:
        config["islands"]["n"] = whole("n_islands", estimator.n_islands)
    training["n_samples"] = n_samples(estimator, config)
    if estimator.timeout_in_seconds is not None:
        training["max_seconds"] = estimator.timeout_in_seconds
    if estimator.max_megabytes is not None:
        training["max_megabytes"] = estimator.max_megabytes
    if given is None or estimator.n_jobs is not None:
        training["n_cores_batch"] = n_threads(estimator.n_jobs)
    training["verbose"] = bool(estimator.progress and estimator.verbosity)
    config["logging"]["save_pareto_front"] = True
    finishing = config["finishing"]
    finishing["on"] = finishing["on"] is not False
    if not estimator.snap:
        finishing["snap"] = False
    config["logging"]["hof"] = config["logging"]["hof"] or 100
    return config


def _set_units(estimator: Any, task: dict[str, Any]) -> None:
    """Have the task know the units that `fit` was given; those of y follow for each target."""
    # There are none before a fit.
    if getattr(estimator, "X_units_", None) is not None:
        task["X_units"] = estimator.X_units_
    if estimator.dimensionless_constants_only:
        task["dimensionless_constants_only"] = True
    penalty = estimator.dimensional_constraint_penalty
    if penalty is not None:
        is_number = isinstance(penalty, int | float) and not isinstance(penalty, bool)
        if not (is_number and penalty >= 0):
            raise UserError(
                f"dimensional_constraint_penalty: {penalty!r}; expected a number >= 0, or None."
            )
        task["dimensional_constraint_penalty"] = float(penalty)


def _set_knowledge(estimator: Any, task: dict[str, Any], inputs: Sequence[str]) -> None:
    """Have the task know what is known of the answer, where breaking it costs something."""
    penalty, knowledge = estimator.knowledge_penalty, estimator.knowledge
    if knowledge is not None:
        from dso.task.regression.knowledge import check_names

        check_names(knowledge, estimator.display_feature_names_in_)
    if penalty is None:
        return
    if knowledge is None:
        raise UserError(f"knowledge_penalty: {penalty!r} needs knowledge; give both.")
    is_number = isinstance(penalty, Real) and not isinstance(penalty, bool)
    if not (is_number and 0 <= penalty < np.inf):
        raise UserError(f"knowledge_penalty: {penalty!r}; expected a number >= 0, or None.")
    unseen = set(estimator.display_feature_names_in_) - set(inputs)
    seen = [one.without(unseen) for one in knowledge]
    task["knowledge"] = [one.to_config() for one in seen if one is not None]
    task["knowledge_penalty"] = float(penalty)


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return by name the changed keys that keep a search from continuing.

    The number of threads is none of them: it stays as it was, and changes no result.
    """
    old, new = deciding_keys(before), deciding_keys(now)
    return [name for name in new if new[name] != old.get(name)]


def checked_spec(given: Any) -> TemplateExpressionSpec:
    """Return a template, and refuse anything else."""
    if not isinstance(given, TemplateExpressionSpec):
        raise UserError(f"expression_spec: {given!r}; expected a TemplateExpressionSpec.")
    return given


def has_own_loss(task: Mapping[str, Any]) -> bool:
    """Tell whether a task section has another loss than the squared error."""
    return task["elementwise_loss"] is not None or task["loss_function"] is not None


def function_set(estimator: Any) -> list[Any] | None:
    """Return the tokens that the arguments ask for, None where they ask for none in particular."""
    split = [estimator.binary_operators, estimator.unary_operators]
    ways = {
        "function_set": estimator.function_set is not None,
        "operators": estimator.operators is not None,
        "binary_operators and unary_operators": split != [None, None],
    }
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} mean the same; give one of them.")
    if not given:
        return None
    if ways["function_set"]:
        return _names(estimator.function_set, "function_set")
    operators = estimator.operators
    lists: list[tuple[str, Any, int | None]]
    if isinstance(operators, Mapping):
        lists = [(f"operators[{n!r}]", ops, whole("operators", n)) for n, ops in operators.items()]
    elif operators is not None:
        lists = [("operators", operators, None)]
    else:
        # PySR's meaning of leaving one of them out.
        binary = ["+", "-", "*", "/"] if split[0] is None else split[0]
        lists = [("binary_operators", binary, 2), ("unary_operators", split[1] or [], 1)]
    names = [name for place, ops, arity in lists for name in _operators(ops, place, arity)]
    if not names:
        places = " and ".join(place for place, _, _ in lists) or "operators"
        raise UserError(f"{places}: no operator is given; give one, such as '+'.")
    has_const = any(str(name).lower() == "const" for name in names)
    return names if has_const else [*names, "const"]


def _names(names: Any, place: str) -> list[Any]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise UserError(f"{place}: {names!r}; expected a list of operators.")
    return list(names)


def _operators(given: Any, place: str, arity: int | None) -> list[Any]:
    """Return a list of operators, which take as many arguments as the place says."""
    names = _names(given, place)
    for name in names if arity is not None else ():
        tokens = create_tokens(0, [name])
        if tokens and tokens[0].arity not in (arity, 0):  # numbers and const are welcome
            raise UserError(
                f"{place}: {name!r} takes {tokens[0].arity} "
                f"argument{'s' * (tokens[0].arity > 1)}, not {arity}."
            )
    return names


def _set_maxsize(config: dict[str, Any], maxsize: Any) -> None:
    maxsize = whole("maxsize", maxsize)
    lengths = config["prior"]["length"]
    if isinstance(lengths, list):
        raise UserError("maxsize: the config has several length priors; set it there.")
    lowest = lengths.get("min_")
    lengths.update(on=True, max_=maxsize, min_=None if lowest is None else min(lowest, maxsize))
    preference = config["prior"]["soft_length"]
    if isinstance(preference, dict) and preference.get("loc") is not None:
        # Short equations would never be written if long ones were preferred that are not allowed.
        preference["loc"] = min(preference["loc"], maxsize / 2)


def _see_rows(config: dict[str, Any], estimator: Any) -> None:
    """Say how many rows the search sees at a time."""
    if estimator.batching is not None:
        if estimator.batching not in (True, False, "auto"):
            raise unknown("value", estimator.batching, ("True", "False", "auto"), "batching")
        config["task"]["batching"] = estimator.batching
    if estimator.batch_size is not None:
        config["task"]["batching_rows"] = whole("batch_size", estimator.batch_size, 2)


def pretrained(value: Any) -> dict[str, Any]:
    """Return the keys of the section that an argument stands for."""
    if isinstance(value, bool | np.bool_):
        return {"on": bool(value)}
    if not isinstance(value, (str, os.PathLike)):
        raise UserError(f"pretrained: {value!r}; expected true, false or the path of weights.")
    return {"on": True, "weights": os.fspath(value)}


def n_samples(estimator: Any, config: Mapping[str, Any]) -> int:
    """Return the budget: the least of those given, or what the config says."""
    budgets = []
    for name in ("n_samples", "max_evals", "niterations"):
        value = getattr(estimator, name)
        if value is None:
            continue
        value = whole(name, value, int(name != "n_samples" or not config["pretrained"]["on"]))
        budgets.append(value if name != "niterations" else _room_for(value, config))
    return min(budgets, default=config["training"]["n_samples"])


def guesses_of(given: Any, target: int, n_targets: int) -> list[str | dict[str, Any]]:
    """Return the guesses for one of the targets as text, those of templates by expression.

    Raises
    ------
    UserError
        If they are not a sequence, or not one for each of several targets.
    """
    if given is None:
        return []
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise UserError(f"guesses: {given!r}; expected a list of formulas.")
    is_nested = bool(given) and all(isinstance(one, list | tuple) for one in given)
    if n_targets > 1 or is_nested:
        if not is_nested or len(given) != n_targets:
            raise UserError(
                f"guesses: {given!r}; expected a list of formulas for each of {n_targets} targets."
            )
        given = given[target]
    return [
        {str(name): _part_of_template(part) for name, part in guess.items()}
        if isinstance(guess, Mapping)
        else _formula_text(guess)
        for guess in given
    ]


def _part_of_template(part: Any) -> Any:
    """Return a formula as text, and the numbers of a parameter as a list."""
    if isinstance(part, str) or not isinstance(part, Sequence | np.ndarray):
        return _formula_text(part)
    return np.asarray(part).tolist()


def _formula_text(guess: Any) -> str:
    """Return a formula in the notation of the parser: sympy writes Abs, Max and Min."""
    text = guess if isinstance(guess, str) else str(guess)
    return re.sub(r"\b(Abs|Max|Min)\b", lambda name: name[0].lower(), text)


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number, of Python or of numpy."""
    if not is_whole(value) or value < least:
        raise UserError(f"{name}: {value!r}; expected a whole number >= {least}.")
    return int(value)


def is_whole(value: Any) -> bool:
    """Tell whether something is a whole number; true and false are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _room_for(n_iterations: int, config: Mapping[str, Any]) -> int:
    """Return the most evaluations that this many iterations take; `Search` counts them."""
    size, gp, semantic = (
        config["training"]["batch_size"],
        config["gp_meld"],
        config["semantic"],
    )
    n_offspring = gp["generations"] * (gp["population_size"] or size) if gp["run_gp_meld"] else 0
    n_evaluations = config["islands"]["n"] * n_iterations * (size + n_offspring)
    if semantic["on"] and semantic["max_share"] < 1:
        n_evaluations = math.ceil(n_evaluations / (1 - semantic["max_share"]))
    return n_evaluations


def n_threads(n_jobs: int | None) -> int:
    """Return the threads to use; one in a worker process, unless more are asked for."""
    from joblib import cpu_count  # the cores that this process may use

    if n_jobs is None:
        return 1 if multiprocessing.parent_process() is not None else cpu_count()
    if not is_whole(n_jobs) or n_jobs == 0:
        raise UserError(f"n_jobs: {n_jobs!r}; expected None, a whole number >= 1, or -1 for all.")
    n_jobs = int(n_jobs)
    # As in joblib: -2 is all but one.
    return n_jobs if n_jobs > 0 else max(1, cpu_count() + 1 + n_jobs)
