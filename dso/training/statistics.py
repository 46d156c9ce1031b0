"""TrainStats: the numbers of one iteration that go into the log."""

from __future__ import annotations

import numpy as np

from dso.program import CAUSES
from dso.program.batch import ScoredBatch

COLUMNS = (
    "r_best",
    "r_max",
    "r_avg_full",
    "r_avg_sub",
    "l_avg_full",
    "l_avg_sub",
    "ewma",
    "n_unique_full",
    "n_unique_sub",
    "n_novel_full",
    "n_novel_sub",
    "a_ent_full",
    "a_ent_sub",
    "invalid_avg_full",
    "invalid_avg_sub",
    "baseline",
    "time",
    "nevals",
    "n_withdrawn",
)
"""The log's columns: `full` is the whole batch, `sub` the rows kept by the risk filter; r rewards,
l lengths, a_ent the mean over positions of the entropy of the tokens there; `novel` programs were
never evaluated before; `ewma` is -1 where the baseline has no moving average; `time` is the seconds
of this iteration alone, `nevals` the samples of the run so far, `n_withdrawn` the draws given up at
a dead end."""

GP_COLUMNS = ("n_offspring", "n_offspring_novel", "n_refused")
"""Further columns with GP-meld: offspring scored in this iteration (`nevals` counts them too),
those of them never evaluated before, and tries at offspring that broke a prior."""

LOOKUP_COLUMN = "n_gp_lookups"
"""A further column with semantic mutation: values that it looked up in this iteration, with the
vectors of its library in the first one (`nevals` counts them too)."""

SEMANTIC_COLUMNS = ("n_semantic_vectors", "n_semantic_lookups")
"""Further columns with the search by values: candidates computed and looked up in this iteration
(`nevals` counts them too)."""

PRETRAINED_COLUMNS = ("n_candidates",)
"""A further column with the pre-trained network: programs that it proposed in this iteration
(`nevals` counts them with the skeletons that were fitted for them)."""

ALL_COLUMNS = (
    *COLUMNS,
    "n_rows",
    *GP_COLUMNS,
    LOOKUP_COLUMN,
    *SEMANTIC_COLUMNS,
    *PRETRAINED_COLUMNS,
)
"""In the order in which they stand; `n_rows` are those of data that the search sees, where it does
not see all."""


def position_entropies(tokens: np.ndarray, lengths: np.ndarray, n_tokens: int) -> np.ndarray:
    """Return the entropy (nats) of what stands at each position; PAD is a symbol too.

    Parameters
    ----------
    tokens : (B, T) int16
    lengths : (B,) int32
    n_tokens : int
        Size of the library.

    Returns
    -------
    (longest,) float64
        Up to the end of the longest program.
    """
    longest = int(lengths.max())
    n_symbols = n_tokens + 1
    symbols = tokens[:, :longest].astype(np.int32) + 1
    symbols += np.arange(longest, dtype=np.int32) * n_symbols
    counts = np.bincount(symbols.ravel(), minlength=longest * n_symbols)
    weights = counts * np.log(np.maximum(counts, 1))
    # sum over symbols of -p ln p at a position = ln B - sum of c ln c / B
    n_rows = len(tokens)
    return np.log(n_rows) - weights.reshape(longest, n_symbols).sum(axis=1) / n_rows


class TrainStats:
    """Compute the log's rows and count what made samples invalid.

    Parameters
    ----------
    names : sequence of str
        The library's token names.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = list(names)
        # (category, operator); the last column counts rows whose failing token is unknown.
        self.invalid_counts = np.zeros((len(CAUSES), len(names) + 1), dtype=np.int64)

    def row(self, batch: ScoredBatch, kept: np.ndarray) -> dict[str, float]:
        """Return the columns that depend on the batch alone.

        Parameters
        ----------
        batch : ScoredBatch
            All rows of the iteration.
        kept : (B,) bool
        """
        self._count_invalid(batch)
        rewards, lengths = batch.rewards, batch.programs.lengths
        keys = batch.programs.keys()
        tokens, n_tokens = batch.programs.tokens, len(self.names)
        is_invalid = batch.cause != 0
        return {
            "r_max": float(rewards.max()),
            "r_avg_full": float(rewards.mean()),
            "r_avg_sub": float(rewards[kept].mean()),
            "l_avg_full": float(lengths.mean()),
            "l_avg_sub": float(lengths[kept].mean()),
            "n_unique_full": len(np.unique(keys)),
            "n_unique_sub": len(np.unique(keys[kept])),
            "n_novel_full": int(np.count_nonzero(batch.is_new)),
            "n_novel_sub": int(np.count_nonzero(batch.is_new[kept])),
            "a_ent_full": float(position_entropies(tokens, lengths, n_tokens).mean()),
            "a_ent_sub": float(position_entropies(tokens[kept], lengths[kept], n_tokens).mean()),
            "invalid_avg_full": float(is_invalid.mean()),
            "invalid_avg_sub": float(is_invalid[kept].mean()),
            "n_withdrawn": batch.withdrawn,
        }

    def _count_invalid(self, batch: ScoredBatch) -> None:
        rows = np.flatnonzero(batch.cause)
        np.add.at(self.invalid_counts, (batch.cause[rows], batch.operators[rows]), 1)

    def invalid_summary(self) -> dict[str, int]:
        """Return how many samples were invalid, by operator and by category.

        Returns
        -------
        dict
            ``error_<operator>`` counts the samples whose first non-finite value that operator
            made, ``error_node_<category>`` those of a category (divide, overflow, invalid).
            Only names with a count appear. A sample counts every time it is drawn.
        """
        operators = self.invalid_counts.sum(axis=0)
        categories = self.invalid_counts.sum(axis=1)
        summary = {
            f"error_{name}": int(operators[i]) for i, name in enumerate(self.names) if operators[i]
        }
        for i, category in enumerate(CAUSES[1:], start=1):
            if categories[i]:
                summary[f"error_node_{category}"] = int(categories[i])
        return summary

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the counts."""
        return {"invalid_counts": self.invalid_counts.copy()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore the counts."""
        self.invalid_counts = state["invalid_counts"].copy()
