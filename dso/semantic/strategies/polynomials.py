"""Fitted polynomials: the values wanted in a hole are a sum of monomials.

Frames are made from y inwards: next to a partner in a sum or product, below a function, and once
more. The values h (R,) wanted in a hole are a polynomial where they lie in the span of the columns
of M, the P monomials on R = P + 16 rows. That is so if and only if

    V'h = 0

for the R - P columns of V, an orthonormal basis of all that is orthogonal to M. So a frame is not
fitted, which would take P^2 R operations, but asked whether h is orthogonal to a few vectors. V is
what projection on the span leaves of random vectors, so that each of its columns is a random
direction: not orthogonal to h, unless h is a polynomial. Two of them settle nearly all frames, at
the price of two dot products, however many monomials there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dso.fitting.polynomial_basis import PolynomialBasis
from dso.library import OPERATORS, Library
from dso.native import _core
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID
from dso.semantic.budget import Budget
from dso.semantic.forms import operator_tokens, solved
from dso.semantic.frames import Frame, Step, binary_steps, unary_steps
from dso.semantic.problem import Problem
from dso.semantic.ranking import ranked
from dso.semantic.strategies.strategy import Strategy, Turn
from dso.semantic.value_library import ValueLibrary
from dso.streams import Stream

MAX_FRAMES = 2_000_000
"""That are asked: some seconds."""
MAX_DEPTH = 2
"""Partners in a frame."""
MAX_FRAME_PARTNERS = 100
"""Expressions that may be one: inputs, functions of them, and the cheapest entries."""
MAX_SPANNED = 600
"""Monomials: polynomials of a lower degree are looked for where there are more."""
N_OUTSIDE = 16
"""Rows beyond the number of monomials; as many vectors are orthogonal to these."""
N_QUICK = 2
"""Of these vectors that are asked first."""
MAX_OUTSIDE = 1e-9
"""Part outside the span, relative to the whole, that is rounding; more where y has few digits."""
MAX_TRIED = 10
"""Frames of one parent that are fitted, the shortest."""


@dataclass(frozen=True)
class PolynomialSearch(Strategy):
    """Looks for programs whose `poly` is exact."""

    turn: ClassVar[Turn] = Turn.FIRST
    divides: ClassVar[bool] = True

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return problem.data.polynomials is not None

    @classmethod
    def reserve(cls, n_evaluations: int) -> int:
        return n_evaluations // 2

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        data, poly = self.problem.data, self.problem.library.poly_token
        assert poly is not None
        budget = budget.part(max_vectors=self.problem.part.share(MAX_FRAMES))
        for frames in _Frames(self.problem, values, budget).found():
            programs = ProgramBatch.from_rows([[*f.before, int(poly), *f.after] for f in frames])
            programs = self.problem.allowed(programs)
            programs = programs[np.argsort(programs.lengths, kind="stable")[:MAX_TRIED]]
            budget.count(vectors=len(programs))
            programs, _, is_exact = ranked(programs, data)
            if is_exact.any():
                return programs[is_exact]
        return ProgramBatch.from_rows([])


class _Frames:
    """The frames of a problem, those first that cost least.

    Parameters
    ----------
    problem : Problem
    values : ValueLibrary
        Its cheapest entries are partners.
    budget : Budget
        Each frame that is looked at counts as a vector.
    """

    def __init__(self, problem: Problem, values: ValueLibrary, budget: Budget) -> None:
        library, data, self.budget = problem.library, problem.data, budget
        self.part = problem.part
        assert data.polynomials is not None
        degrees = data.polynomials.exponents.sum(axis=1)
        degree = max(d for d in set(degrees.tolist()) if (degrees <= d).sum() <= MAX_SPANNED)
        X, self.y, _ = data.thinned(int((degrees <= degree).sum()) + N_OUTSIDE)
        self.outside = vectors_outside(X, degree)
        self.tolerance = max(MAX_OUTSIDE, 100 * data.tolerance)
        partners = _partners(library, values)
        table, cause, _ = execute(library, partners, X, data.protected)
        self.columns = table[cause == VALID]
        self.unary = list(unary_steps(library))
        self.binary = list(binary_steps(library, partners[cause == VALID], self.columns))

    def found(self) -> Iterator[list[Frame]]:
        """Yield frames that want a polynomial, those of one parent at a time."""
        if not self.outside.size:
            return
        whole = Frame([], [], 0, self.y)
        parents: Iterable[Frame] = [whole, *(step.inside(whole) for step in self.unary)]
        for depth in range(MAX_DEPTH):
            children: list[tuple[int, Frame, Step, Step | None]] = []
            for parent in parents:
                if self.budget.is_spent:
                    return
                found = [parent] if len(self._in_span(parent.values[None])) else []
                wanted = self._wanted(parent.values)
                for unary in (None, *self.unary):
                    values = wanted if unary is None else unary.wanted(wanted)
                    found += [_child(parent, self.binary[i], unary) for i in self._in_span(values)]
                    children += [
                        (_cost(parent, step, unary), parent, step, unary)
                        for step in self.binary
                        if depth + 1 < MAX_DEPTH
                    ]
                if found:
                    yield found
            children.sort(key=lambda child: child[0])
            # Most of them are never reached.
            mine = self.part.of(children)
            parents = (_child(parent, step, unary) for _, parent, step, unary in mine)

    def _in_span(self, values: np.ndarray) -> np.ndarray:
        """Return which rows (n,) of wanted values (n, R) are polynomials."""
        self.budget.count(vectors=len(values))
        limit = self.tolerance * np.sqrt(np.einsum("ij,ij->i", values, values))
        is_found = (limit > 0) & np.isfinite(limit)
        for vector in self.outside.T[:N_QUICK].copy():
            # einsum, since starting threads would take longer. Comparisons with NaN are false.
            is_found &= np.abs(np.einsum("ij,j->i", values, vector)) <= limit
        found = np.flatnonzero(is_found)
        rest = np.abs(values[found] @ self.outside).max(axis=1, initial=0)
        return found[rest <= limit[found]]

    def _wanted(self, y: np.ndarray) -> np.ndarray:
        """Return what each binary step wants in its hole, (S, R)."""
        kinds = [self.binary[i].inverse for i in range(0, len(self.binary), len(self.columns))]
        parts = [solved(inverse, y, self.columns) for inverse in kinds]
        return np.concatenate(parts) if parts else np.empty((0, len(y)))


def vectors_outside(X: np.ndarray, degree: int) -> np.ndarray:
    """Return unit vectors (R, k) orthogonal to all monomials on rows X (D, R); k = 0 for none."""
    inside = PolynomialBasis(X, None, degree).arrays[0]
    n_rows, rank = inside.shape
    vectors = Stream(0, "outside").generator().normal(size=(n_rows, min(N_OUTSIDE, n_rows - rank)))
    for _ in range(2):  # the second time takes away the rounding of the first
        vectors -= inside @ (inside.T @ vectors)
    return np.linalg.qr(vectors)[0] if vectors.size else vectors


def _partners(library: Library, values: ValueLibrary) -> ProgramBatch:
    """Return inputs, functions of inputs, and the cheapest entries, each once."""
    inputs = [[int(token)] for token in library.input_tokens]
    has = operator_tokens(library)
    functions = [token for name, token in has.items() if OPERATORS[name].arity == 1]
    rows = [*inputs, *([token, *x] for x in inputs for token in functions)]
    entries = values.programs(np.arange(min(MAX_FRAME_PARTNERS, len(values))))
    both = ProgramBatch.concatenate([ProgramBatch.from_rows(rows), entries])
    first = np.sort(np.unique(both.keys(), return_index=True)[1])
    return both[first[:MAX_FRAME_PARTNERS]]


def _child(parent: Frame, step: Step, unary: Step | None) -> Frame:
    frame = step.inside(parent)
    return frame if unary is None else unary.inside(frame)


def _cost(parent: Frame, step: Step, unary: Step | None) -> int:
    return parent.cost + step.cost + (0 if unary is None else unary.cost)
