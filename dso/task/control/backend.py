"""What every way of having episodes owes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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
        """Play one episode per policy and seed, with this many threads or processes."""

    def close(self) -> None:  # noqa: B027, most have nothing to give back
        """Give back processes, if there are any."""


N_CACHED_STARTS = 8


class NativeBackend(Backend):
    """Episodes that the core plays: what it is told of environment, policies and first states.

    Parameters
    ----------
    environment : Environment
    system : Any
        `name`, of the dynamics in the core, and `parameters`, a callable that reads their numbers
        from Gymnasium's object, so that one that was changed is followed.
    """

    def __init__(self, environment: Environment, system: Any) -> None:
        self.environment = environment
        self.system = system
        self.starts = lru_cache(N_CACHED_STARTS)(self._starts)

    @abstractmethod
    def state(self, env: Any) -> np.ndarray:
        """Return the state (S,) of Gymnasium's object as the core wants it."""

    def arguments(self, policies: Policies, seeds: Sequence[int]) -> tuple:
        """Return the arguments that all of the core's ways of having episodes begin with."""
        parameters = self.system.parameters(self.environment.env.unwrapped)
        return (
            self.system.name,
            policies.library.native,
            policies.composition.native,
            *policies.arrays(),
            np.array(parameters, dtype=np.float64),
            *self.starts(tuple(seeds)),
            self.environment.max_steps,
        )

    def _starts(self, seeds: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return states (E, S) and observations (E, O) that the environment's own reset gives."""
        env: Any = self.environment.env
        states, observations = [], []
        for seed in seeds:
            observations.append(env.reset(seed=seed)[0])
            states.append(self.state(env.unwrapped))
        return np.array(states), np.array(observations, dtype=np.float64)


def has_plain_wrappers(environment: Environment) -> bool:
    """Tell whether only wrappers that change no number stand around the environment."""
    from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

    plain = (OrderEnforcing, PassiveEnvChecker, TimeLimit)
    return all(type(wrapper) in plain for wrapper in environment.wrappers)
