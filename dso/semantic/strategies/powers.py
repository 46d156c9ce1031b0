"""Matches up to a power law: a context wants k x_1^p_1 ... x_D^p_D s^a t^b, for entries s and t.

Here a and b are 1, -1 or 0, and k and the p are any numbers. In logarithms such a law is linear,

    log|w| = log k + p_1 log|x_1| + ... + p_D log|x_D| + a log|s| + b log|t|

so that with Q orthogonal to 1 and to all log|x_d| on some rows, what the power law adds is gone:

    Q' log|w| = a Q' log|s| + b Q' log|t|

The vectors Q' log|s| are worked out once for all entries. They are matched with those of what
contexts want, and for pairs each with what is left of it, by bisection. So a power law in any
number of inputs is seen through for the price of a look-up. Its exponents follow by least squares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np

from dso.native import _core
from dso.program import ProgramBatch, execute
from dso.program.execute import VALID
from dso.semantic.budget import Budget
from dso.semantic.candidates import Start, fitted, inside
from dso.semantic.contexts import contexts_on_rows
from dso.semantic.problem import Problem
from dso.semantic.strategies.strategy import Strategy, Turn
from dso.semantic.target import Target
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens, Writer

N_SPARE_ROWS = 8
"""Rows beyond the unknowns of a power law, which tell matches from chance."""
MAX_INPUTS = 30
MAX_POWER_ENTRIES = 30_000
"""Entries that are compared, the cheapest: that is all of the first library."""
MAX_POWER_CONTEXTS = 2000
"""Contexts that are compared with single entries."""
MAX_PAIRED_CONTEXTS = 6
"""Contexts that pairs of entries are looked up for, y itself the first."""
MAX_MATCHES = 2000
"""That are written. Values of few digits agree by chance: by the hundred thousand in one table."""
MAX_LAWS = 100
"""That are fitted."""
TOLERANCE = 1e-9
"""Difference of logarithms that is rounding."""
MAX_ROUNDING = 1e-6
"""Distance of an exponent from a multiple of a half that it is taken for."""
MAX_EXPONENT = 12
"""More is not meant."""


@dataclass(frozen=True)
class Logarithms:
    """Rows of data on which power laws are lines.

    Attributes
    ----------
    X : (D, R) float64
    y : (R,) float64
    basis : (R, D + 1) float64
        1 and log|x_d|.
    outside : (R, E) float64
        Unit vectors orthogonal to all columns of the basis.
    """

    X: np.ndarray
    y: np.ndarray
    basis: np.ndarray
    outside: np.ndarray

    @staticmethod
    def of(data: Target, n_spare: int) -> Logarithms | None:
        """Choose rows without zeros, some more than unknowns; None if there are too few."""
        n_inputs = len(data.columns)
        rows = np.flatnonzero((data.columns != 0).all(axis=0) & (data.y != 0))
        n_rows = n_inputs + 1 + n_spare
        if len(rows) < n_rows:
            return None
        rows = rows[np.linspace(0, len(rows) - 1, n_rows).astype(int)]
        X, y = np.ascontiguousarray(data.columns[:, rows]), data.y[rows]
        basis = np.vstack([np.ones(n_rows), np.log(np.abs(X))]).T
        left, sizes, _ = np.linalg.svd(basis)
        rank = int((sizes > 1e-10 * sizes[0]).sum())
        return Logarithms(X, y, basis, left[:, rank:])

    def keys(self, values: np.ndarray) -> np.ndarray:
        """Return what of values (..., R) no power law changes, (..., E); NaN where one is zero."""
        with np.errstate(all="ignore"):
            logs = np.log(np.abs(values))
        has_key = np.isfinite(logs).all(axis=-1, keepdims=True)
        return np.where(has_key, logs, np.nan) @ self.outside

    def exponents(self, values: np.ndarray) -> np.ndarray:
        """Return log k, p_1, ..., p_D of values (R,) that are a power law."""
        return np.linalg.lstsq(self.basis, np.log(np.abs(values)), rcond=1e-10)[0]


@dataclass(frozen=True)
class PowerSearch(Strategy):
    """Looks for power laws times one or two entries."""

    turn: ClassVar[Turn] = Turn.FIRST

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        return problem.has_const and 0 < len(problem.data.columns) <= MAX_INPUTS

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        problem, rows = self.problem, Logarithms.of(self.problem.data, N_SPARE_ROWS)
        if rows is None:
            return ProgramBatch.from_rows([])
        n_entries = min(len(values), MAX_POWER_ENTRIES, budget.lookups_left // 4)
        entries = values.programs(np.arange(n_entries))
        columns, cause, _ = execute(problem.library, entries, rows.X, problem.data.protected)
        columns[cause != VALID] = np.nan
        contexts = contexts_on_rows(joins, values.forms, MAX_POWER_CONTEXTS, columns, rows.y)
        frames = ProgramBatch.from_arrays(*joins.contexts(contexts.numbers))
        keys, wanted = rows.keys(columns), rows.keys(contexts.values)
        tolerance = max(TOLERANCE, 4 * problem.data.tolerance)
        starts: list[Start] = []
        laws = found_laws(keys, wanted, tolerance, contexts.n_partners, budget)
        for c, factors in islice(laws, MAX_MATCHES):
            rest = contexts.values[c].copy()
            for entry, power in factors:
                rest = rest / columns[entry] ** power
            terms = [(Start(entries.row(entry).tolist(), []), power) for entry, power in factors]
            start = written(problem.writer, np.sign(rest[0]), rows.exponents(rest), terms)
            if start is not None:
                start = inside(frames.row(c).tolist(), start)
            if start is not None:
                starts.append(start)
            if len(starts) >= MAX_LAWS or budget.seconds_left <= 0:
                break
        return fitted(problem, starts, budget)


Factors = tuple[tuple[int, int], ...]
"""Entries with their powers, 1 or -1."""


def found_laws(
    keys: np.ndarray,
    wanted: np.ndarray,
    tolerance: float,
    n_partners: np.ndarray,
    budget: Budget,
) -> Iterator[tuple[int, Factors]]:
    """Yield contexts with the entries that they are a power law of, none first, pairs last.

    Parameters
    ----------
    keys : (n, E) float64
        Of entries; NaN where one has none.
    wanted : (C, E) float64
        Of contexts.
    tolerance : float
    n_partners : (C,) int
        Pairs are looked up only for contexts without any.
    budget : Budget
    """
    size = np.abs(keys).max(axis=1)
    numbers = np.flatnonzero(size > tolerance)  # others are power laws, or have no key
    signed = np.concatenate([keys[numbers], -keys[numbers]])
    names = [(int(i), power) for power in (1, -1) for i in numbers]
    budget.count(vectors=len(keys) + len(wanted), lookups=len(wanted))
    for c in np.flatnonzero(np.abs(wanted).max(axis=1) <= tolerance).tolist():
        yield c, ()
    for c, j in near(signed, wanted, tolerance):
        yield c, (names[j],)
    for c in np.flatnonzero(n_partners == 0)[:MAX_PAIRED_CONTEXTS].tolist():
        if budget.lookups_left < len(signed):
            return
        budget.count(lookups=len(signed))
        for i, j in near(signed, wanted[c] - signed, tolerance):
            if i < j:
                yield c, (names[i], names[j])


def near(keys: np.ndarray, queries: np.ndarray, tolerance: float) -> Iterator[tuple[int, int]]:
    """Yield which queries (Q, E) agree with which keys (n, E) in every coordinate, query first."""
    order = np.argsort(keys[:, 0], kind="stable")
    first = np.searchsorted(keys[order, 0], queries[:, 0] - tolerance)
    last = np.searchsorted(keys[order, 0], queries[:, 0] + tolerance)
    last[np.isnan(queries[:, 0])] = 0
    for q in np.flatnonzero(first < last):
        block = order[first[q] : last[q]]
        for j in block[np.abs(keys[block] - queries[q]).max(axis=1) <= tolerance]:
            yield int(q), int(j)


def written(
    writer: Writer, sign: float, exponents: np.ndarray, factors: Sequence[tuple[Start, int]]
) -> Start | None:
    """Write a power law times factors, its number in front; None where the tokens cannot say it.

    Parameters
    ----------
    writer : Writer
    sign : float
        Of the number.
    exponents : (D + 1,) float64
        The logarithm of the number, then a power of each input.
    factors : sequence of (Start, 1 or -1)
    """
    with np.errstate(over="ignore"):
        number = float(sign * np.exp(exponents[0]))
    if not np.isfinite(number) or number == 0 or np.abs(exponents[1:]).max() > MAX_EXPONENT:
        return None
    assert writer.const is not None
    above = [Start(writer.const, [number]), *(part for part, power in factors if power > 0)]
    below = [part for part, power in factors if power < 0]
    for d, p in enumerate(exponents[1:].tolist()):
        x: Tokens | None = [writer.input(d)]
        n_halves = round(2 * p)
        side, is_plain = (above if p > 0 else below), abs(p - n_halves / 2) <= MAX_ROUNDING
        root = writer.apply("sqrt", x) if is_plain and n_halves % 2 else x
        if is_plain and root is not None:
            side += [Start([writer.input(d)], [])] * (abs(n_halves) // 2)
            side += [Start(root, [])] * (n_halves % 2)
            continue
        x = writer.power(x, writer.const)
        if x is None:
            return None
        side.append(Start(x, [abs(p)]))
    whole = writer.product([part.tokens for part in above])
    if below:
        whole = writer.quotient(whole, writer.product([part.tokens for part in below]))
    constants = [number for part in (*above, *below) for number in part.constants]
    return None if whole is None else Start(whole, constants)


def monomial(X: np.ndarray, powers: Sequence[float]) -> np.ndarray:
    """Return a product of powers of the inputs X (D, R), (R,)."""
    with np.errstate(all="ignore"):
        return np.prod([x**p for x, p in zip(X, powers, strict=True)], axis=0)
