"""How the policy learns from rewards: risk filter, baselines, losses.

The optimisers need torch and are loaded on first use, so that the risk filter and the baselines can
be had without it.

A policy optimiser is a class ``(policy, **section)`` with
``step(batch, baseline, queue) -> dict of statistics``. It may derive from
`dso.policy_optimizer.policy_optimizer.PolicyOptimizer`, of which it then need only define
``loss(log_prob, entropy, rewards, baseline) -> scalar tensor``.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from dso.errors import UserError, unknown
from dso.policy_optimizer.baseline import Baseline
from dso.policy_optimizer.risk import RiskFilter, clip_rewards
from dso.registry import import_object, is_reference

if TYPE_CHECKING:
    from dso.policy import Policy

POLICY_OPTIMIZERS = {
    "pg": "dso.policy_optimizer.pg:PolicyGradient",
    "ppo": "dso.policy_optimizer.ppo:ProximalPolicyOptimization",
    "pqt": "dso.policy_optimizer.pqt:PriorityQueueTraining",
}

__all__ = [
    "POLICY_OPTIMIZERS",
    "Baseline",
    "RiskFilter",
    "clip_rewards",
    "make_policy_optimizer",
    "policy_optimizer_class",
]

_TYPE_KEY = "policy_optimizer.policy_optimizer_type"


def policy_optimizer_class(name: str) -> type:
    """Return the class for a name of `POLICY_OPTIMIZERS` or a user's ``module:Class``.

    Raises
    ------
    UserError
        For an unknown name, or a reference to something that is no class with a method `step`.
    """
    if not is_reference(name) and name not in POLICY_OPTIMIZERS:
        raise unknown("policy optimizer", name, POLICY_OPTIMIZERS, _TYPE_KEY)
    found = import_object(POLICY_OPTIMIZERS.get(name, name), _TYPE_KEY)
    if not (isinstance(found, type) and callable(getattr(found, "step", None))):
        raise UserError(f"{_TYPE_KEY}: {name!r} is no class with a method 'step'.")
    return found


def make_policy_optimizer(
    name: str, policy: Policy, common: dict[str, Any], own: dict[str, Any] | None = None
) -> Any:
    """Build a policy optimiser from the keys of its section.

    Parameters
    ----------
    name : str
        See `policy_optimizer_class`.
    policy : Policy
    common : dict
        Keys for any optimiser, ``seed`` among them; those that the constructor does not name are
        left out.
    own : dict, optional
        Keys that the user wrote for this class alone; each must be a parameter of the constructor.

    Raises
    ------
    UserError
        See `policy_optimizer_class`; also for a key in `own` that the constructor does not take,
        and for a parameter without a value.
    """
    made, own = policy_optimizer_class(name), own or {}
    accepted = _accepted_keys(made)
    if accepted is not None:
        for key in own:
            if key not in accepted:
                raise unknown("key", key, accepted, f"policy_optimizer ({name})")
        common = {key: value for key, value in common.items() if key in accepted}
    section = {**common, **own}
    try:
        inspect.signature(made).bind(policy, **section)
    except TypeError as error:
        message = f"{_TYPE_KEY}: {name!r} cannot be built as (policy, **section): {error}."
        raise UserError(message) from None
    return made(policy, **section)


def _accepted_keys(made: type) -> set[str] | None:
    """Return the keyword arguments of a constructor, None where it takes any.

    One that passes on ``**section`` takes what the next class in line takes.
    """
    names: set[str] = set()
    for base in made.__mro__[:-1]:
        if "__init__" not in base.__dict__:
            continue
        parameters = list(inspect.signature(base.__dict__["__init__"]).parameters.values())
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names |= {parameter.name for parameter in parameters[2:] if parameter.kind in named}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return names
    return None
