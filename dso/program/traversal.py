"""The structure of prefix rows, for whole batches: (B, T) tokens padded behind each row's end."""

from __future__ import annotations

import numpy as np


def _arities_of(tokens: np.ndarray, lengths: np.ndarray, arities: np.ndarray) -> np.ndarray:
    """Arity at every position, (B, T); 1 on padding, which neither opens nor closes anything."""
    is_token = np.arange(tokens.shape[1]) < lengths[:, None]
    return np.where(is_token, arities[tokens], 1)


def n_open(tokens: np.ndarray, lengths: np.ndarray, arities: np.ndarray) -> np.ndarray:
    """Count the slots still open after each token.

    Parameters
    ----------
    tokens : (B, T) int
    lengths : (B,) int
    arities : (L,) int

    Returns
    -------
    (B, T) int
        Also called dangling; constant behind a row's end.
    """
    return 1 + np.cumsum(_arities_of(tokens, lengths, arities) - 1, axis=1)


def is_complete(tokens: np.ndarray, lengths: np.ndarray, arities: np.ndarray) -> np.ndarray:
    """Tell which rows are one whole expression, (B,) bool.

    A row that goes on behind the end of its expression is not.
    """
    slots = n_open(tokens, lengths, arities)
    closed_before = (np.arange(tokens.shape[1]) < lengths[:, None] - 1) & (slots <= 0)
    return (lengths > 0) & (slots[:, -1] == 0) & ~closed_before.any(axis=1)


def subtree_ends(tokens: np.ndarray, lengths: np.ndarray, arities: np.ndarray) -> np.ndarray:
    """Return one past the last position of the subtree that starts at each position.

    Returns
    -------
    (B, T) int
        0 on padding. Rows must be complete.
    """
    n_rows, width = tokens.shape
    ends = np.zeros((n_rows, width + 1), dtype=np.int64)
    rows = np.arange(n_rows)
    for t in range(width - 1, -1, -1):
        inside = t < lengths
        end = np.full(n_rows, t + 1)
        missing = np.where(inside, arities[tokens[:, t]], 0)
        for child in range(int(missing.max(initial=0))):
            end = np.where(child < missing, ends[rows, np.minimum(end, width)], end)
        ends[:, t] = np.where(inside, end, 0)
    return ends[:, :width]


def parents_and_siblings(
    tokens: np.ndarray, lengths: np.ndarray, arities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each token's parent and of the sibling completed just before it.

    Returns
    -------
    parents, siblings : (B, T) int
        -1 where there is none, and on padding. Rows may be unfinished.
    """
    n_rows, width = tokens.shape
    parents = np.full((n_rows, width), -1)
    siblings = np.full((n_rows, width), -1)
    # One stack per row: position, children still missing, child completed last.
    position = np.full((n_rows, width + 1), -1)
    missing = np.zeros((n_rows, width + 1), dtype=np.int64)
    last_child = np.full((n_rows, width + 1), -1)
    depth = np.zeros(n_rows, dtype=np.int64)  # 0 is the empty place above the root
    rows = np.arange(n_rows)
    for t in range(width):
        inside = t < lengths
        parents[:, t] = np.where(inside, position[rows, depth], -1)
        siblings[:, t] = np.where(inside, last_child[rows, depth], -1)
        arity = np.where(inside, arities[tokens[:, t]], 0)
        opens = rows[inside & (arity > 0)]
        depth[opens] += 1
        position[opens, depth[opens]] = t
        missing[opens, depth[opens]] = arity[opens]
        last_child[opens, depth[opens]] = -1
        closing, child = rows[inside & (arity == 0)], np.full(n_rows, t)
        while len(closing):
            closing = closing[depth[closing] > 0]
            last_child[closing, depth[closing]] = child[closing]
            missing[closing, depth[closing]] -= 1
            closing = closing[missing[closing, depth[closing]] == 0]
            child[closing] = position[closing, depth[closing]]
            depth[closing] -= 1
    return parents, siblings
