"""Scored batches, made up."""

import numpy as np

from dso.program.batch import ScoredBatch
from dso.program.program_batch import ProgramBatch


def scored_batch(rows, rewards, cause=None, operators=None, is_new=None, withdrawn=0):
    """Return a batch that the policy drew, of rows of tokens, all valid and new by default."""
    n = len(rows)
    nothing = np.full(n, -1, np.int32)
    new = np.ones(n, bool) if is_new is None else np.array(is_new, bool)
    return ScoredBatch(
        rows if isinstance(rows, ProgramBatch) else ProgramBatch.from_rows(rows),
        np.ones(n, bool),
        np.array(rewards, dtype=np.float64),
        np.zeros(n, np.uint8) if cause is None else np.array(cause, np.uint8),
        nothing,
        nothing.astype(np.int16) if operators is None else np.array(operators, np.int16),
        new,
        new,
        withdrawn=withdrawn,
    )
