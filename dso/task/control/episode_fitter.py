"""Numbers for `const` if rewards come from episodes.

A number cannot be fitted by least squares here, and each trial costs whole episodes. So a few
draws play a few episodes, and the best of them play all:

    draws (D, K) -> the 2 best in the first 2 episodes -> the best in all of them

The rest is left to evolution: GP-meld changes numbers, and those of the result are refined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from dso.fitting.slots import start_points, widened, with_ones
from dso.library import Library
from dso.program import ProgramBatch

N_DRAWS, N_LEFT, N_HEATS = 6, 2, 2


class PlayingTask(Protocol):
    """What a fit asks of a task; see `ControlTask`."""

    library: Library

    def returns(self, programs: ProgramBatch, seeds: Sequence[int]) -> np.ndarray:
        """Return what each program gets in each episode, (B, E)."""

    @property
    def fitting_seeds(self) -> Sequence[int]:
        """Episodes that numbers are tried in."""


class EpisodeFitter:
    """Draws numbers and keeps those with which a program does best.

    What a program is given depends on its tokens and on the task alone.

    Parameters
    ----------
    task : PlayingTask
    """

    def __init__(self, task: PlayingTask) -> None:
        self.task = task

    def of(self, task: PlayingTask) -> EpisodeFitter:
        """Return a fitter for another task."""
        return EpisodeFitter(task)

    def fit(self, programs: ProgramBatch, first: np.ndarray | None = None) -> ProgramBatch:
        """Return programs with their constants; see `dso.task.Fitter`."""
        start = with_ones(self.task.library, programs)
        given = widened(programs.constants, start.constants.shape[1])
        is_free = np.isnan(given) & ~np.isnan(start.constants)
        rows = np.flatnonzero(is_free.any(axis=1))
        if len(rows) == 0:
            return start
        if first is not None:
            first = widened(first, start.constants.shape[1])
            known = np.where(is_free & ~np.isnan(first), first, start.constants)
            start = replace(start, constants=known)
        constants = start.constants.copy()
        constants[rows] = self._best(start[rows], is_free[rows])
        return replace(start, constants=constants)

    def _best(self, start: ProgramBatch, is_free: np.ndarray) -> np.ndarray:
        """Return the best drawn constants (n, K)."""
        draws = np.repeat(start.constants[:, None], N_DRAWS, axis=1)  # (n, D, K)
        for i, key in enumerate(start.keys().tolist()):
            free = is_free[i]
            first = start.constants[i, free]
            no_bound = np.full(len(first), np.inf)
            draws[i][:, free] = start_points(key, first, -no_bound, no_bound, N_DRAWS)
        seeds = self.task.fitting_seeds
        for n_left, episodes in ((N_LEFT, seeds[:N_HEATS]), (1, seeds)):
            means = self._means(start, draws, episodes)
            best = np.argsort(-means, axis=1, kind="stable")[:, :n_left]
            draws = np.take_along_axis(draws, best[:, :, None], axis=1)
        return draws[:, 0]

    def _means(self, start: ProgramBatch, draws: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Return the mean return (n, D) of each draw."""
        n, n_draws, n_slots = draws.shape
        rows = np.repeat(np.arange(n), n_draws)
        programs = replace(start[rows], constants=draws.reshape(n * n_draws, n_slots))
        return self.task.returns(programs, seeds).mean(axis=1).reshape(n, n_draws)
