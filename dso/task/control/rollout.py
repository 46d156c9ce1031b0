"""`Rollouts`: one interface to all back ends that play episodes.

``rollout(policies, seeds) -> returns (P, E)``: every policy plays one episode from each seed. What
a policy gets depends on that policy and that seed alone, and is what a plain loop over ``env.step``
would give it. Environments whose dynamics the native core knows are played there; MuJoCo's are
stepped there too; any other is stepped in Python, by worker processes if there are several cores.
The same policy plays once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dso.pacing import IsOver, parts
from dso.task.control.backend import Backend, Episodes
from dso.task.control.classic import ClassicBackend
from dso.task.control.composition import Policies
from dso.task.control.environment import Environment
from dso.task.control.mujoco import MujocoBackend
from dso.task.control.workers import WorkerBackend


class Rollouts:
    """Episodes of one environment.

    Parameters
    ----------
    environment : Environment

    Attributes
    ----------
    n_steps : int
        Steps of the environment taken so far.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.n_steps = 0
        self._native: Backend | None = None
        self._workers: Backend | None = None
        self._is_known_to_core = True

    def __call__(
        self,
        policies: Policies,
        seeds: Sequence[int],
        n_threads: int = 1,
        is_over: IsOver | None = None,
    ) -> np.ndarray:
        """Return the returns (P, E); see the module."""
        return self.play(policies, seeds, n_threads, is_over).returns

    def play(
        self,
        policies: Policies,
        seeds: Sequence[int],
        n_threads: int = 1,
        is_over: IsOver | None = None,
    ) -> Episodes:
        """Play one episode per policy and seed; a policy that is there twice plays once.

        Parameters
        ----------
        policies : Policies
        seeds : sequence of int
        n_threads : int
            Threads, or processes where the environment needs them; results do not depend on it.
        is_over : callable, optional
            Once it is true, policies do not play any more: their returns are NaN, after 0 steps.
        """
        first, which = policies.first_rows()
        policies, backend = policies[first], self.backend(policies)
        returns = np.full((len(policies), len(seeds)), np.nan)
        steps = np.zeros((len(policies), len(seeds)), dtype=np.int32)
        for part in parts(len(policies), is_over, first=n_threads):
            played = backend.play(policies[part], seeds, n_threads)
            returns[part], steps[part] = played.returns, played.steps
        self.n_steps += int(steps.sum())
        return Episodes(returns[which], steps[which])

    def backend(self, policies: Policies) -> Backend:
        """Return the fastest way to play these policies."""
        if policies.is_native and self._is_known_to_core:
            if self._native is None:
                self._native = _native_backend(self.environment)
            if self._native is not None:
                return self._native
            self._is_known_to_core = False
        if self._workers is None:
            self._workers = WorkerBackend(self.environment)
        return self._workers

    def close(self) -> None:
        """Give back processes, if there are any."""
        for backend in (self._native, self._workers):
            if backend is not None:
                backend.close()
        self._native = self._workers = None

    def __getstate__(self) -> dict[str, Environment]:
        return {"environment": self.environment}

    def __setstate__(self, state: dict[str, Environment]) -> None:
        Rollouts.__init__(self, state["environment"])


def _native_backend(environment: Environment) -> Backend | None:
    return ClassicBackend.make(environment) or MujocoBackend.make(environment)


def rollout(
    policies: Policies, environment: Environment, seeds: Sequence[int], n_threads: int = 1
) -> np.ndarray:
    """Return what each policy gets in the episode of each seed, (P, E)."""
    rollouts = Rollouts(environment)
    try:
        return rollouts(policies, seeds, n_threads)
    finally:
        rollouts.close()
