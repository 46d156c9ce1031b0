"""The structure of rows against recursion."""

import numpy as np

from dso.library import Library, create_tokens
from dso.program.traversal import child_positions
from tests.reference import random_programs

LIBRARY = Library(create_tokens(2, ["add", "mul", "sin", "exp"], decision_tree_threshold_set=[0.5]))
ARITIES = LIBRARY.arities


def structure(row: np.ndarray) -> list[list[int]]:
    """Return the children of every position by recursion."""
    children: list[list[int]] = [[] for _ in row]

    def visit(t: int) -> int:
        end = t + 1
        for _ in range(ARITIES[row[t]]):
            children[t].append(end)
            end = visit(end)
        return end

    assert visit(0) == len(row)
    return children


def test_children_of_random_rows() -> None:
    programs = random_programs(LIBRARY, 300, np.random.default_rng(0))
    for b in range(len(programs)):
        row = programs.row(b)
        assert child_positions(row, ARITIES) == structure(row)
