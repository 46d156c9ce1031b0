"""The config as a whole: its sections, and what the built-in tasks change of their defaults.

Defaults stand here and in the sections alone; the files in ``config/`` are written from them.
"""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import model_validator

from dso.config.base import Section, key
from dso.config.plain import plain
from dso.config.prior_sections import Priors
from dso.config.sections import (
    Checkpoint,
    Experiment,
    Finishing,
    GPMeld,
    Islands,
    Logging,
    Policy,
    PolicyOptimizer,
    PolicyOptimizerUnion,
    PolicyUnion,
    Postprocess,
    Pretrained,
    Reduce,
    Semantic,
    StateManager,
    Training,
)
from dso.config.task_sections import (
    ControlTask,
    RegressionTask,
    Task,
    task_kind,
)


class Config(Section):
    """A config of dso."""

    experiment: Experiment = key(Experiment(), "Where results go, and the seed.")
    task: Task = key(RegressionTask(), "The problem to solve.")
    training: Training = key(Training(), "Budget, risk filter, baseline and fit of constants.")
    logging: Logging = key(Logging(), "Files in addition to the statistics of each iteration.")
    state_manager: StateManager = key(
        StateManager(), "What the policy sees of the expression so far."
    )
    policy: PolicyUnion = key(Policy(), "The network that writes expressions.")
    policy_optimizer: PolicyOptimizerUnion = key(PolicyOptimizer(), "How it learns from rewards.")
    gp_meld: GPMeld = key(GPMeld(), "Genetic programming seeded by the policy's samples.")
    semantic: Semantic = key(Semantic(), "Search by values, before the first iteration.")
    pretrained: Pretrained = key(
        Pretrained(), "A pre-trained network, asked before the first iteration."
    )
    reduce: Reduce = key(
        Reduce(), "Reductions that the data show, and searches for what they leave."
    )
    islands: Islands = key(Islands(), "One search as several that exchange their best programs.")
    finishing: Finishing = key(Finishing(), "The last mile of programs on the front.")
    prior: Priors = key(Priors(), "What may be written: one instance of each, or a list of them.")
    postprocess: Postprocess = key(Postprocess(), "The report at the end.")
    checkpoint: Checkpoint = key(Checkpoint(), "Saving the state of a run, and continuing from it.")

    @model_validator(mode="after")
    def _has_a_source(self) -> "Config":
        if self.training.n_samples == 0 and not self.pretrained.on:
            raise ValueError("training.n_samples is 0, for which pretrained.on must be true")
        return self


_ON = {"on": True}
_USUAL_PRIORS = {
    "inverse": _ON,
    "trig": _ON,
    "const": _ON,
    "no_inputs": _ON,
    "uniform_arity": _ON,
    "soft_length": {"on": True, "loc": 10.0, "scale": 5.0},
}

TASK_DEFAULTS: dict[str, dict] = {
    "regression": {
        "task": RegressionTask.defaults(),
        "policy_optimizer": {
            "learning_rate": 0.0005,
            "entropy_weight": 0.03,
            "entropy_gamma": 0.7,
        },
        "prior": {
            "length": {"on": True, "min_": 4, "max_": 64},
            "repeat": {"on": True, "tokens": "const", "min_": None, "max_": 3},
            **_USUAL_PRIORS,
            "units": _ON,
        },
    },
    "control": {
        "task": ControlTask.defaults(),
        "training": {
            "n_samples": 200_000,
            "batch_size": 200,
            "epsilon": 0.1,
            "early_stopping": False,
        },
        "gp_meld": {
            "run_gp_meld": True,
            "keep_population": True,
            "population_size": 1000,
            "n_islands": 4,
            "p_fit": 0.1,
            "p_perturb": 0.3,
        },
        "policy_optimizer": {
            "learning_rate": 0.001,
            "entropy_weight": 0.01,
            "entropy_gamma": 0.85,
        },
        "prior": {"length": {"on": True, "min_": 4, "max_": 30}, **_USUAL_PRIORS},
    },
}
"""What the built-in tasks change of the common defaults; a user's own task changes nothing."""


def common_defaults() -> dict:
    """Return the defaults of every section that do not depend on the task."""
    return plain(Config.defaults() | {"task": {"task_type": None}})  # type: ignore[return-value]


def model_at(path: list, config: dict) -> type[Section]:
    """Return the model of the dict at a place in the config."""
    model: type[Section] = Config
    for step in path:
        if step == "task" and task_kind(config.get("task")) == "control":
            model = ControlTask
        elif isinstance(step, str):
            field = model.model_fields[step]
            model = next(_sections((type(field.default), field.annotation)))
    return model


def _sections(kinds: Iterable[Any]) -> Iterator[type[Section]]:
    """Yield the sections among types and within them: `list[A] | None` holds A."""
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Section):
            yield kind
        yield from _sections(get_args(kind))


def section_of(name: str) -> str | None:
    """Return the section that has a key of this name, or None."""
    sections = Config.model_fields.items()
    return next((s for s, field in sections if name in type(field.default).model_fields), None)
