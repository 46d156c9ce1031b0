"""The structure of a prefix row."""

from __future__ import annotations

import numpy as np


def child_positions(row: np.ndarray, arities: np.ndarray) -> list[list[int]]:
    """Return the positions of each token's children.

    Parameters
    ----------
    row : (T,) int
        A complete program.
    arities : (L,) int
    """
    children: list[list[int]] = [[] for _ in row]
    open_nodes: list[int] = []
    for t in range(len(row)):
        if open_nodes:
            children[open_nodes[-1]].append(t)
        open_nodes.append(t)
        while open_nodes and len(children[open_nodes[-1]]) == arities[row[open_nodes[-1]]]:
            open_nodes.pop()
    return children
