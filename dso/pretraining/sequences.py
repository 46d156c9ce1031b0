"""What the decoder sees of programs: the previous token, and parent and sibling of the next."""

from __future__ import annotations

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch


def whole_observation(n_tokens: int) -> _core.Observation:
    """Return an observation of the token before, parent and sibling; `n_tokens` stands for none."""
    return _core.Observation(
        action=0,
        parent=0,
        sibling=0,
        open_slots=False,
        parent_index=list(range(n_tokens)),
        n_parents=n_tokens,
    )


class Sequences:
    """Computes the decoder's inputs for programs of a vocabulary.

    Parameters
    ----------
    arities : sequence of int
        Of the V tokens.
    """

    def __init__(self, arities: list[int]) -> None:
        self._rules = _core.RuleSet(arities)
        self._observation = whole_observation(len(arities))

    def __call__(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return (3, B, T) int64: the token before, parent, sibling of each position."""
        programs = ProgramBatch.from_arrays(np.ascontiguousarray(tokens, dtype=np.int16), lengths)
        features, *_ = _core.replay32(self._rules, self._observation, programs.native)
        return np.ascontiguousarray(np.moveaxis(features, 2, 0), dtype=np.int64)
