"""The probe set: a few rows of data; programs with equal values there count as the same.

The values v_1, v_2, ... of a program become one number,

    h <- (h xor v_i) FACTOR,    h <- h xor (h >> SHIFT)

in 64 bits. Multiplication by an odd number loses nothing and carries each bit upwards; the shift
brings the upper bits down again. With a million programs two that differ have the same number by
chance with a probability of 3e-8. Values are taken in single precision: other spellings of a
function differ in the last digits of double precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dso.library import Library, MultiDiscreteAction, Stop
from dso.program import ProgramBatch, execute, has_poly
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.task import Task

START = np.uint64(0x9E3779B97F4A7C15)
"""Of the hash: 2^64 over the golden ratio, whose bits have no pattern."""
FACTOR = np.uint64(0xBF58476D1CE4E5B9)
"""Odd, and known to mix well: it is one of those of SplitMix (Steele, Lea & Flood, 2014)."""
SHIFT = np.uint64(29)
"""Not quite half of the bits."""


class Probe:
    """Tells programs apart by their values.

    Parameters
    ----------
    library : Library
    X : (D, M) float64
    protected : bool
    """

    def __init__(self, library: Library, X: np.ndarray, protected: bool = False) -> None:
        self.library = library
        self.X = X
        self.protected = protected

    @staticmethod
    def of_task(task: Task, size: int) -> Probe:
        """Take `size` rows of the task's data, evenly spaced; random numbers where it has none."""
        library, data, protected = task.library, task.fit_data, task.protected
        if data is None:
            n_inputs = library.native.n_inputs
            X = Stream(0, "probe").generator().normal(size=(n_inputs, size))
            return Probe(library, X, protected)
        rows = np.unique(np.linspace(0, data.n_rows - 1, size).astype(np.intp))
        return Probe(library, np.ascontiguousarray(data.columns[:, rows]), protected)

    def values(self, programs: ProgramBatch) -> np.ndarray:
        """Return a number (B,) uint64 that programs of equal values have in common.

        Values are equal where they are so in single precision. A program that is invalid on the
        probe set is equal to itself alone, and so is one whose polynomial would have to be fitted,
        or that is a tree over the components of an action.
        """
        is_known = ~has_poly(self.library, programs) & ~self._sets_actions(programs)
        hashed = programs.keys()
        hashed[is_known] = self._values(programs[is_known])
        return hashed

    def _sets_actions(self, programs: ProgramBatch) -> np.ndarray:
        """Tell which programs (B,) are trees over whole actions, which have no value."""
        tokens = self.library.tokens
        acts = np.array([isinstance(token, MultiDiscreteAction | Stop) for token in tokens])
        return (acts[programs.tokens] & (programs.tokens >= 0)).any(axis=1)

    def _values(self, programs: ProgramBatch) -> np.ndarray:
        predictions, cause, _ = execute(self.library, programs, self.X, self.protected)
        with np.errstate(over="ignore"):
            bits = (predictions.astype(np.float32) + np.float32(0)).view(np.uint32)
            hashed = np.full(len(programs), START)
            for column in bits.T:
                hashed = (hashed ^ column) * FACTOR
                hashed ^= hashed >> SHIFT
        return np.where(cause == 0, hashed, programs.keys())


def tokens_only(programs: ProgramBatch) -> np.ndarray:
    """Return a number (B,) uint64 that programs of equal tokens have in common."""
    return programs.keys()
