"""How the policy learns from rewards: risk filter, baselines, losses.

The optimisers need torch and are loaded on first use, so that the risk filter and the baselines can
be had without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dso.errors import UserError, unknown
from dso.policy_optimizer.baseline import Baseline
from dso.policy_optimizer.risk import RiskFilter, clip_rewards
from dso.registry import import_object, is_reference

if TYPE_CHECKING:
    from dso.policy_optimizer.policy_optimizer import PolicyOptimizer

POLICY_OPTIMIZERS = {"pg": "dso.policy_optimizer.pg:PolicyGradient"}

__all__ = ["POLICY_OPTIMIZERS", "Baseline", "RiskFilter", "clip_rewards", "policy_optimizer_class"]


def policy_optimizer_class(name: str) -> type[PolicyOptimizer]:
    """Return the class for a name of `POLICY_OPTIMIZERS` or a user's ``module:Class``.

    Raises
    ------
    UserError
        For an unknown name, or a reference to something that is no PolicyOptimizer.
    """
    where = "policy_optimizer.policy_optimizer_type"
    if not is_reference(name) and name not in POLICY_OPTIMIZERS:
        raise unknown("policy optimizer", name, POLICY_OPTIMIZERS, where)
    found = import_object(POLICY_OPTIMIZERS.get(name, name), where)
    from dso.policy_optimizer.policy_optimizer import PolicyOptimizer

    if not (isinstance(found, type) and issubclass(found, PolicyOptimizer)):
        raise UserError(f"{where}: {name!r} is no subclass of PolicyOptimizer.")
    return found
