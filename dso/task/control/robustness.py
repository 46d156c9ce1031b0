"""The returns of a policy in environments other than the one in which it was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dso.task.control.composition import Anchor
from dso.task.control.environment import Environment, Recipe
from dso.task.control.rollout import Rollouts
from dso.task.control.symbolic_policy import SymbolicPolicy


@dataclass(frozen=True)
class Variation:
    """What became of one change.

    Attributes
    ----------
    parameter : str
    value : float
    mean, deviation : float
        Of the policy's returns.
    anchor : float
        Mean return of the anchor; NaN without one.
    """

    parameter: str
    value: float
    mean: float
    deviation: float
    anchor: float


def vary(
    policy: SymbolicPolicy,
    recipe: Recipe,
    changes: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    anchor: Anchor | None = None,
) -> list[Variation]:
    """Change one parameter of an environment after the other, and play.

    Parameters
    ----------
    policy : SymbolicPolicy
    recipe : Recipe
        Of the environment as it is.
    changes : mapping
        Per parameter its values. It is an argument of the environment, or a number that its object
        has (``m``, ``length``, ``masspole``, ...).
    seeds : sequence of int
        Of the episodes of each value.
    anchor : Anchor, optional
        Plays the same episodes.

    Raises
    ------
    UserError
        If the environment has no such parameter.
    """
    found = []
    for parameter, values in changes.items():
        for value in values:
            environment = Environment.of(replace(recipe, changes={parameter: float(value)}))
            rollouts = Rollouts(environment)
            try:
                returns = rollouts(policy.policies, seeds)[0]
                theirs = np.nan
                if anchor is not None:
                    theirs = rollouts(policy.of_anchor(anchor).policies, seeds)[0].mean()
            finally:
                rollouts.close()
            row = (float(returns.mean()), float(returns.std()), float(theirs))
            found.append(Variation(parameter, float(value), *row))
    return found
