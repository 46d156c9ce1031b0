"""Advice: logits from elsewhere that a policy adds to its own and to those of the priors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from dso.native import _core

StepLogits = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From features (B, O) and open slots (B,) of the next position to logits (B, L); keeps the hidden
state of the rows between calls."""


class Advice(Protocol):
    """Prefers tokens, but forbids none; so only a policy heeds it.

    Attributes
    ----------
    observation : Observation
        What it sees of a program.
    """

    observation: _core.Observation

    def start(self) -> StepLogits:
        """Return what gives the logits of one position after the other."""

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return logits (B, T, L) of all positions from features (B, T, O)."""
