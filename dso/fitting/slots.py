"""Slots: constants as arrays (B, K), slot k for the k-th `const` of a program in prefix order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dso.library import Library
from dso.program import ProgramBatch

Bounds = Sequence[float | None] | Sequence[Sequence[float | None]] | None
"""See `FitOptions.bounds`."""


def constant_counts(library: Library, programs: ProgramBatch) -> np.ndarray:
    """Return how many constants each program has, (B,)."""
    if library.const_token is None:
        return np.zeros(len(programs), dtype=np.int64)
    return (programs.tokens == library.const_token).sum(axis=1)


def with_ones(library: Library, programs: ProgramBatch) -> ProgramBatch:
    """Return programs with (B, K) constants: those given, 1 for others, NaN in unused slots."""
    counts = constant_counts(library, programs)
    constants = np.full((len(programs), int(counts.max(initial=0))), np.nan)
    constants[np.arange(constants.shape[1]) < counts[:, None]] = 1.0
    given = programs.constants[:, : constants.shape[1]]
    known = ~np.isnan(given)
    constants[:, : given.shape[1]][known] = given[known]
    return replace(programs, constants=constants)


def widened(constants: np.ndarray, n_slots: int) -> np.ndarray:
    """Return constants (B, K) cut to or filled with NaN up to (B, n_slots)."""
    missing = max(0, n_slots - constants.shape[1])
    if missing == 0:
        return constants[:, :n_slots].copy()
    return np.pad(constants[:, :n_slots], ((0, 0), (0, missing)), constant_values=np.nan)


def bound_rows(bounds: Bounds, n_slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Return least and greatest values, each (n_slots,)."""
    low, high = np.full(n_slots, -np.inf), np.full(n_slots, np.inf)
    if not bounds:
        return low, high
    is_one_pair = not isinstance(bounds[0], list | tuple)
    pairs = [bounds] * n_slots if is_one_pair else bounds
    for k, (lowest, highest) in enumerate(pairs[:n_slots]):  # type: ignore[misc]
        low[k] = -np.inf if lowest is None else lowest
        high[k] = np.inf if highest is None else highest
    return low, high


def start_points(
    key: int, first: np.ndarray, low: np.ndarray, high: np.ndarray, n_starts: int
) -> list[np.ndarray]:
    """Return `n_starts` points within bounds: `first`, then random ones that belong to `key`."""
    random = np.random.Generator(np.random.Philox(key=key))
    points = [first]
    for _ in range(n_starts - 1):
        size = 10 ** random.uniform(-1, 1, len(first)) * random.choice([-1, 1], len(first))
        is_bounded = np.isfinite(low) & np.isfinite(high)
        inside = random.uniform(np.where(is_bounded, low, 0), np.where(is_bounded, high, 1))
        points.append(np.where(is_bounded, inside, np.clip(size, low, high)))
    return points
