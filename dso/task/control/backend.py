"""The interface of the back ends that play episodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypedDict

import numpy as np

from dso.native import _core
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


class Arguments(TypedDict):
    """What the core needs for episodes, wherever the physics is from."""

    system: str
    parameters: np.ndarray
    composition: _core.Composition
    library: _core.Library
    programs: _core.Programs
    starts: _core.Starts
    max_steps: int


@dataclass(frozen=True)
class System:
    """An environment that the core knows.

    Attributes
    ----------
    name : str
        Of the dynamics in the core.
    parameters : callable
        Reads their numbers from Gymnasium's object, so that one that was changed is followed.
    """

    name: str
    parameters: Callable[[Any], Sequence[float]]


class NativeBackend(Backend):
    """Episodes that the core plays: what it is told of environment, policies and first states.

    Parameters
    ----------
    environment : Environment
    system : System
    """

    def __init__(self, environment: Environment, system: System) -> None:
        self.environment = environment
        self.system = system
        self.starts = lru_cache(N_CACHED_STARTS)(self._starts)

    @abstractmethod
    def state(self, env: Any) -> np.ndarray:
        """Return the state (S,) of Gymnasium's object as the core wants it."""

    def arguments(self, policies: Policies, seeds: Sequence[int]) -> Arguments:
        """Return the arguments that all of the core's ways of having episodes share."""
        assert self.environment.max_steps is not None
        parameters = self.system.parameters(self.environment.env.unwrapped)
        return {
            "system": self.system.name,
            "parameters": np.array(parameters, dtype=np.float64),
            "composition": policies.composition.native,
            "library": policies.library.native,
            "programs": policies.programs.native,
            "starts": self.starts(tuple(seeds)),
            "max_steps": self.environment.max_steps,
        }

    def _starts(self, seeds: tuple[int, ...]) -> _core.Starts:
        """Return the states and observations that the environment's own reset gives."""
        env: Any = self.environment.env
        states, observations = [], []
        for seed in seeds:
            observations.append(env.reset(seed=seed)[0])
            states.append(self.state(env.unwrapped))
        return _core.Starts(np.array(states), np.array(observations, dtype=np.float64))


def has_plain_wrappers(environment: Environment) -> bool:
    """Tell whether only wrappers that change no number stand around the environment."""
    from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

    plain = (OrderEnforcing, PassiveEnvChecker, TimeLimit)
    return all(type(wrapper) in plain for wrapper in environment.wrappers)
