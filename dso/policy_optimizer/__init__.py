"""How the policy learns from rewards: risk filter, baselines, losses.

The *risk filter* keeps the best share of a batch: what counts is the best program, not the average.
The *baseline* is what a kept reward is compared with before it pushes the policy. A *policy
optimiser* is a method's loss of log-probabilities, entropies and rewards, and the step down its
gradient. The *learner* makes one update of all three.

The optimisers need torch and are loaded on first use, so that the risk filter and the baselines can
be had without it.

A policy optimiser is a class ``(policy, **section)`` with
``step(batch, baseline, queue) -> dict of statistics``. It may derive from
`dso.policy_optimizer.policy_optimizer.PolicyOptimizer`; then it need only define
``loss(log_prob, entropy, rewards, baseline) -> scalar tensor``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dso.errors import UserError
from dso.plugins import construct, look_up
from dso.policy_optimizer.baseline import Baseline
from dso.policy_optimizer.learner import Learner, Lesson
from dso.policy_optimizer.risk import RiskFilter, clip_rewards

if TYPE_CHECKING:
    from dso.policy import Policy

POLICY_OPTIMIZERS = {
    "pg": "dso.policy_optimizer.pg:PolicyGradient",
    "ppo": "dso.policy_optimizer.ppo:ProximalPolicyOptimization",
    "pqt": "dso.policy_optimizer.pqt:PriorityQueueTraining",
}
"""Names of `policy_optimizer_type`."""

__all__ = [
    "POLICY_OPTIMIZERS",
    "Baseline",
    "Learner",
    "Lesson",
    "RiskFilter",
    "clip_rewards",
    "make_policy_optimizer",
    "policy_optimizer_class",
]

_TYPE_KEY = "policy_optimizer.policy_optimizer_type"
"""That errors name."""


def policy_optimizer_class(name: str) -> type:
    """Return the class for a name of `POLICY_OPTIMIZERS` or a user's ``module:Class``.

    Raises
    ------
    UserError
        For an unknown name, or a reference to something that is not a class with a method `step`.
    """
    found = look_up(name, POLICY_OPTIMIZERS, "policy optimizer", _TYPE_KEY)
    if not (isinstance(found, type) and callable(getattr(found, "step", None))):
        raise UserError(f"{_TYPE_KEY}: {name!r} is not a class with a method 'step'.")
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
        Keys for any optimiser, among them ``seed``; the constructor takes those that it knows.
    own : dict, optional
        Keys that the user wrote for this class alone.

    Raises
    ------
    UserError
        See `policy_optimizer_class` and `dso.plugins.construct`.
    """
    made = policy_optimizer_class(name)
    return construct(made, f"policy_optimizer ({name})", policy, common=common, own=own or {})
