"""Priors that are called from Python: what they return is checked and added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Prior
from dso.program.program_batch import ProgramBatch


def is_python_prior(prior: Any) -> bool:
    """Tell whether a prior has a `__call__` of its own; it need not derive from `Prior`."""
    return type(prior).__call__ is not Prior.__call__


def plain_observation(library: Library) -> _core.Observation:
    """Return the observation that gives action, parent and sibling as plain indices."""
    return _core.Observation(
        action=0,
        parent=0,
        sibling=0,
        open_slots=True,
        parent_index=library.parent_adjust.tolist(),
        n_parents=library.n_parents,
    )


class PythonPriors:
    """The sum of several.

    Parameters
    ----------
    library : Library
    priors : sequence
        Objects that are called as `Prior.__call__` says.
    """

    def __init__(self, library: Library, priors: Sequence[Any]) -> None:
        self.library = library
        self.priors = list(priors)

    def __len__(self) -> int:
        return len(self.priors)

    def adjustments(
        self, actions: np.ndarray, parent: np.ndarray, sibling: np.ndarray, dangling: np.ndarray
    ) -> np.ndarray:
        """Return the sum for the next token of each row, (B, L) float64; see `Prior.__call__`."""
        total = np.zeros((len(actions), self.library.L))
        for prior in self.priors:
            if actions.shape[1] == 0:
                initial = getattr(prior, "initial_prior", None)
                if initial is not None:
                    found = self._checked(prior, initial(), (self.library.L,), "initial_prior")
                    total += found
            else:
                found = prior(actions, parent, sibling, dangling)
                total += self._checked(prior, found, total.shape, "__call__", dangling > 0)
        return total

    @staticmethod
    def _checked(
        prior: Any,
        found: Any,
        shape: tuple[int, ...],
        method: str,
        is_open: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return what was found; with `is_open` (B,), 0 in the rows that are finished."""
        values = np.asarray(found, dtype=np.float64)
        name = f"{type(prior).__name__}.{method}"
        if values.shape != shape:
            raise UserError(f"prior {name} returned shape {values.shape}; {shape} is needed.")
        if is_open is not None:
            values = np.where(is_open[:, None], values, 0.0)
        if np.isnan(values).any() or np.isposinf(values).any():
            raise UserError(f"prior {name} returned NaN or +inf; numbers and -inf are allowed.")
        return values

    def replay(self, programs: ProgramBatch, rules: _core.RuleSet) -> np.ndarray:
        """Return the adjustments at every position of given programs, (B, T, L).

        Parameters
        ----------
        programs : ProgramBatch
        rules : RuleSet
            Of the same library; only the traversal is taken from it.
        """
        observation = plain_observation(self.library)
        features, open_slots, _, _ = _core.replay64(rules, observation, programs.native)
        actions = np.maximum(programs.tokens, 0).astype(np.int32)
        dangling = open_slots.astype(np.int32)
        steps = [
            self.adjustments(actions[:, :t], features[:, t, 1], features[:, t, 2], dangling[:, t])
            for t in range(programs.tokens.shape[1])
        ]
        is_written = np.arange(programs.tokens.shape[1]) < programs.lengths[:, None]  # (B, T)
        return np.where(is_written[:, :, None], np.stack(steps, axis=1), 0.0)

    def rule_logits(self, programs: ProgramBatch, rules: _core.RuleSet) -> np.ndarray:
        """Return what compiled rules add at every position of given programs, (B, T, L)."""
        observation = plain_observation(self.library)
        return _core.replay64(rules, observation, programs.native)[2]

    def allowed(self, programs: ProgramBatch, rules: _core.RuleSet) -> np.ndarray:
        """Tell which programs none of them forbids anywhere, (B,) bool."""
        adjustments = self.replay(programs, rules)
        chosen = np.maximum(programs.tokens, 0).astype(np.intp)[:, :, None]
        forbidden = np.take_along_axis(adjustments, chosen, axis=2)[:, :, 0] == -np.inf
        return ~forbidden.any(axis=1)
