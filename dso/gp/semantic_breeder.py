"""SemanticBreeder: solves for some of the offspring, and breeds the others blindly.

A parent f is seen as a function f(s) of one of its subtrees. What that ought to be is h = f^-1(y),
from the root down, operator by operator (semantic backpropagation: Pawlak, Wieloch & Krawiec, IEEE
Transactions on Evolutionary Computation, 2015). In its place comes, from a library of values,

    an entry s = h;    else a pair s + t, s - t, s t or s / t = h;    else the s of least
    sum w^2 (h - s)^2,    w = df/ds

on four key rows. w is what an error there makes of y, to first order. A step that crossover meets
once in many thousand tries is made at once where it exists. The joins are those of
`semantic.strategies.joins`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from dso.gp.breeder import COPIED, Breeder, Offspring, programs_of, with_archive
from dso.gp.population import Population
from dso.native import _core
from dso.program import FitData, ProgramBatch
from dso.semantic.key_rows import choose_key_rows
from dso.semantic.target import key_bits, sample_rows, significant_digits
from dso.semantic.value_library import ValueLibrary
from dso.streams import Stream

MAX_VECTORS_PER_ENTRY = 20
"""Candidates computed for each entry of the library: far more than it takes, as a rule."""
FIRST_ATTEMPT = 1 << 24
"""Semantic mutation numbers its tries from here on, so that its draws are its own."""


class SemanticBreeder:
    """Puts expressions of a value library where a parent needs their values.

    A random node of a parent is solved for: what must it be worth on four key rows, for the whole
    to be worth y? In its place comes the entry with these values, else a sum, difference, product
    or quotient of two, else the entry whose values come nearest. Where nothing fits, the row is
    bred by `breeder`. The library is a function of tokens, priors, data and seed, and has no state.

    Parameters
    ----------
    breeder : Breeder
    data : FitData
        All rows.
    p_semantic : float
        Probability that an offspring is solved for.
    max_entries : int
        Of the library.
    seed : int
    n_partners : int
        Cheapest entries that are joined with others.
    n_nearest : int
        Cheapest entries among which the nearest is sought.
    """

    looks_up = True

    def __init__(
        self,
        breeder: Breeder,
        data: FitData,
        *,
        p_semantic: float,
        max_entries: int,
        seed: int,
        max_vectors: int = 2**62,
        n_partners: int = 2,
        n_nearest: int = 5000,
    ) -> None:
        self.breeder = breeder
        self.data = data
        self.p_semantic = p_semantic
        self.max_entries = max_entries
        self.max_vectors = min(max_vectors, MAX_VECTORS_PER_ENTRY * max_entries)
        self.seed = seed
        self.n_partners = n_partners
        self.n_nearest = n_nearest

    @cached_property
    def values(self) -> ValueLibrary:
        """The library, made when it is first asked for: a run may be over before."""
        data = self.data
        with np.errstate(all="ignore"):  # values that are not finite are dropped
            return ValueLibrary(
                self.breeder.prior.library,
                self.breeder.prior,
                data.columns,
                self._rows,
                bits=key_bits(significant_digits(data.y[sample_rows(data.n_rows, self.seed)])),
                max_entries=self.max_entries,
                max_vectors=self.max_vectors,
                protected=data.protected,
            )

    @property
    def n_vectors(self) -> int:
        """Candidates computed for the library, which count as evaluations."""
        return self.values.n_vectors

    @cached_property
    def _rows(self) -> np.ndarray:
        """The key rows (4,), the same for the whole run."""
        stream = Stream(self.seed, "gp semantic rows")
        with np.errstate(all="ignore"):
            return choose_key_rows(self.data.columns, self.data.y, stream.generator())

    @cached_property
    def _target(self) -> _core.SemanticTarget:
        """What is to be reached, for the core."""
        return _core.SemanticTarget(
            self.values.native,
            self.breeder.prior.library.native,
            self.data.on_rows(self._rows).native,
            n_partners=self.n_partners,
            n_nearest=self.n_nearest,
        )

    def breed(
        self,
        parents: Population,
        islands: np.ndarray,
        stream: Stream,
        known: _core.KeySet | None = None,
        archive: Population | None = None,
    ) -> Offspring:
        """Breed one offspring for each of `islands` (n,); see `Breeder.breed`."""
        offspring = self.breeder.breed(parents, islands, stream, known, archive)
        chosen = np.flatnonzero(stream.generator().random(len(islands)) < self.p_semantic)
        if len(chosen) == 0:
            return offspring
        parents, offsets = with_archive(parents, archive)
        brood = self.breeder.native(
            parents,
            offsets,
            chosen.astype(np.uint32),
            islands[chosen],
            key=stream.key,
            first_attempt=FIRST_ATTEMPT,
            known=known,
            target=self._target,
        )
        solved = programs_of(brood)
        is_made = brood.operations != COPIED
        python = self.breeder.prior.python
        if python:
            is_made &= python.allowed(solved, self.breeder.prior.rules)
        return replace(
            _with_rows(offspring, chosen[is_made], solved[is_made], brood.operations[is_made]),
            n_refused=offspring.n_refused + int(brood.n_refused.sum()),
            n_known=offspring.n_known + int(brood.n_known.sum()),
            n_lookups=int(brood.n_lookups.sum()),
        )


def _with_rows(
    offspring: Offspring, rows: np.ndarray, programs: ProgramBatch, operations: np.ndarray
) -> Offspring:
    """Return offspring with other programs in some rows."""
    everyone = ProgramBatch.concatenate([offspring.programs, programs])
    order = np.arange(len(offspring.programs))
    order[rows] = len(order) + np.arange(len(rows))
    all_operations = np.concatenate([offspring.operations, operations])
    return replace(offspring, programs=everyone[order], operations=all_operations[order])
