"""What every way of having episodes owes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dso.task.control.composition import Policies
from dso.task.control.environment import Environment


@dataclass(frozen=True)
class Episodes:
    """What P policies got in E episodes.

    Attributes
    ----------
    returns : (P, E) float64
        Sums of rewards.
    steps : (P, E) int32
        Lengths of the episodes.
    """

    returns: np.ndarray
    steps: np.ndarray


class Backend(ABC):
    """One way of having episodes of an environment."""

    @abstractmethod
    def play(self, policies: Policies, seeds: Sequence[int], n_threads: int = 1) -> Episodes:
        """Play one episode per policy and seed, with so many threads or processes."""

    def close(self) -> None:  # noqa: B027, most have nothing to give back
        """Give back processes, if there are any."""


def has_plain_wrappers(environment: Environment) -> bool:
    """Tell whether only wrappers that change no number stand around the environment."""
    from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

    plain = (OrderEnforcing, PassiveEnvChecker, TimeLimit)
    return all(type(wrapper) in plain for wrapper in environment.wrappers)
