"""Advice: logits from elsewhere that whoever draws programs adds to those of the priors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from dso.native import _core


class Advice(Protocol):
    """Prefers tokens, but forbids none; so only those who draw programs heed it.

    Attributes
    ----------
    observation : Observation
        What it sees of a program.
    """

    observation: _core.Observation

    def start(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return what gives logits (B, L) of one position after the other.

        It takes features (B, O) and open slots (B,), and keeps what it needs between calls.
        """

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return logits (B, T, L) of all positions from features (B, T, O)."""
