"""Fitted polynomials: where what must stand in a hole is a sum of monomials.

Frames, programs with a hole, are made from y inwards: beside a partner in a sum or product, below a
function, and once more. Whether the values wanted in the hole lie in the span of the monomials is
told by a few vectors orthogonal to it. Most frames cost two dot products, however many monomials
there are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dso.fitting.polynomial_basis import PolynomialBasis
from dso.library import OPERATORS, Library
from dso.library.functions import Inverse, solve
from dso.prior import JointPrior
from dso.prior.poly import NOT_ABOVE_POLY
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID
from dso.semantic.forms import operator_tokens
from dso.semantic.ranking import Target, ranked
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens
from dso.streams import Stream

N_PARTNERS = 100
"""Expressions that may stand beside the hole."""
MOST_PARTNER_COST = 3
MOST_DEPTH = 2
"""Of partners."""
MOST_FRAMES = 2_000_000
MOST_MONOMIALS = 600
"""Polynomials of a lower degree are looked for where there are more."""
SPARE_ROWS = 16
"""Beyond the number of monomials; as many vectors are orthogonal to them."""
N_QUICK = 2
"""Of these vectors that are asked first."""
TOLERANCE = 1e-9
"""Of the part outside the span, relative to the whole; more where values have few digits."""
MOST_FITTED = 10
"""Frames of one parent that are fitted, the shortest."""


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
        return solve(self.inverse, {"y": y} | _either(self.other))

    def inside(self, frame: Frame) -> Frame:
        """Put the step into the hole of a frame."""
        return Frame(
            [*frame.before, *self.before],
            [*self.after, *frame.after],
            frame.cost + self.cost,
            self.wanted(frame.values),
        )


class PolynomialSearch:
    """Looks for programs whose `poly` is exact.

    Parameters
    ----------
    library : Library
        With `poly`.
    prior : JointPrior
    values : ValueLibrary
        Its cheapest entries are partners, after inputs and functions of them.
    data : Target
        With `polynomials`.
    max_evaluations : int
        Frames that are looked at.
    seconds : float
        After which no further one is.

    Attributes
    ----------
    n_evaluations : int
        Frames that were looked at, and programs fitted.
    """

    def __init__(
        self,
        library: Library,
        prior: JointPrior,
        values: ValueLibrary,
        data: Target,
        *,
        max_evaluations: int,
        seconds: float,
    ) -> None:
        assert data.polynomials is not None
        self.library, self.prior, self.data = library, prior, data
        self.max_evaluations = min(max_evaluations, MOST_FRAMES)
        self.deadline = time.perf_counter() + seconds
        self.n_evaluations = 0
        self.tolerance = max(TOLERANCE, 100 * data.tolerance)
        degrees = data.polynomials.exponents.sum(axis=1)
        degree = max(d for d in set(degrees.tolist()) if (degrees <= d).sum() <= MOST_MONOMIALS)
        self.X, self.y, _ = data.thinned(int((degrees <= degree).sum()) + SPARE_ROWS)
        self.outside = vectors_outside(self.X, degree)
        self.has = operator_tokens(library)
        self.unary = list(self._unary_steps())
        partners = self._partners(values)
        table, cause, _ = execute(library, partners, self.X, data.protected)
        is_valid = cause == VALID
        self.partners, self.columns = partners[is_valid], table[is_valid]
        self.binary = list(self._binary_steps())

    def run(self) -> ProgramBatch:
        """Return programs that are exact; none where there is none within the limits."""
        assert self.library.poly_token is not None
        poly = int(self.library.poly_token)
        for frames in self._found() if self.outside.size else ():
            programs = ProgramBatch.from_rows([[*f.before, poly, *f.after] for f in frames])
            programs = programs[self.prior.allowed(programs)]
            programs = programs[np.argsort(programs.lengths, kind="stable")[:MOST_FITTED]]
            self.n_evaluations += len(programs)
            programs, _, is_exact = ranked(self.library, programs, self.data)
            if is_exact.any():
                return programs[is_exact]
        return ProgramBatch.from_rows([])

    def _found(self) -> Iterator[list[Frame]]:
        """Yield frames that want a polynomial, those of one parent at a time."""
        whole = Frame([], [], 0, self.y)
        parents: Iterable[Frame] = [whole, *(step.inside(whole) for step in self.unary)]
        for depth in range(MOST_DEPTH):
            children: list[tuple[int, Frame, Step, Step | None]] = []
            for parent in parents:
                if self.n_evaluations > self.max_evaluations or time.perf_counter() > self.deadline:
                    return
                found = [parent] if len(self._in_span(parent.values[None])) else []
                wanted = self._wanted(parent.values)
                for unary in (None, *self.unary):
                    values = wanted if unary is None else unary.wanted(wanted)
                    found += [_child(parent, self.binary[i], unary) for i in self._in_span(values)]
                    children += [
                        (_cost(parent, step, unary), parent, step, unary)
                        for step in self.binary
                        if depth + 1 < MOST_DEPTH
                    ]
                if found:
                    yield found
            children.sort(key=lambda child: child[0])
            # Most of them are never reached.
            parents = (_child(parent, step, unary) for _, parent, step, unary in children)

    def _in_span(self, values: np.ndarray) -> np.ndarray:
        """Return which rows (n,) of wanted values (n, R) are polynomials."""
        self.n_evaluations += len(values)
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
        parts = [solve(inverse, {"y": y} | _either(self.columns)) for inverse in kinds]
        return np.concatenate(parts) if parts else np.empty((0, len(y)))

    # ---- operators and partners ----------------------------------------------------------------

    def _unary_steps(self) -> Iterator[Step]:
        for name, token in self.has.items():
            row = OPERATORS[name]
            inverse = row.inverse[0] if row.arity == 1 and row.inverse else None
            if inverse is not None and row.shown not in NOT_ABOVE_POLY:
                yield Step([token], [], inverse, None, 1)

    def _binary_steps(self) -> Iterator[Step]:
        """Yield steps, those of one operator and slot together, one for each partner."""
        for name, token in self.has.items():
            row = OPERATORS[name]
            for slot, inverse in enumerate(row.inverse if row.arity == 2 else ()):
                if inverse is None or (row.symmetry == "even" and slot == 1):
                    continue
                for i, other in enumerate(self.columns):
                    tokens = self.partners.row(i).tolist()
                    before, after = ([token], tokens) if slot == 0 else ([token, *tokens], [])
                    cost = min(len(tokens), MOST_PARTNER_COST)
                    yield Step(before, after, inverse, other, 1 + cost)

    def _partners(self, values: ValueLibrary) -> ProgramBatch:
        """Return inputs, functions of inputs, and the cheapest entries, each once."""
        inputs = [[int(token)] for token in self.library.input_tokens]
        functions = [token for name, token in self.has.items() if OPERATORS[name].arity == 1]
        rows = [*inputs, *([token, *x] for x in inputs for token in functions)]
        few = ProgramBatch.from_rows(rows)
        entries = values.programs(np.arange(min(N_PARTNERS, len(values))))
        both = ProgramBatch.concatenate([few, entries])
        first = np.sort(np.unique(both.keys(), return_index=True)[1])
        return both[first[:N_PARTNERS]]


def vectors_outside(X: np.ndarray, degree: int) -> np.ndarray:
    """Return unit vectors (R, k) orthogonal to all monomials on rows X (D, R); k = 0 for none."""
    inside = PolynomialBasis(X, None, degree).arrays[0]
    n_rows, rank = inside.shape
    vectors = Stream(0, "outside").generator().normal(size=(n_rows, min(SPARE_ROWS, n_rows - rank)))
    for _ in range(2):  # the second time takes away the rounding of the first
        vectors -= inside @ (inside.T @ vectors)
    return np.linalg.qr(vectors)[0] if vectors.size else vectors


def _child(parent: Frame, step: Step, unary: Step | None) -> Frame:
    frame = step.inside(parent)
    return frame if unary is None else unary.inside(frame)


def _cost(parent: Frame, step: Step, unary: Step | None) -> int:
    return parent.cost + step.cost + (0 if unary is None else unary.cost)


def _either(other: np.ndarray | None) -> dict[str, np.ndarray]:
    """Name the other argument as inverses do, whichever it is."""
    return {} if other is None else {"a": other, "b": other}
