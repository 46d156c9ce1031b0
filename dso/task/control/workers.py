"""Episodes of any environment: a plain loop, in worker processes where there are several cores.

Each episode has an environment of its own: what `reset` leaves of the episode before it, as
BipedalWalker's contacts are, would else make rewards depend on what was played before. Where
`reset` leaves nothing and a new environment costs a hundred steps, episodes share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.processes import serve_parent
from dso.task.control.backend import Backend, Episodes
from dso.task.control.composition import Policies
from dso.task.control.environment import Environment

MAX_STEPS = 1_000_000
"""An episode that gets this long will not end."""
JOBS_PER_WORKER = 8


def play_here(environment: Environment, policies: Policies, seeds: Sequence[int]) -> Episodes:
    """Play one episode after the other in this process."""
    returns = np.empty((len(policies), len(seeds)))
    steps = np.empty((len(policies), len(seeds)), dtype=np.int32)
    for p in range(len(policies)):
        act = policies.actor(p)
        for e, seed in enumerate(seeds):
            returns[p, e], steps[p, e] = _episode(environment, act, seed)
    return Episodes(returns, steps)


def _episode(
    environment: Environment, act: Callable[[np.ndarray], np.ndarray], seed: int
) -> tuple[float, int]:
    """Return the sum of rewards and the number of steps of one episode."""
    with _made(environment) as env:
        observation, _ = env.reset(seed=seed)
        total = 0.0
        for t in range(1, MAX_STEPS):
            action = environment.as_action(act(observation))
            observation, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            if terminated or truncated:
                return total, t
    raise UserError(
        f"task.env: an episode of {environment.recipe.id!r} has not ended after {MAX_STEPS} "
        "steps; register it with max_episode_steps."
    )


@contextmanager
def _made(environment: Environment) -> Iterator[Any]:
    """Give an environment in which nothing is left of earlier episodes once it is reset."""
    if environment.recipe.resets_wholly:
        yield environment.env
        return
    with closing(environment.recipe.make()) as env:
        yield env


class WorkerBackend(Backend):
    """Plays episodes of any environment.

    With several workers, processes that live as long as this object take jobs, one policy and some
    seeds each, from one queue.

    Parameters
    ----------
    environment : Environment
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._pool: Any = None
        self._n_processes = 0

    def play(self, policies: Policies, seeds: Sequence[int], n_threads: int = 1) -> Episodes:
        """See `Backend.play`."""
        if n_threads == 1 or len(policies) * len(seeds) == 1:
            return play_here(self.environment, policies, seeds)
        pool = self._processes(n_threads)
        jobs = _jobs(len(policies), len(seeds), n_threads)
        futures = [
            pool.submit(_play, policies[p : p + 1], [seeds[e] for e in episodes])
            for p, episodes in jobs
        ]
        returns = np.empty((len(policies), len(seeds)))
        steps = np.empty((len(policies), len(seeds)), dtype=np.int32)
        for (p, episodes), future in zip(jobs, futures, strict=True):
            played = future.result()
            returns[p, episodes], steps[p, episodes] = played.returns[0], played.steps[0]
        return Episodes(returns, steps)

    def _processes(self, n_processes: int) -> Any:
        if n_processes != self._n_processes:
            from joblib.externals.loky import ProcessPoolExecutor

            self.close()
            self._pool = ProcessPoolExecutor(
                n_processes, initializer=_start_worker, initargs=(self.environment,)
            )
            self._n_processes = n_processes
        return self._pool

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool, self._n_processes = None, 0


def _jobs(n_policies: int, n_episodes: int, n_workers: int) -> list[tuple[int, np.ndarray]]:
    """Cut the work into jobs, a policy and its episodes, enough of them to keep workers busy."""
    n_parts = min(n_episodes, max(1, JOBS_PER_WORKER * n_workers // n_policies))
    parts = np.array_split(np.arange(n_episodes), n_parts)
    return [(p, part) for p in range(n_policies) for part in parts]


_WORKER: dict[str, Environment] = {}
"""In a worker process, and only there: the environment that it steps."""


def _start_worker(environment: Environment) -> None:
    serve_parent()
    _WORKER["environment"] = environment


def _play(policies: Policies, seeds: Sequence[int]) -> Episodes:
    return play_here(_WORKER["environment"], policies, seeds)
