"""Vectorised structure functions against recursion over each row."""

import numpy as np

from dso.library import Library, create_tokens
from dso.program import ProgramBatch
from dso.program.traversal import is_complete, n_open, parents_and_siblings, subtree_ends
from tests.reference import random_programs

LIBRARY = Library(create_tokens(2, ["add", "mul", "sin", "exp"]))
ARITIES = LIBRARY.arities


def structure(row: np.ndarray) -> tuple[list[int], list[int], list[int]]:
    """Return parent, sibling and end of every position by recursion."""
    parents, siblings, ends = [-1] * len(row), [-1] * len(row), [0] * len(row)

    def visit(t: int) -> int:
        end, sibling = t + 1, -1
        for _ in range(ARITIES[row[t]]):
            parents[end], siblings[end] = t, sibling
            sibling, end = end, visit(end)
        ends[t] = end
        return end

    assert visit(0) == len(row)
    return parents, siblings, ends


def test_structure_of_random_rows() -> None:
    programs = random_programs(LIBRARY, 300, np.random.default_rng(0))
    arguments = (programs.tokens, programs.lengths, ARITIES)
    parents, siblings = parents_and_siblings(*arguments)
    ends, slots = subtree_ends(*arguments), n_open(*arguments)
    assert is_complete(*arguments).all()
    for b in range(len(programs)):
        row = programs.row(b)
        expected = structure(row)
        for got, wanted in zip((parents[b], siblings[b], ends[b]), expected, strict=True):
            assert got[: len(row)].tolist() == wanted
        assert (parents[b, len(row) :] == -1).all()
        assert slots[b, : len(row)].tolist() == (1 + np.cumsum(ARITIES[row] - 1)).tolist()


def test_incomplete_rows() -> None:
    rows = ["add,x1", "x1", "x1,x1", "sin,x1,add,x1", "add,x1,x2", "add,x1,x2,sin,x1"]
    batch = ProgramBatch.from_rows([LIBRARY.actionize(row) for row in rows])
    arguments = (batch.tokens, batch.lengths, ARITIES)
    assert is_complete(*arguments).tolist() == [False, True, False, False, True, False]
    unfinished = ProgramBatch.from_rows([LIBRARY.actionize("add,sin,x1,mul,x2")])
    parents, siblings = parents_and_siblings(unfinished.tokens, unfinished.lengths, ARITIES)
    assert parents.tolist() == [[-1, 0, 1, 0, 3]]
    assert siblings.tolist() == [[-1, -1, -1, 1, -1]]
    empty = ProgramBatch(np.full((1, 3), -1, np.int16), np.zeros(1, np.int32), np.empty((1, 0)))
    assert not is_complete(empty.tokens, empty.lengths, ARITIES).any()
