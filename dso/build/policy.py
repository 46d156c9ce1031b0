"""The priors, the policy under them, and what trains it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.build.sizes import n_cores
from dso.config import Config
from dso.config.config import TASK_DEFAULTS
from dso.errors import UserError
from dso.memory import Keeper, PriorityQueue, ProgramMemory
from dso.plugins import construct, look_up
from dso.policy_optimizer import Baseline, Learner, RiskFilter
from dso.policy_optimizer import make_policy_optimizer as make_optimizer_of
from dso.prior import JointPrior, TemplateConstraint, make_joint_prior
from dso.task import Task
from dso.task.regression.benchmarks import benchmark_names, find_benchmark

if TYPE_CHECKING:
    from dso.policy import Policy
    from dso.program import FitData
    from dso.semantic import OnlyHole


logger = logging.getLogger("dso")


def data_ranges(data: FitData | None) -> dict[str, np.ndarray]:
    """Return least and greatest value of each input (D, 2) and of y (2,), if there are data."""
    if data is None:
        return {}
    columns, y = data.columns, data.y
    return {
        "input_ranges": np.column_stack([columns.min(axis=1), columns.max(axis=1)]),
        "output_range": np.array([y.min(), y.max()]),
    }


def make_prior(config: Config, task: Task) -> JointPrior:
    """Build the priors with what they may know of the data."""
    prior = make_joint_prior(
        config.prior.to_dict(),
        task.library,
        max_length=config.policy.max_length,
        template=make_template(task),
        corpus=partial(corpus_of, task),
        quantities=task.quantities if task.units_penalty is None else None,
        **data_ranges(task.fit_data),
    )
    usual = TASK_DEFAULTS.get(config.task.task_type or "", {}).get("prior", {})
    for line in prior.skipped:
        if line.endswith("Prior disabled."):
            continue
        # Users are not warned of what they did not ask for.
        name = line.split(":", 1)[0]
        given = config.prior.to_dict()[name]
        as_always = (
            name in usual and isinstance(given, dict) and usual[name].items() <= given.items()
        )
        logger.log(logging.INFO if as_always else logging.WARNING, "prior.%s", line)
    for line in prior.descriptions:
        logger.info("prior.%s", line)
    return prior


def make_prior_in_hole(config: Config, task: Task, hole: OnlyHole, wanted: FitData) -> JointPrior:
    """Build the priors of what stands in the one hole of a template, for these values of it.

    Units belong to the whole.
    """
    prior = make_joint_prior(
        config.prior.to_dict(),
        task.library,
        max_length=config.policy.max_length,
        template=None,
        corpus=partial(corpus_of, task),
        quantities=None,
        **data_ranges(wanted),
    )
    return hole.prior(prior, task.in_holes)


def make_template(task: Task) -> TemplateConstraint | None:
    """Build what holds programs to the form that the task gives them, if it gives one."""
    if task.template is None:
        return None
    return TemplateConstraint(task.library, task.template, task.in_holes)


def corpus_of(task: Task, path: str | None) -> list[list[int]]:
    """Return formulas in the task's tokens, without the one that a benchmark asks for."""
    from dso.pretraining.corpus import corpus_rows

    is_known = path is None and task.name in benchmark_names()
    without = find_benchmark(task.name).formula if is_known else None
    return corpus_rows(task.library, path, without)


def make_policy(config: Config, task: Task, prior: JointPrior, seed: int) -> Policy:
    """Build the built-in policy, or a user's own with its own keys."""
    from dso.policy import StateManager  # needs torch, which takes seconds to import

    manager = config.state_manager.to_dict()
    del manager["type"]
    common, own = _plug_in_keys(config.policy)
    made = _policy_class(name := common.pop("policy_type"))
    # These keys are read elsewhere.
    for key in ("max_length", "sample_novel_batch", "max_attempts_at_novel_batch", "debug"):
        del common[key]
    changed = _changed(config.policy, common)
    common.update(state_manager=StateManager(**manager), seed=seed, n_threads=n_cores(config))
    where = f"policy ({name})"
    return construct(made, where, task.library, prior, common=common, own=own, changed=changed)


def _plug_in_keys(section: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a section into the keys that we know and those of a user's own class."""
    own = section.model_extra or {}
    return {key: value for key, value in section.to_dict().items() if key not in own}, own


def _changed(section: Any, keys: Iterable[str]) -> list[str]:
    """Return the keys that have other values than by default."""
    defaults = type(section).model_fields
    return [key for key in keys if getattr(section, key) != defaults[key].default]


def _policy_class(name: str) -> type[Policy]:
    from dso.policy import POLICIES, Policy

    where = "policy.policy_type"
    found = look_up(name, POLICIES, "policy", where)
    if not (isinstance(found, type) and issubclass(found, Policy)):
        raise UserError(f"{where}: {name!r} is not a subclass of Policy.")
    return found


def make_policy_optimizer(config: Config, policy: Policy, seed: int) -> Any:
    """Build a built-in policy optimiser, or a user's own with its own keys."""
    common, own = _plug_in_keys(config.policy_optimizer)
    kind = common.pop("policy_optimizer_type")
    return make_optimizer_of(kind, policy, {**common, "seed": seed}, own)


def make_queue(config: Config, policy_optimizer: Any, seed: int) -> PriorityQueue | None:
    """Build the queue for those that want one: an optimiser that does not say so may."""
    if not getattr(policy_optimizer, "uses_queue", True):
        return None
    size, batch_size = config.policy_optimizer.pqt_k, config.training.batch_size
    if size > batch_size:
        raise UserError(
            f"policy_optimizer.pqt_k: {size}; allowed: at most training.batch_size = {batch_size}."
        )
    return PriorityQueue(size, seed)


def make_memory(config: Config, policy: Policy) -> ProgramMemory | None:
    """Build the memory of the risk filter, if one is asked for."""
    training = config.training
    if not training.use_memory:
        return None
    return ProgramMemory(policy, training.memory_capacity, training.memory_threshold)


def make_learner(
    config: Config, policy: Policy, policy_optimizer: Any, keeper: Keeper, seed: int
) -> Learner:
    """Build what teaches the policy."""
    training = config.training
    baseline = Baseline(training.baseline, alpha=training.alpha, b_jumpstart=training.b_jumpstart)
    risk_filter = RiskFilter(training.epsilon, make_memory(config, policy))
    queue = make_queue(config, policy_optimizer, seed)
    n_rows = training.batch_size + config.gp_meld.run_gp_meld * config.gp_meld.train_n
    if risk_filter.n_kept(n_rows) == 1 and training.baseline == "R_e" and queue is None:
        logger.warning(
            "training.epsilon: %s of %d programs is a single one. Baseline 'R_e' compares "
            "it with itself, so nothing is learned from rewards.",
            training.epsilon,
            n_rows,
        )
    return Learner(
        policy, policy_optimizer, risk_filter, baseline, keeper, queue, training.parsimony
    )
