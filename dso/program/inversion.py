"""Programs solved for one of their nodes: which values there would make the whole equal y?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dso.library import Library, StateChecker
from dso.library.functions import solve
from dso.native import _core
from dso.program.execute import execute_columns, has_python_token
from dso.program.program_batch import ProgramBatch
from dso.program.traversal import child_positions


class Wanted(NamedTuple):
    """What a node ought to be.

    Attributes
    ----------
    values : (B, N) float64
        NaN in rows where no value would do, or where any would (a StateChecker takes the other
        branch).
    is_finite : (B,) bool
        Whether the program could be solved in every row.
    """

    values: np.ndarray
    is_finite: np.ndarray


def wanted_values(
    library: Library,
    programs: ProgramBatch,
    positions: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    n_threads: int = 1,
) -> Wanted:
    """Solve each program for the node at a position, from the root down.

    Of several solutions it is the principal one; see `Operator.inverse`. What stands at the node
    now, and below it, plays no part.

    Parameters
    ----------
    library : Library
    programs : ProgramBatch
    positions : (B,) int
        Of the node in each program, in prefix order.
    X : (D, N) float64
    y : (N,) float64
        What the program ought to give.
    n_threads : int
    """
    in_python = has_python_token(library, programs)
    values = np.full((len(programs), len(y)), np.nan)
    is_finite = np.zeros(len(programs), dtype=bool)
    values[~in_python], is_finite[~in_python] = _core.invert_programs(
        library.native,
        programs[~in_python].native,
        _core.Data(X, y),
        np.asarray(positions, dtype=np.int32)[~in_python],
        n_threads,
    )
    for b in np.flatnonzero(in_python).tolist():
        values[b] = _solved(library, programs[b : b + 1], int(positions[b]), X, y)
        is_finite[b] = np.isfinite(values[b]).all()
    return Wanted(values, is_finite)


def _solved(
    library: Library, program: ProgramBatch, position: int, X: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Solve one program on whole columns of numpy."""
    positions = child_positions(program.row(0), library.arities)
    node, wanted = 0, y
    while node != position:
        token, children = library.tokens[program.tokens[0, node]], positions[node]
        argument = max(i for i, child in enumerate(children) if child <= position)
        if isinstance(token, StateChecker):
            holds = X[token.state_index] < token.threshold
            wanted = np.where(holds == (argument == 0), wanted, np.nan)
        else:
            row = token.operator
            inverse = row.inverse[argument] if row is not None and row.inverse else None
            if inverse is None:
                return np.full(len(y), np.nan)
            given = {"y": wanted}
            for i, child in enumerate(children):
                if i != argument:
                    subtree = _from(library, program, child)
                    given["ab"[i]] = execute_columns(library, subtree, 0, X, True)[0]
            wanted = np.broadcast_to(solve(inverse, given), y.shape)
        node = children[argument]
    return wanted


def _from(library: Library, program: ProgramBatch, start: int) -> ProgramBatch:
    """Return a program's tokens from `start` on, the subtree there first, with its constants."""
    first = int((program.tokens[0, :start] == library.const_token).sum())
    lengths = program.lengths - np.int32(start)
    return ProgramBatch(program.tokens[:, start:], lengths, program.constants[:, first:])
