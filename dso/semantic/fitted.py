"""Programs with fitted constants: what a context wants is linear in one, two or three entries.

A context says what must stand in its hole. Where that is ``a + k s`` for an entry s, or
``a + k s + l t``, regression finds it whatever the constants are; with noise, the best pairs and
triples are a front of candidates. All of them are fitted to y itself at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isqrt

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.prior import JointPrior
from dso.program import ProgramBatch
from dso.semantic.contexts import MOST_ROWS, Contexts, cheapest_on_rows, contexts_on_rows
from dso.semantic.ranking import COST_WEIGHT, Target, information, ranked, score
from dso.semantic.value_library import ValueLibrary
from dso.semantic.writing import Tokens, Writer

N_ENTRIES = 1500
"""Entries of pairs and triples in y and its transforms."""
N_BEST_PAIRS = 300
"""Pairs that a third entry is tried with."""
N_TRANSFORMS = 8
"""Of y, itself among them, that pairs and triples of all those are sought in."""
N_CONTEXTS = 500
N_CONTEXT_ENTRIES = 120
"""Entries of pairs in contexts with an entry beside the hole."""
N_SKELETONS, N_PAIRED = 400, 40
"""Entries that are given a factor inside a function, alone and beside a second entry."""
N_KEPT = 25
"""Candidates of each kind and context that are fitted."""
N_FITTED = 1500
"""Candidates that are fitted at most, the most promising first."""
MOST_FITTED_ROWS = 1000
"""Rows that all candidates are fitted to; the best are fitted to more."""
EVALUATIONS_PER_FIT = 100
"""Combinations that must be allowed for one of them to be fitted."""
N_REFITTED, MOST_REFITTED_ROWS = 60, 20_000
COLLINEAR = 1e-9
N_AFFINE = 400
"""Exact matches up to scale and offset that are fitted at most."""


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


@dataclass(frozen=True)
class FittedPrograms:
    """Programs with constants, their errors and what finding them took.

    Attributes
    ----------
    programs : ProgramBatch
        Best score first.
    n_evaluations : int
        Combinations that were scored, and programs fitted.
    """

    programs: ProgramBatch
    n_evaluations: int


class FittedSearch:
    """Looks for programs with constants that the priors allow.

    Parameters
    ----------
    library : Library
        With `const`.
    prior : JointPrior
    values : ValueLibrary
    search : _core.SemanticSearch
        Over the same values; its contexts are used.
    data : Target
    writer : Writer
    max_evaluations : int
        Combinations that are scored at most, or little more.
    seconds : float
        After which no further context is looked at.
    """

    def __init__(
        self,
        library: Library,
        prior: JointPrior,
        values: ValueLibrary,
        search: _core.SemanticSearch,
        data: Target,
        writer: Writer,
        *,
        max_evaluations: int,
        seconds: float,
    ) -> None:
        self.library, self.prior, self.values, self.search = library, prior, values, search
        self.data, self.writer = data, writer
        assert library.const_token is not None
        self.const = [int(library.const_token)]
        self.deadline = time.perf_counter() + seconds
        self.max_evaluations = max_evaluations
        self.n_evaluations = 0
        self.X, self.y, self.weights = data.thinned(MOST_ROWS)

    def run(self, with_regression: bool = True) -> FittedPrograms:
        """Return what was found, the best first.

        Parameters
        ----------
        with_regression : bool
            Whether to look beyond matches up to scale and offset.
        """
        exact = self._fit(list(self._affine()))
        if not with_regression or (len(exact.programs) and self._is_exact(exact.programs[:1])):
            return exact
        # So many that their pairs in all transforms of y are about half of what is allowed.
        n_entries = min(N_ENTRIES, isqrt(self.max_evaluations // N_TRANSFORMS), len(self.values))
        entries, columns = cheapest_on_rows(
            self.library, self.values, n_entries, self.X, self.data.protected
        )
        costs = self.values.costs[:n_entries]
        contexts = contexts_on_rows(self.search, self.values.forms, N_CONTEXTS, columns, self.y)
        usable = np.isfinite(columns).all(axis=1) & (np.ptp(columns, axis=1) > 0)
        candidates = self._linear(contexts, np.flatnonzero(usable), columns, costs)
        candidates.sort(key=lambda candidate: candidate.score)
        n_fitted = self.max_evaluations // EVALUATIONS_PER_FIT
        rows, starts = self._written(candidates[: min(N_FITTED, n_fitted)])
        for row, start in islice(self._with_inner(entries, usable, columns), n_fitted):
            rows.append(row)
            starts.append(start)
        return self._fit_rows(rows, starts)

    def _with_inner(
        self, entries: ProgramBatch, usable: np.ndarray, columns: np.ndarray
    ) -> Iterator[tuple[Tokens, list[float]]]:
        """Yield a + k s and k s + l t for cheap entries, where an argument in s has a factor."""
        const = self.const
        numbers = np.flatnonzero(usable)
        for number in numbers[:N_SKELETONS]:
            column = columns[number] - columns[number].mean()
            k = column @ self.y / (column @ column)
            a = (self.y - k * columns[number]).mean()
            for inner, factor in self._inner(entries.row(number).tolist()):
                whole = self.writer.sum(const, self.writer.apply("mul", const, inner))
                if whole is not None:
                    yield whole, [a, k, factor]
        few = numbers[:N_PAIRED]
        for number in few:
            for inner, factor in self._inner(entries.row(number).tolist()):
                for other in few:
                    table = columns[[number, other]].T
                    k, m = np.linalg.lstsq(table, self.y, rcond=None)[0]
                    whole = self.writer.sum(
                        self.writer.apply("mul", const, inner),
                        self.writer.apply("mul", const, entries.row(other).tolist()),
                    )
                    if other != number and whole is not None:
                        yield whole, [k, factor, m]

    def _inner(self, row: Tokens) -> Iterator[tuple[Tokens, float]]:
        """Yield a program with a factor in the argument of one of its functions, and a start."""
        const = self.const
        for t, token in enumerate(row):
            if self.library.arities[token] != 1:
                continue
            end = end_of(self.library, row, t + 1)
            inner = self.writer.apply("mul", const, row[t + 1 : end])
            if inner is not None:
                for factor in (1.0, -1.0):
                    yield [*row[: t + 1], *inner, *row[end:]], factor

    def _is_exact(self, programs: ProgramBatch) -> bool:
        return bool(ranked(self.library, programs, self.data)[2].all())

    # ---- exact up to scale and offset ----------------------------------------------------------

    def _affine(self) -> Iterator[Candidate]:
        """Yield contexts and entries whose values agree on the key rows up to scale and offset."""
        entries, wanted = self.values.values, self.search.context_values
        self.n_evaluations += len(wanted)
        keys, queries = affine_keys(entries), affine_keys(wanted)
        order = np.argsort(keys[:, 0], kind="stable")
        keys = keys[order]
        margin = 1e-8 * np.maximum(np.abs(queries[:, 0]), 1)
        first = np.searchsorted(keys[:, 0], queries[:, 0] - margin)
        last = np.searchsorted(keys[:, 0], queries[:, 0] + margin)
        n_found = 0
        for i in np.flatnonzero(first < last):
            block = slice(first[i], last[i])
            limit = 1e-7 * max(abs(queries[i, 1]), 1)
            for j in order[block][np.abs(keys[block, 1] - queries[i, 1]) <= limit]:
                k = (wanted[i, 1] - wanted[i, 0]) / (entries[j, 1] - entries[j, 0])
                yield Candidate(-np.inf, int(i), (int(j),), (wanted[i, 0] - k * entries[j, 0], k))
                n_found += 1
            if n_found >= N_AFFINE:
                return

    # ---- regression ----------------------------------------------------------------------------

    def _linear(
        self, contexts: Contexts, usable: np.ndarray, columns: np.ndarray, costs: np.ndarray
    ) -> list[Candidate]:
        found: list[Candidate] = []
        plain = np.flatnonzero(contexts.n_partners == 0)[:N_TRANSFORMS]
        with_partner = np.flatnonzero(contexts.n_partners > 0)
        few = usable[:N_CONTEXT_ENTRIES]
        shared = Regression(columns[few], costs[few], self.weights)
        for i in (*plain, *with_partner):
            if self.n_evaluations > self.max_evaluations or time.perf_counter() > self.deadline:
                break
            is_plain = contexts.n_partners[i] == 0
            numbers = usable if is_plain else few
            with np.errstate(all="ignore"):
                regression = (
                    Regression(columns[numbers], costs[numbers], contexts.weights[i] * self.weights)
                    if is_plain
                    else shared
                )
                kept = N_KEPT if is_plain else 3
                n_before = regression.n_scored
                sets = regression.best(contexts.values[i], kept, with_triples=is_plain)
            self.n_evaluations += regression.n_scored - n_before
            extra = COST_WEIGHT * 2 * contexts.n_partners[i]
            for value, chosen, coefficients in sets:
                found.append(
                    Candidate(
                        value + extra,
                        int(contexts.numbers[i]),
                        tuple(int(numbers[j]) for j in chosen),
                        coefficients,
                    )
                )
        return found

    # ---- programs ------------------------------------------------------------------------------

    def _fit(self, candidates: Sequence[Candidate]) -> FittedPrograms:
        return self._fit_rows(*self._written(candidates))

    def _fit_rows(
        self, rows: Sequence[Tokens], starts: Sequence[Sequence[float]]
    ) -> FittedPrograms:
        if not rows:
            return FittedPrograms(ProgramBatch.from_rows([]), self.n_evaluations)
        batch = ProgramBatch.from_rows(rows)
        constants = np.full((len(rows), max(map(len, starts))), np.nan)
        for b, start in enumerate(starts):
            constants[b, : len(start)] = start
        allowed = self.prior.allowed(batch)
        batch, constants = batch[allowed], constants[allowed]
        if not len(batch):
            return FittedPrograms(batch, self.n_evaluations)
        programs = self._refitted(
            ProgramBatch(batch.tokens, batch.lengths, constants), MOST_FITTED_ROWS
        )
        if len(self.data.y) > MOST_FITTED_ROWS:
            programs = self._refitted(programs[:N_REFITTED], MOST_REFITTED_ROWS)
        return FittedPrograms(programs, self.n_evaluations)

    def _refitted(self, programs: ProgramBatch, most_rows: int) -> ProgramBatch:
        """Return the programs that are valid, fitted to so many rows, the best first."""
        X, y, weights = self.data.thinned(most_rows)
        fitted, mse = _core.fit_constants(
            self.library.native, programs.tokens, programs.lengths, programs.constants, X, y,
            weights, protected=self.data.protected,
        )  # fmt: skip
        self.n_evaluations += len(programs)
        programs = ProgramBatch(programs.tokens, programs.lengths, fitted)
        order = np.argsort(score(programs, mse, y), kind="stable")
        return programs[order[np.isfinite(mse[order])]]

    def _written(self, candidates: Sequence[Candidate]) -> tuple[list[Tokens], list[list[float]]]:
        """Write candidates as tokens with the constants to start from, each with variants."""
        numbers = sorted({c.context for c in candidates})
        tokens, lengths = self.search.contexts(np.array(numbers, dtype=np.int64))
        frames = {n: tokens[i, : lengths[i]].tolist() for i, n in enumerate(numbers)}
        used = sorted({e for c in candidates for e in c.entries})
        parts = self.values.programs(np.array(used, dtype=np.int64))
        entries = {e: parts.row(i).tolist() for i, e in enumerate(used)}
        rows: list[Tokens] = []
        starts: list[list[float]] = []
        seen: set[tuple[int, ...]] = set()
        for candidate in candidates:
            frame = frames[candidate.context]
            if frame.count(_core.HOLE) != 1:  # a square spelled out would have each constant twice
                continue
            terms = [entries[e] for e in candidate.entries]
            for part, start in self._variants(terms, candidate.coefficients):
                if part is None:
                    continue
                hole = frame.index(_core.HOLE)
                whole = [*frame[:hole], *part, *frame[hole + 1 :]]
                if tuple(whole) in seen or len(whole) > self.prior.max_length:
                    continue
                seen.add(tuple(whole))
                rows.append(whole)
                starts.append(start)
        return rows, starts

    def _variants(
        self, terms: Sequence[Tokens], coefficients: tuple[float, ...]
    ) -> Iterator[tuple[Tokens | None, list[float]]]:
        """Yield a + k s + ..., the same without offset, and with a factor that is one left out."""
        const = self.const
        offset, *factors = coefficients
        for with_offset in (True, False):
            for plain in (False, True):
                if plain and (len(factors) > 1 or not with_offset):
                    continue
                total: Tokens | None = None
                start: list[float] = []
                for term, factor in zip(terms[::-1], factors[::-1], strict=True):
                    scaled = term if plain else self.writer.apply("mul", const, term)
                    start = ([] if plain else [factor]) + start
                    total = scaled if total is None else self.writer.sum(scaled, total)
                if with_offset:
                    total, start = self.writer.sum(const, total), [offset, *start]
                yield total, start


class Regression:
    """Weighted least squares of a target on an offset and one to three of many columns.

    Parameters
    ----------
    columns : (n, N) float64
    costs : (n,) int
    weights : (N,) float64
    """

    def __init__(self, columns: np.ndarray, costs: np.ndarray, weights: np.ndarray) -> None:
        self.columns, self.costs = columns, costs
        self.weights = weights / weights.mean()
        self.n_rows = len(weights)
        self.n_scored = 0
        roots = np.sqrt(self.weights)
        total = self.weights.sum()
        centred = columns - (columns @ self.weights / total)[:, None]
        centred *= roots
        norms = np.linalg.norm(centred, axis=1)
        flat = norms <= 1e-10 * np.abs(columns).max(axis=1, initial=0)
        self.Z = np.where(flat[:, None], 0, centred / np.where(norms > 0, norms, 1)[:, None])
        self.gram = self.Z @ self.Z.T
        self.pairs = np.triu_indices(len(columns), 1)
        g = self.gram[self.pairs]
        rest = 1 - g * g
        self.pair_products = 2 * g
        self.pair_scales = 1 / np.where(rest > COLLINEAR, rest, np.inf)
        self.pair_costs = costs[self.pairs[0]] + costs[self.pairs[1]]

    def best(
        self, target: np.ndarray, n_kept: int, with_triples: bool
    ) -> list[tuple[float, tuple[int, ...], tuple[float, ...]]]:
        """Return score, columns and coefficients of the best sets of each size."""
        t = np.sqrt(self.weights) * (target - target @ self.weights / self.weights.sum())
        self.target, self.size = target, np.linalg.norm(t)
        if self.size == 0 or not len(self.Z):
            return []
        self.r = self.Z @ (t / self.size)
        sets: list[tuple[int, ...]] = [
            (i,) for i in self._top(self._scores(1 - self.r**2, 1, self.costs), n_kept)
        ]
        pairs = self._pairs(max(n_kept, N_BEST_PAIRS) if with_triples else n_kept)
        sets += pairs[:n_kept]
        if with_triples:
            sets += self._triples(pairs, n_kept)
        return [self._solved(chosen) for chosen in sets]

    def _scores(self, unexplained: np.ndarray, n_terms: int, costs: np.ndarray) -> np.ndarray:
        self.n_scored += unexplained.size
        scores = information(unexplained, self.n_rows, n_terms + 1, 1.0) + COST_WEIGHT * costs
        return np.where(np.isnan(scores), np.inf, scores)

    def _top(self, scores: np.ndarray, n: int) -> list[int]:
        n = min(n, scores.size)
        chosen = np.argpartition(scores, n - 1)[:n]
        return chosen[np.argsort(scores[chosen], kind="stable")].tolist()

    def _pairs(self, n: int) -> list[tuple[int, ...]]:
        i, j = self.pairs
        if not len(i):
            return []
        a, b = self.r[i], self.r[j]
        explained = (a * a + b * b - a * b * self.pair_products) * self.pair_scales
        scores = self._scores(1 - explained, 2, self.pair_costs)
        return [(int(i[k]), int(j[k])) for k in self._top(scores, n)]

    def _triples(self, pairs: Sequence[tuple[int, ...]], n: int) -> list[tuple[int, ...]]:
        found: dict[tuple[int, ...], float] = {}
        for i, j in pairs:
            two = [i, j]
            small = self.gram[np.ix_(two, two)]
            if np.linalg.det(small) <= COLLINEAR:
                continue
            project = np.linalg.solve(small, self.gram[two])  # (2, n)
            left = 1 - (self.gram[two] * project).sum(axis=0)
            gain = (self.r - self.r[two] @ project) ** 2 / np.where(left > COLLINEAR, left, np.inf)
            base = 1 - self.r[two] @ np.linalg.solve(small, self.r[two])
            scores = self._scores(base - gain, 3, self.costs[i] + self.costs[j] + self.costs)
            for k in self._top(scores, 3):
                if k not in two:
                    found[tuple(sorted((i, j, k)))] = float(scores[k])
        return sorted(found, key=lambda chosen: found[chosen])[:n]

    def _solved(self, chosen: tuple[int, ...]) -> tuple[float, tuple[int, ...], tuple[float, ...]]:
        roots = np.sqrt(self.weights)
        table = np.vstack([np.ones(self.n_rows), self.columns[list(chosen)]]) * roots
        scale = np.maximum(np.linalg.norm(table, axis=1), 1e-300)
        solution = np.linalg.lstsq((table / scale[:, None]).T, self.target * roots, rcond=None)[0]
        error = self.target * roots - (solution / scale) @ table
        unexplained = float(error @ error) / self.size**2
        cost = int(self.costs[list(chosen)].sum())
        value = float(self._scores(np.array([unexplained]), len(chosen), np.array([cost]))[0])
        return value, chosen, tuple((solution / scale).tolist())


def end_of(library: Library, row: Sequence[int], begin: int) -> int:
    """Return where the subtree that begins at a position ends."""
    missing, t = 1, begin
    while missing:
        missing += int(library.arities[row[t]]) - 1
        t += 1
    return t


def affine_keys(values: np.ndarray) -> np.ndarray:
    """Return what of value vectors (n, 4) depends on neither scale nor offset, (n, 2)."""
    with np.errstate(all="ignore"):
        steps = values[:, 1:] - values[:, :1]
        keys = steps[:, 1:] / steps[:, :1]
        size = np.abs(values).max(axis=1, keepdims=True)
    bad = ~np.isfinite(keys).all(axis=1) | (np.abs(steps[:, :1]) < 1e-9 * size)[:, 0]
    return np.where(bad[:, None], np.nan, keys)
