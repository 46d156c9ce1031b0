"""Keys of functions: equal for programs that have the same values on fixed points.

A key does not change when the function is shifted or scaled, when its inputs change places, and
when its constants do: points and constants are gone through in every order, and the least hash
counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from dso.pretraining.vocabulary import Vocabulary
from dso.program import ProgramBatch, execute

CONSTANTS = (1.8137, 0.6921, 2.4379, 1.1653)
"""What the constants of a program stand at: odd values, in every order."""

N_POINTS = 24
MIN_FINITE = 8
NO_KEY = np.uint64(0)
"""Where too few points have a finite value."""


@dataclass(frozen=True)
class Keys:
    """Two keys of each program.

    Attributes
    ----------
    positive : (B,) uint64
        From points with positive inputs; `NO_KEY` where the function is hardly defined there.
    whole : (B,) uint64
        From these and points of mixed signs; `NO_KEY` for constants, and where nothing is defined.
    """

    positive: np.ndarray
    whole: np.ndarray


class Identifier:
    """Computes keys.

    Parameters
    ----------
    vocabulary : Vocabulary
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        generator = np.random.Generator(np.random.Philox(key=20_210_601))
        shape = (vocabulary.n_inputs, N_POINTS)
        positive = generator.uniform(0.2, 2.9, shape)
        mixed = generator.uniform(-2.6, 2.6, shape)
        orders = list(permutations(range(vocabulary.n_inputs)))
        self._n_orders = len(orders)
        self._points = np.hstack(  # of every order of the inputs, one behind the other
            [points[list(order)] for points in (positive, mixed) for order in orders]
        )
        self._factors = generator.integers(1, 2**63, N_POINTS, dtype=np.uint64) | np.uint64(1)

    def keys(self, programs: ProgramBatch) -> Keys:
        """Return the keys of programs of the vocabulary; they may have constants, but no values."""
        constant = self.vocabulary.library.const_token
        counts = (programs.tokens == constant).sum(axis=1)
        positive = np.zeros(len(programs), dtype=np.uint64)
        whole = np.zeros(len(programs), dtype=np.uint64)
        for count in np.unique(counts).tolist():
            rows = np.flatnonzero(counts == count)
            positive[rows], whole[rows] = self._keys(programs[rows], count)
        return Keys(positive, whole)

    def _keys(self, programs: ProgramBatch, n_constants: int) -> tuple[np.ndarray, np.ndarray]:
        if n_constants > len(CONSTANTS):
            raise ValueError(f"{n_constants} constants; at most {len(CONSTANTS)} have a key")
        hashes = []
        for values in permutations(CONSTANTS[:n_constants]):
            constants = np.tile(np.array(values), (len(programs), 1))
            set_ = ProgramBatch(programs.tokens, programs.lengths, constants)
            found = execute(self.vocabulary.library, set_, self._points, protected=True).values
            blocks = found.reshape(len(programs), 2, self._n_orders, N_POINTS)
            hashes.append(self._hashes(blocks))
        every = np.concatenate(hashes, axis=2)  # (B, 2, orders)
        positive, mixed = every[:, 0], every[:, 1]
        whole = np.where((positive == NO_KEY) & (mixed == NO_KEY), NO_KEY, _mixed(positive, mixed))
        return _least(positive), _least(whole)

    def _hashes(self, values: np.ndarray) -> np.ndarray:
        """Return the hash of the standardised values (..., N_POINTS)."""
        with np.errstate(all="ignore"):
            is_finite = np.abs(values) < 1e100
            n_finite = is_finite.sum(axis=-1, keepdims=True)
            values = np.where(is_finite, values, 0.0)
            mean = values.sum(axis=-1, keepdims=True) / n_finite
            apart = np.where(is_finite, values - mean, 0.0)
            largest = np.take_along_axis(apart, np.abs(apart).argmax(axis=-1)[..., None], axis=-1)
            shape = np.where(is_finite, apart / largest, 7.0)
        varies = np.abs(largest) > 1e-9 * np.abs(mean) + 1e-300
        is_fine = (varies & (n_finite >= MIN_FINITE))[..., 0]
        # A value near 0 has few digits left; 2 ** -20 of the largest counts.
        digits = np.rint(np.nan_to_num(shape) * 2.0**20 + math.pi / 10).astype(np.int64)
        hashed = (digits.view(np.uint64) * self._factors).sum(axis=-1, dtype=np.uint64)
        hashed ^= hashed >> np.uint64(29)
        return np.where(is_fine, np.maximum(hashed, np.uint64(1)), NO_KEY)


def _least(keys: np.ndarray) -> np.ndarray:
    """Return the least key of each row (B, n), `NO_KEY` only if all are."""
    return np.where(keys == NO_KEY, ~NO_KEY, keys).min(axis=1) * (keys != NO_KEY).any(axis=1)


def _mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second
    return np.maximum(mixed ^ (mixed >> np.uint64(31)), np.uint64(1))
