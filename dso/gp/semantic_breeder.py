"""SemanticBreeder: some of the offspring are solved for, the others bred blindly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.gp.breeder import COPIED, Breeder, Offspring, with_archive
from dso.gp.population import Population
from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.judge import Data
from dso.semantic.key_rows import choose_key_rows
from dso.semantic.search import BITS
from dso.semantic.value_library import ValueLibrary
from dso.streams import Stream

VECTORS_PER_ENTRY = 20
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
    data : Any
        `columns` (D, N), `y` (N,) and `protected`: all rows of data.
    p_semantic : float
        Probability that an offspring is solved for.
    max_entries : int
        Of the library.
    seed : int
    n_partners : int
        Cheapest entries that are joined with others.
    n_nearest : int
        Cheapest entries among which the nearest is sought.

    Attributes
    ----------
    values : ValueLibrary
    n_vectors : int
        Candidates computed for it, which count as evaluations.
    """

    looks_up = True

    def __init__(
        self,
        breeder: Breeder,
        data: Any,
        *,
        p_semantic: float,
        max_entries: int,
        seed: int,
        n_partners: int = 2,
        n_nearest: int = 5000,
    ) -> None:
        self.breeder = breeder
        self.p_semantic = p_semantic
        library = breeder.prior.library
        with np.errstate(all="ignore"):  # whatever the data hold; what is not finite is dropped
            rows = choose_key_rows(
                data.columns, data.y, Stream(seed, "gp semantic rows").generator()
            )
            bits = Data.of(data.columns.T, data.y, None, data.protected, seed).digits_bits
            self.values = ValueLibrary(
                library,
                breeder.prior,
                data.columns,
                rows,
                bits=min(BITS, bits),
                max_entries=max_entries,
                max_vectors=VECTORS_PER_ENTRY * max_entries,
                max_seconds=np.inf,  # or a second run would differ
                protected=data.protected,
            )
        self.n_vectors = self.values.n_vectors
        self._target = _core.SemanticTarget(
            self.values.native,
            library.native,
            np.ascontiguousarray(data.columns[:, rows]),
            data.y[rows],
            n_partners,
            n_nearest,
        )

    @staticmethod
    def of_task(breeder: Breeder, task: Any, **options: Any) -> SemanticBreeder:
        """Solve for the targets of a task.

        Raises
        ------
        UserError
            If it has none.
        """
        data = getattr(task, "fit_data", None)
        if data is None:
            raise UserError(
                f"gp_meld.p_semantic: {options['p_semantic']}; task {task.name!r} has no data "
                "whose values could be looked up; allowed: 0."
            )
        return SemanticBreeder(breeder, data, **options)

    def breed(
        self,
        parents: Population,
        islands: np.ndarray,
        stream: Stream,
        known: Any = None,
        archive: Population | None = None,
    ) -> Offspring:
        """Breed one offspring for each of `islands` (n,); see `Breeder.breed`."""
        offspring = self.breeder.breed(parents, islands, stream, known, archive)
        chosen = np.flatnonzero(stream.generator().random(len(islands)) < self.p_semantic)
        if len(chosen) == 0:
            return offspring
        parents, offsets = with_archive(parents, archive)
        *arrays, _, operations, n_refused, n_known, n_lookups = self.breeder.native(
            parents,
            offsets,
            stream.key,
            chosen.astype(np.uint32),
            islands[chosen],
            FIRST_ATTEMPT,
            known,
            self._target,
        )
        solved = ProgramBatch(*arrays)
        is_made = operations != COPIED
        python = self.breeder.prior.python
        if python:
            is_made &= python.allowed(solved, self.breeder.prior.rules)
        return replace(
            _with_rows(offspring, chosen[is_made], solved[is_made], operations[is_made]),
            n_refused=offspring.n_refused + int(n_refused.sum()),
            n_known=offspring.n_known + int(n_known.sum()),
            n_lookups=int(n_lookups.sum()),
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
