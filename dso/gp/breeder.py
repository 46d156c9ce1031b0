"""Breeder: crossover and mutation of token sequences, under all priors.

A parent is the best of k draws with replacement. With ranks 1 to n, best first, rank r is chosen
with probability ((n - r + 1) / n)^k - ((n - r) / n)^k: the pressure depends on ranks alone, and so
not on the scale of the rewards (Goldberg & Deb, 1991).

Offspring are made by the operators of Koza (Genetic programming, 1992), as rows of tokens:

CROSSED    a subtree of a second parent takes the place of one of the first; roots take no part
SUBTREE    a random subtree takes the place of one: the largest step
REPLACED   a token becomes another one of the same arity: the smallest
INSERTED   an operator is put above a node; so a program grows by one that works
SHRUNK     an operator becomes one of its arguments, which undoes that
PERTURBED  a fitted number is multiplied by one near 1 and not fitted again

A prefix row makes a subtree a range of tokens, so each operator is one splice. What breaks a prior,
or was bred before, is tried again from the choice of parents on, which costs less than scoring it.
The work is done in native code: `native/gp/variation.hpp`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dso.gp.population import Population
from dso.native import _core
from dso.prior import JointPrior
from dso.program import ProgramBatch
from dso.streams import Stream

COPIED = 0
"""The operation of a row for which every try has failed."""
CROSSED, SUBTREE, REPLACED, INSERTED, SHRUNK, PERTURBED, SEMANTIC, SOLVED = (
    1 << bit for bit in range(8)
)
"""What was done to a row, as bits: a crossed one may be mutated too."""


@dataclass(frozen=True)
class Offspring:
    """n rows, before they are scored.

    Attributes
    ----------
    programs : ProgramBatch
        NaN where a constant is to be fitted.
    islands : (n,) int32
    operations : (n,) uint8
        Sum of what was done, `CROSSED` to `SEMANTIC`; `COPIED` where every try failed. `SOLVED`
        together with `SEMANTIC`: the new subtree has the values that were wanted.
    n_refused : int
        Tries that broke a prior or grew too long.
    n_known : int
        Tries that gave a known program.
    n_lookups : int
        Of values, by semantic mutation.
    """

    programs: ProgramBatch
    islands: np.ndarray
    operations: np.ndarray
    n_refused: int
    n_known: int
    n_lookups: int = 0


class Breeder:
    """Breeds natively; see `dso.native._core.breed`.

    Parameters
    ----------
    prior : JointPrior
        All of its constraints hold for every offspring; soft priors play no part.
    p_crossover, p_mutate : float
        Probabilities that an offspring is crossed and mutated; one of both happens at least.
    p_join : float
        Share of insertions whose other arguments are subtrees of a mate instead of terminals.
    p_perturb : float
        Share of the mutations that change a fitted number, where a program has one.
    p_archive : float
        Probability that a parent is drawn from the archive, if there is one.
    tournament_size : int
    mutate_tree_max : int
        Greatest depth of a subtree made by mutation.
    n_attempts : int
        Tries before a row is a copy of its parent.
    n_threads : int
        The offspring do not depend on it.

    Attributes
    ----------
    n_vectors : int
        Evaluations before the first offspring; none here.
    """

    looks_up = False
    """Whether offspring cost look-ups of values, which count as evaluations."""

    def __init__(
        self,
        prior: JointPrior,
        *,
        p_crossover: float = 0.5,
        p_mutate: float = 0.5,
        p_perturb: float = 0.1,
        p_join: float = 0.0,
        p_archive: float = 0.0,
        tournament_size: int = 5,
        mutate_tree_max: int = 3,
        n_attempts: int = 8,
        n_threads: int = 1,
    ) -> None:
        self.prior = prior
        self.n_vectors = 0
        self.n_attempts = n_attempts
        self.n_threads = n_threads
        self._options = _core.BreedOptions(
            p_crossover=p_crossover,
            p_mutate=p_mutate,
            p_perturb=p_perturb,
            p_join=p_join,
            p_archive=p_archive,
            tournament_size=tournament_size,
            mutate_tree_max=mutate_tree_max,
            n_attempts=n_attempts,
        )

    def breed(
        self,
        parents: Population,
        islands: np.ndarray,
        stream: Stream,
        known: _core.KeySet | None = None,
        archive: Population | None = None,
    ) -> Offspring:
        """Breed one offspring for each of `islands` (n,).

        Parameters
        ----------
        parents : Population
            Ranked island by island. All of them obey the priors.
        islands : (n,) int32
            Where each offspring's parents live.
        stream : Stream
        known : KeySet, optional
            Token sequences not to be bred again.
        archive : Population, optional
            Further parents of all islands.
        """
        parents, offsets = with_archive(parents, archive)
        rows = np.arange(len(islands), dtype=np.uint32)
        brood = self.native(
            parents, offsets, rows, islands, key=stream.key, first_attempt=0, known=known
        )
        offspring = Offspring(
            programs_of(brood),
            islands,
            brood.operations,
            int(brood.n_refused.sum()),
            int(brood.n_known.sum()),
        )
        if not self.prior.python:
            return offspring
        return self._under_python_priors(offspring, parents, offsets, stream.key, known)

    def _under_python_priors(
        self,
        offspring: Offspring,
        parents: Population,
        offsets: list[int],
        key: int,
        known: _core.KeySet | None,
    ) -> Offspring:
        """Breed those again that priors in Python refuse, whole rows at a time."""
        programs, operations = offspring.programs, offspring.operations
        n_refused, n_known = offspring.n_refused, offspring.n_known
        for round_ in range(1, self.n_attempts + 1):
            is_allowed = self.prior.python.allowed(programs, self.prior.rules)
            bad = np.flatnonzero((operations != COPIED) & ~is_allowed)
            n_refused += len(bad)
            if len(bad) == 0 or round_ == self.n_attempts:
                operations[bad] = COPIED
                break
            brood = self.native(
                parents,
                offsets,
                bad.astype(np.uint32),
                offspring.islands[bad],
                key=key,
                first_attempt=round_ * self.n_attempts,
                known=known,
            )
            programs.tokens[bad], programs.lengths[bad] = brood.tokens, brood.lengths
            programs.constants[bad], operations[bad] = brood.constants, brood.operations
            n_refused += int(brood.n_refused.sum())
            n_known += int(brood.n_known.sum())
        return Offspring(programs, offspring.islands, operations, n_refused, n_known)

    def native(
        self,
        parents: Population,
        offsets: list[int],
        rows: np.ndarray,
        islands: np.ndarray,
        *,
        key: int,
        first_attempt: int,
        known: _core.KeySet | None,
        target: _core.SemanticTarget | None = None,
    ) -> _core.Brood:
        """Call `_core.breed`, by semantic mutation alone where there is a target."""
        programs, length = parents.programs, self.prior.max_length
        n_constants = 0
        if self.prior.library.const_token is not None:
            n_constants = min(length, 2 * programs.constants.shape[1] + 16)
        return _core.breed(
            self.prior.library.native,
            self.prior.rules,
            _core.Parents(programs.native, offsets),
            self._options,
            rows=rows,
            groups=islands,
            key=key,
            first_attempt=first_attempt,
            n_positions=length,
            n_constants=n_constants,
            known=known,
            target=target,
            n_threads=self.n_threads,
        )


def with_archive(parents: Population, archive: Population | None) -> tuple[Population, list[int]]:
    """Return parents with those of the archive behind them, and where each group begins."""
    n_islands = int(parents.islands[-1]) + 1
    offsets = parents.offsets(n_islands).tolist()
    if archive is not None and len(archive):
        parents = Population.concatenate([parents, archive])
        offsets.append(len(parents))
    return parents, offsets


def programs_of(brood: _core.Brood) -> ProgramBatch:
    """Return the offspring themselves."""
    return ProgramBatch(brood.tokens, brood.lengths, brood.constants)
