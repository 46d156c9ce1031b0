"""Candidates: combinations of entries in the hole of a context, written and fitted.

A candidate is known by its score and by the constants that it has where the error is measured in
the hole. It is written with and without an offset, with and without a factor, or with one factor
for two terms, since a smaller form may do as well. Then all constants of the whole are fitted to y
itself, which removes what was only true to first order; see `contexts` and the Levenberg-Marquardt
fit of `dso.fitting`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dso.native import _core
from dso.pacing import parts
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.problem import Problem
from dso.semantic.ranking import score
from dso.semantic.target import MAX_ROWS
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens, Writer, filled

MAX_FIRST_ROWS = 1000
"""Rows that all candidates are fitted to: enough to put them in order."""
SHARED = 0.9
"""Ratio of two factors that may be one."""
MAX_REFITTED = 60
"""Of the best of them, which are fitted to `MAX_ROWS`."""


@dataclass(frozen=True)
class Candidate:
    """A combination of entries in the hole of a context.

    Attributes
    ----------
    score : float
        The lower the better.
    context : int
    entries : tuple of int
    coefficients : tuple of float
        Offset, then one per entry.
    """

    score: float
    context: int
    entries: tuple[int, ...]
    coefficients: tuple[float, ...]


class Start(NamedTuple):
    """A program with constants that are yet to be fitted.

    Attributes
    ----------
    tokens : list of int
    constants : list of float
        Where the fit starts.
    """

    tokens: Tokens
    constants: list[float]


def inside(frame: Tokens, part: Start) -> Start | None:
    """Put a program into the hole of a context; None where there are several, as in a square that
    is spelled out: they would have each constant several times.
    """
    if frame.count(_core.HOLE) != 1:
        return None
    return Start(filled(frame, part.tokens), part.constants)


def written(
    problem: Problem,
    values: ValueLibrary,
    joins: _core.SemanticSearch,
    candidates: Sequence[Candidate],
) -> list[Start]:
    """Write candidates as programs, each with its variants, and none twice."""
    numbers = sorted({candidate.context for candidate in candidates})
    wholes = ProgramBatch.from_arrays(*joins.contexts(np.array(numbers, dtype=np.int64)))
    frames = {n: wholes.row(i).tolist() for i, n in enumerate(numbers)}
    used = sorted({entry for candidate in candidates for entry in candidate.entries})
    parts = values.programs(np.array(used, dtype=np.int64))
    entries = {entry: parts.row(i).tolist() for i, entry in enumerate(used)}
    starts: list[Start] = []
    seen: set[tuple[int, ...]] = set()
    for candidate in candidates:
        frame = frames[candidate.context]
        if frame.count(_core.HOLE) != 1:  # a square spelled out would have each constant twice
            continue
        terms = [entries[entry] for entry in candidate.entries]
        for part, constants in _variants(problem.writer, terms, candidate.coefficients):
            if part is None:
                continue
            whole = filled(frame, part)
            if tuple(whole) in seen or len(whole) > problem.prior.max_length:
                continue
            seen.add(tuple(whole))
            starts.append(Start(whole, constants))
    return starts


def _variants(
    writer: Writer, terms: Sequence[Tokens], coefficients: tuple[float, ...]
) -> Iterator[tuple[Tokens | None, list[float]]]:
    """Yield a + k s + ..., then a + s where there is one term, then k s + ...

    Where two terms have nearly the same factor, or its negative, they share one: k (s + u).
    """
    offset, *factors = coefficients
    scaled = [writer.scaled(term) for term in terms]
    yield writer.sum(writer.const, _total(writer, scaled)), [offset, *factors]
    if len(terms) == 1:
        yield writer.sum(writer.const, terms[0]), [offset]
    yield _total(writer, scaled), factors
    if len(terms) == 2 and abs(factors[0] * factors[1]) > SHARED * max(np.square(factors)):
        is_minus = factors[0] * factors[1] < 0
        shared = writer.scaled(writer.sum(terms[0], terms[1], is_minus))
        yield writer.sum(writer.const, shared), [offset, factors[0]]
        yield shared, factors[:1]


def _total(writer: Writer, terms: Sequence[Tokens | None]) -> Tokens | None:
    """Write the sum of terms."""
    *others, total = terms
    for term in reversed(others):
        total = writer.sum(term, total)
    return total


def fitted(problem: Problem, starts: Sequence[Start], budget: Budget) -> ProgramBatch:
    """Fit programs to y and return those wanted that the priors allow, the best first."""
    if not starts:
        return ProgramBatch.from_rows([])
    programs = ProgramBatch.from_rows(
        [start.tokens for start in starts], [start.constants for start in starts]
    )
    programs = problem.allowed(programs)
    if len(programs):
        programs = _fitted(problem, programs, MAX_FIRST_ROWS, budget)
        if len(problem.data.y) > MAX_FIRST_ROWS:
            programs = _fitted(problem, programs[:MAX_REFITTED], MAX_ROWS, budget)
    return programs[: problem.max_programs]


def _fitted(
    problem: Problem, programs: ProgramBatch, max_rows: int, budget: Budget
) -> ProgramBatch:
    """Return the programs that are valid, fitted to this many rows, the best first.

    Where time is over, these are the first of them.
    """
    X, y, weights = problem.data.thinned(max_rows)
    data = _core.Data(X, y, weights, problem.data.protected)
    fits: list[tuple[np.ndarray, np.ndarray]] = []
    for part in parts(len(programs), lambda: budget.seconds_left <= 0, first=8):
        fits.append(_core.fit_constants(problem.library.native, programs[part].native, data))
    constants, mse = (np.concatenate(column) for column in zip(*fits, strict=True))
    budget.count(vectors=len(mse))
    done = programs[: len(mse)]
    programs = ProgramBatch(done.tokens, done.lengths, constants)
    order = np.argsort(score(programs, mse, y), kind="stable")
    return programs[order[np.isfinite(mse[order])]]
