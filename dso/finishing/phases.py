"""Phases of periodic functions, as people write them: f(g + c) = f(g + c - k P) for a period P.

A fit may leave c many periods away from 0, where nobody can read it and digits are lost.
"""

from __future__ import annotations

import numpy as np

from dso.library import Library
from dso.program import ProgramBatch
from dso.program.traversal import child_positions

SUMS = ("add", "sub", "neg")


def with_small_phases(
    library: Library, programs: ProgramBatch, lower: np.ndarray, upper: np.ndarray
) -> ProgramBatch:
    """Return programs with each phase in [-P / 2, P / 2], where it is within its bounds there.

    Parameters
    ----------
    library : Library
    programs : ProgramBatch
        With constants (B, K).
    lower, upper : (B, K) float64
        Bounds of constants.
    """
    constants = programs.constants.copy()
    for b in range(len(programs)):
        for slot, period in phases(library, programs.row(b)):
            c = constants[b, slot]
            small = c - period * np.round(c / period)
            if lower[b, slot] <= small <= upper[b, slot]:
                constants[b, slot] = small
    return ProgramBatch(programs.tokens, programs.lengths, constants)


def phases(library: Library, row: np.ndarray) -> list[tuple[int, float]]:
    """Return slot and period of each constant that is a term of the argument of such a function."""
    children = child_positions(row, library.arities)
    slots = {t: slot for slot, t in enumerate(np.flatnonzero(row == library.const_token).tolist())}
    found: list[tuple[int, float]] = []
    for t, token in enumerate(row.tolist()):
        operator = library.tokens[token].operator
        if operator is None or not operator.period:
            continue
        terms = list(children[t])
        while terms:
            term = terms.pop()
            if term in slots:
                found.append((slots[term], operator.period))
            elif (below := library.tokens[row[term]].operator) is not None and below.name in SUMS:
                terms += children[term]
    return found
