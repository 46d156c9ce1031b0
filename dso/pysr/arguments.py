"""From PySR's parameters to the arguments of `DeepSymbolicRegressor`."""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from dso.errors import UserError, unknown
from dso.pysr.conditions import read_condition
from dso.pysr.parameters import PARAMETERS, present_name
from dso.regressor.options import SEARCH, whole

logger = logging.getLogger("dso")

ARITHMETIC = ["+", "-", "*", "/"]
PARALLELISM = ("serial", "multithreading", "multiprocessing")
CYCLES, GENERATIONS = 380, 20
"""PySR's cycles in an iteration by default, and our generations."""


@dataclass(frozen=True)
class TensorBoardLoggerSpec:
    """Asks for events of TensorBoard; they are in the folder of the fit.

    Attributes
    ----------
    log_dir : str
        Kept for scripts; TensorBoard is pointed to the output directory.
    log_interval : int
        Iterations between two writes.
    overwrite : bool
        Without effect: each fit has a folder of its own.
    """

    log_dir: str = "logs/run"
    log_interval: int = 1
    overwrite: bool = False


def with_present_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what old or unknown names of parameters stand for.

    Raises
    ------
    UserError
        For a name that PySR never had.
    """
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("weights", "variable_names", "Xresampled", "X_units", "y_units"):
            raise UserError(f"{name}: {_shown(value)} belongs to fit: model.fit(X, y, {name}=...).")
        present = present_name(name)
        if present not in PARAMETERS:
            raise unknown("parameter", name, PARAMETERS, "PySRRegressor")
        if name == "multithreading":
            value = None if value is None else "multithreading" if value else "serial"
        if name == "warmupMaxsize" and not value:
            value = None  # 0 was PySR's way to say: none
        logger.warning("%s is called %s now.", name, present)
        parameters[present] = value
    return parameters


def given_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those that differ from PySR's defaults."""
    return {
        name: value
        for name, value in parameters.items()
        if not _is_default(value, PARAMETERS[name].default)
    }


def _is_default(value: Any, default: Any) -> bool:
    if value is None or default is None or isinstance(value, bool) != isinstance(default, bool):
        return value is default
    same = value == default
    return same if isinstance(same, bool) else False


def translated(parameters: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the arguments of `DeepSymbolicRegressor` that all of PySR's parameters stand for.

    Parameters
    ----------
    parameters : mapping
        All of them, by present names.
    known : collection of str
        The arguments that `DeepSymbolicRegressor` has.

    Raises
    ------
    UserError
        For one that is refused, or has a value that means nothing.
    """
    given = given_parameters(parameters)
    for name in given:
        if PARAMETERS[name].kind == "refused":
            raise UserError(f"{name}: {_shown(given[name])} is refused: {PARAMETERS[name].note}.")
    arguments = {
        name: parameters[name]
        for name, row in PARAMETERS.items()
        if row.kind == "argument" and name in known
    }
    arguments.update(_operators(parameters), **_execution(parameters), **_files(parameters))
    arguments["early_stop_condition"] = stop_condition(parameters["early_stop_condition"])
    arguments["config"] = _config(given)
    arguments.update(_scale(parameters))
    return {"loss": "squared", **arguments}


def tell_idle(parameters: Mapping[str, Any]) -> None:
    """Warn once of all parameters that were given and do nothing."""
    given = given_parameters(parameters)
    idle = [name for name in given if PARAMETERS[name].kind == "without effect"]
    if idle:
        logger.warning("Without effect here: %s.", ", ".join(idle))


def _scale(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says how losses compare: squared errors that may be any numbers are a loss."""
    scale = _one_of("loss_scale", parameters["loss_scale"], ("log", "linear"))
    if parameters["elementwise_loss"] is not None or parameters["loss_function"] is not None:
        return {}
    if scale == "log":
        return {"loss_scale": None}
    return {"elementwise_loss": "L2DistLoss()"}


def _one_of(name: str, value: Any, allowed: Collection[Any]) -> Any:
    if value not in allowed:
        raise unknown(name, value, [str(one) for one in allowed])
    return value


def _operators(parameters: Mapping[str, Any]) -> dict[str, Any]:
    names = ("binary_operators", "unary_operators", "operators")
    if all(parameters[name] is None for name in names):
        return {"binary_operators": list(ARITHMETIC)}
    return {"binary_operators": parameters["binary_operators"]}


def _execution(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many threads; None is all."""
    parallelism, procs = parameters["parallelism"], parameters["procs"]
    _one_of("precision", parameters["precision"], (16, 32, 64))
    if parallelism is not None:
        _one_of("parallelism", parallelism, PARALLELISM)
    if procs is not None:
        whole("procs", procs, 0)
    if parallelism == "serial" or procs == 0:  # 0 was PySR's way to say: serial
        return {"n_jobs": 1}
    return {"n_jobs": procs}


def _files(parameters: Mapping[str, Any]) -> dict[str, Any]:
    if parameters["temp_equation_file"]:
        return {"output_directory": None}
    directory = parameters["output_directory"]
    return {"output_directory": "outputs" if directory is None else directory}


def stop_condition(given: Any) -> Any:
    """Return an `early_stop_condition`; a text is read as one."""
    if not isinstance(given, str):
        return given
    return read_condition(given, "early_stop_condition")


def _config(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return our defaults with what only a config can say."""
    config = copy.deepcopy(SEARCH)
    config["prior"]["trig"] = {"on": False}  # PySR has nested_constraints for that
    gp = config["gp_meld"]
    if "populations" in given:
        gp["n_islands"] = whole("populations", given["populations"])
    if "population_size" in given:
        gp["population_size"] = gp["n_islands"] * whole("population_size", given["population_size"])
        gp["train_n"] = min(50, gp["population_size"])
    if "ncycles_per_iteration" in given:
        cycles = whole("ncycles_per_iteration", given["ncycles_per_iteration"])
        gp["generations"] = max(1, round(GENERATIONS * cycles / CYCLES))
    if "crossover_probability" in given:
        share = given["crossover_probability"]
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise UserError(f"crossover_probability: {share!r}; expected a number from 0 to 1.")
        gp["p_crossover"] = float(share)
    if "migration" in given:
        gp["n_migrants"] = 0
    if "tournament_selection_n" in given:
        size = whole("tournament_selection_n", given["tournament_selection_n"])
        gp["tournament_size"] = size
    spec = given.get("logger_spec")
    if spec is not None:
        if not isinstance(spec, TensorBoardLoggerSpec):
            raise UserError(f"logger_spec: {_shown(spec)}; expected a TensorBoardLoggerSpec.")
        config["logging"] = {"save_summary": True, "save_freq": spec.log_interval}
    return config


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
