"""Frames: programs with a hole, built from y inwards one operator after the other.

They are what contexts are in native code, on any number of rows instead of four, with the
operators that may stand above a polynomial. A frame costs as many vectors as it has steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dso.library import OPERATORS, Library
from dso.library.operator import Inverse
from dso.prior.poly import NOT_ABOVE_POLY
from dso.program import ProgramBatch
from dso.semantic.forms import operator_tokens, solved
from dso.semantic.writing import Tokens

MAX_PARTNER_COST = 3
"""A longer partner costs no more: the shortest come first in any case."""


@dataclass(frozen=True)
class Frame:
    """A program with a hole.

    Attributes
    ----------
    before, after : list of int
        Tokens around the hole.
    cost : int
    values : (R,) float64
        Wanted in the hole.
    """

    before: Tokens
    after: Tokens
    cost: int
    values: np.ndarray


@dataclass(frozen=True)
class Step:
    """An operator around a hole.

    Attributes
    ----------
    before, after : list of int
        Tokens around the hole, those of the other argument among them.
    inverse : tuple
        See `Operator.inverse`.
    other : (R,) float64 or None
        Values of the other argument, if there is one.
    cost : int
    """

    before: Tokens
    after: Tokens
    inverse: Inverse
    other: np.ndarray | None
    cost: int

    def wanted(self, y: np.ndarray) -> np.ndarray:
        """Return the values wanted in the hole, given those of the whole, (..., R)."""
        return solved(self.inverse, y, self.other)

    def inside(self, frame: Frame) -> Frame:
        """Put the step into the hole of a frame."""
        return Frame(
            [*frame.before, *self.before],
            [*self.after, *frame.after],
            frame.cost + self.cost,
            self.wanted(frame.values),
        )


def unary_steps(library: Library) -> Iterator[Step]:
    """Yield the functions that can be inverted and may stand above a polynomial."""
    for name, token in operator_tokens(library).items():
        row = OPERATORS[name]
        inverse = row.inverse[0] if row.arity == 1 and row.inverse else None
        if inverse is not None and row.shown not in NOT_ABOVE_POLY:
            yield Step([token], [], inverse, None, 1)


def binary_steps(library: Library, partners: ProgramBatch, columns: np.ndarray) -> Iterator[Step]:
    """Yield steps, those of one operator and slot together, one for each partner.

    Parameters
    ----------
    library : Library
    partners : ProgramBatch
    columns : (p, R) float64
        Their values.
    """
    for name, token in operator_tokens(library).items():
        row = OPERATORS[name]
        for slot, inverse in enumerate(row.inverse if row.arity == 2 else ()):
            if inverse is None or (row.symmetry == "even" and slot == 1):
                continue
            for i, other in enumerate(columns):
                tokens = partners.row(i).tolist()
                before, after = ([token], tokens) if slot == 0 else ([token, *tokens], [])
                yield Step(before, after, inverse, other, 1 + min(len(tokens), MAX_PARTNER_COST))
