"""GPController: generations of breeding, scoring and selection around the policy's batch.

The batch of the policy is the first population, since what it draws is already better than random.
On each island, P individuals breed P offspring, and the best P of both live on, so that the best is
never lost. Of those with equal values (see `probe`) only the first is among them: copies, and other
spellings of the same function, would soon fill the table and breed nothing new.

Islands breed among themselves and send their best to the next now and then, so that several forms
are improved side by side. One without a gain for long starts again from the batch: a population
that lives on fills up with long programs that nearly fit. The *archive* is the Pareto front of
reward and complexity as a second source of parents, where small programs breed that selection would
lose.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.gp.breeder import COPIED, PERTURBED, SOLVED, Breeder, Offspring
from dso.gp.population import Population
from dso.gp.semantic_breeder import SemanticBreeder
from dso.native import _core
from dso.program import ProgramBatch
from dso.program.batch import Batch, ScoredBatch
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.evaluation import Evaluator
    from dso.pacing import IsOver

logger = logging.getLogger("dso")

MAX_KNOWN = 2**22
"""Token sequences remembered before all are forgotten: 64 MB."""


@dataclass(frozen=True)
class GPOptions:
    """What a controller does besides breeding.

    Attributes
    ----------
    generations : int
        Per iteration.
    population_size : int
        Individuals on all islands together.
    train_n : int
        Offspring returned.
    p_fit : float
        Share of offspring whose constants are fitted again; others keep those of their parents.
    has_archive : bool
        Keep the Pareto front of reward and complexity as further parents.
    keep_population : bool
        Let the population live on across iterations.
    n_islands, migration_interval, n_migrants : int
        Each time after this many generations an island copies its best to the next.
    restart_after : int, optional
        Generations without a better reward after which an island starts again from the batch.
    verbose : bool
        Log every generation.
    parsimony : float
        What a step of complexity costs, in units of the reward.
    """

    generations: int
    population_size: int
    train_n: int
    p_fit: float = 1.0
    has_archive: bool = False
    keep_population: bool = False
    n_islands: int = 1
    migration_interval: int = 10
    n_migrants: int = 2
    restart_after: int | None = None
    verbose: bool = False
    parsimony: float = 0.0


@dataclass(frozen=True)
class Harvest:
    """What one call of GP-meld made.

    Attributes
    ----------
    batch : ScoredBatch
        The best offspring, each once, best first, off policy.
    n_offspring : int
        Offspring scored.
    n_novel : int
        Those among them that had never been evaluated.
    n_refused : int
        Tries that broke a prior.
    n_lookups : int
        Of values, by semantic mutation, with the vectors of its library in the first iteration.
    """

    batch: ScoredBatch
    n_offspring: int
    n_novel: int
    n_refused: int
    n_lookups: int

    @property
    def n_evaluations(self) -> int:
        """Offspring scored and values looked up."""
        return self.n_offspring + self.n_lookups


class GPController:
    """Breed, score, select.

    The population is a table of individuals, ranked on each island. A generation breeds as many
    offspring as there are places, scores them, and keeps the best of parents and offspring with
    different values. What is bred once is not bred again (Mundhenk et al., Symbolic regression via
    neural-guided genetic programming population seeding, NeurIPS 2021, with these changes).

    Parameters
    ----------
    breeder : Breeder or SemanticBreeder
        Another way of making offspring is a class with the same `breed`, around this one.
    evaluator : Evaluator
    values : callable
        Programs -> (B,) uint64; of programs with equal numbers only one stays; see `Probe`.
    complexity : callable
        Programs -> (B,) float64.
    seed : int
    options : GPOptions
    """

    def __init__(
        self,
        breeder: Breeder | SemanticBreeder,
        evaluator: Evaluator,
        values: Callable[[ProgramBatch], np.ndarray],
        complexity: Callable[[ProgramBatch], np.ndarray],
        *,
        seed: int,
        options: GPOptions,
    ) -> None:
        self.breeder = breeder
        self.evaluator = evaluator
        self.values = values
        self.complexity = complexity
        self.seed = seed
        self.options = options
        self.capacities = _shares(options.population_size, options.n_islands)
        self.n_generations = 0
        self._clear()

    def _clear(self) -> None:
        n_islands = self.options.n_islands
        self.population = Population.empty()
        self.archive = Population.empty()
        self.known = _core.KeySet()
        self.best = np.full(n_islands, -np.inf)
        self.last_gain = np.full(n_islands, self.n_generations)

    def step(
        self,
        batch: ScoredBatch,
        iteration: int,
        remember: Callable[[ScoredBatch], bool],
        is_spent: Callable[[int], bool] = lambda n_evaluations: False,
        is_over: IsOver | None = None,
    ) -> Harvest:
        """Breed from a batch of the policy for some generations.

        Parameters
        ----------
        batch : ScoredBatch
            Seeds the population. Its rows obey the priors.
        iteration : int
        remember : callable
            Is given the scored offspring of each generation; a true answer ends the call.
        is_spent : callable
            Is asked before each generation whether this number of evaluations is enough.
        is_over : callable, optional
            Is asked while offspring are scored whether to stop.

        Returns
        -------
        Harvest
            Its batch is empty if no offspring could be bred.
        """
        if not self.options.keep_population:
            self._clear()
        self.known.insert(batch.programs.keys())
        seeds = self._seeds(batch, Stream(self.seed, "gp seeds", iteration))
        self._select(seeds)
        picked = [batch[:0]]
        n_offspring = n_novel = n_refused = n_lookups = 0
        for generation in range(self.options.generations):
            if len(self.population) == 0 or is_spent(n_offspring + n_lookups):
                break
            bred, rows = self._breed(Stream(self.seed, f"gp breed {iteration}", generation))
            n_refused += bred.n_refused
            n_lookups += bred.n_lookups + (0 if self.n_generations else self.breeder.n_vectors)
            is_done = False
            if len(rows):
                offspring = self._score(bred, rows, iteration, is_over)
                rows = rows[: len(offspring)]
                n_offspring += len(rows)
                n_novel += offspring.n_evaluated
                is_done = remember(offspring)
                picked.append(_best(offspring, self.options.train_n))
                self._select(self._individuals(offspring, bred.islands[rows]))
            self.n_generations += 1
            if self.options.verbose:
                self._tell(generation, bred, len(rows))
            if is_done:
                break
            self._migrate()
            self._restart(seeds)
        best = _best(ScoredBatch.concatenate(picked), self.options.train_n)
        return Harvest(best, n_offspring, n_novel, n_refused, n_lookups)

    def _seeds(self, batch: ScoredBatch, stream: Stream) -> Population:
        """Return the batch, or a random part of the population's size, dealt out to the islands.

        Rows that the policy did not draw are all taken where there is room for them.
        """
        rows, size = np.arange(len(batch)), self.options.population_size
        if size < len(batch):
            drawn, others = np.flatnonzero(batch.on_policy), np.flatnonzero(~batch.on_policy)
            if len(others) >= size:
                drawn, others = rows, rows[:0]
            chosen = stream.generator().choice(drawn, size - len(others), replace=False)
            rows = np.sort(np.concatenate([chosen, others]))
        islands = np.arange(len(rows)) % self.options.n_islands
        return self._individuals(batch[rows], islands.astype(np.int32))

    def _breed(self, stream: Stream) -> tuple[Offspring, np.ndarray]:
        """Return one offspring per place, and which of them are new."""
        islands = np.repeat(np.arange(self.options.n_islands), self.capacities)
        is_inhabited = np.diff(self.population.offsets(self.options.n_islands)) > 0
        islands = islands[is_inhabited[islands]].astype(np.int32)
        bred = self.breeder.breed(self.population, islands, stream, self.known, self.archive)
        keys = bred.programs.keys()
        # A perturbed one has the tokens of its parent.
        keys = np.where(bred.operations == PERTURBED, ~np.arange(len(keys)).astype("u8"), keys)
        is_first = _core.first_rows(keys) == np.arange(len(keys))
        rows = np.flatnonzero(is_first & (bred.operations != COPIED))
        if len(self.known) > MAX_KNOWN:
            self.known = _core.KeySet()
        self.known.insert(keys[rows])
        return bred, rows

    def _score(
        self, bred: Offspring, rows: np.ndarray, iteration: int, is_over: IsOver | None
    ) -> ScoredBatch:
        """Score chosen offspring, the first of them where it is over before all are scored.

        Their constants are those that the rewards belong to.
        """
        programs = bred.programs[rows]
        if programs.constants.shape[1]:
            programs = self._to_be_fitted(programs, bred.operations[rows], iteration)
        batch = Batch.off_policy(programs)
        return self.evaluator.evaluate(batch, iteration, is_over=is_over)

    def _to_be_fitted(
        self, programs: ProgramBatch, operations: np.ndarray, iteration: int
    ) -> ProgramBatch:
        """Take away the constants of those that are to be fitted again."""
        name = f"gp fit {iteration}"
        random = Stream(self.seed, name, self.n_generations).generator()
        keeps = random.random(len(programs)) >= self.options.p_fit
        keeps |= (operations == PERTURBED) | ((operations & SOLVED) > 0)
        constants = np.where(keeps[:, None], programs.constants, np.nan)
        return replace(programs, constants=constants)

    def _individuals(self, batch: ScoredBatch, islands: np.ndarray) -> Population:
        """Return the rows that are good enough for their islands as individuals."""
        rewards = self._worth(batch.programs, batch.rewards)
        rows = np.flatnonzero((batch.cause == 0) & (rewards >= self._bars()[islands]))
        programs = batch.programs[rows]
        values, complexities = self.values(programs), self.complexity(programs)
        return Population(programs, rewards[rows], complexities, values, islands[rows])

    def _worth(self, programs: ProgramBatch, rewards: np.ndarray) -> np.ndarray:
        """Return what programs (B,) compete by: their rewards less the price of their size."""
        if not self.options.parsimony:
            return rewards
        return rewards - self.options.parsimony * self.complexity(programs)

    def _bars(self) -> np.ndarray:
        """Return the reward (I,) of the last on each island that is full, -inf for others."""
        offsets = self.population.offsets(self.options.n_islands)
        bars = np.full(self.options.n_islands, -np.inf)
        if not self.options.has_archive:  # which takes in small programs of any reward
            is_full = np.diff(offsets) >= self.capacities
            bars[is_full] = self.population.rewards[offsets[1:][is_full] - 1]
        return bars

    def _select(self, arrivals: Population) -> None:
        """Keep the best of population and arrivals, and note which islands gained."""
        self._admit(arrivals)
        if self.options.has_archive:
            self.archive = Population.concatenate([self.archive, arrivals.on(0)]).pareto_front()
        offsets = self.population.offsets(self.options.n_islands)
        present = np.flatnonzero(np.diff(offsets))
        heads = self.population.rewards[offsets[present]]
        self.last_gain[present[heads > self.best[present]]] = self.n_generations
        self.best[present] = np.maximum(self.best[present], heads)

    def _admit(self, arrivals: Population) -> None:
        everyone = Population.concatenate([self.population, arrivals])
        self.population = everyone.unique().best_of_each(self.capacities)

    def _migrate(self) -> None:
        """Copy the best of each island to the next, when it is time."""
        options = self.options
        is_due = self.n_generations % options.migration_interval == 0
        if options.n_islands == 1 or options.n_migrants == 0 or not is_due:
            return
        migrants = self.population[self.population.places() < options.n_migrants]
        islands = (migrants.islands + 1) % options.n_islands
        self._admit(replace(migrants, islands=islands.astype(np.int32)))

    def _restart(self, seeds: Population) -> None:
        """Give islands without a gain for long back to the seeds."""
        if self.options.restart_after is None:
            return
        is_idle = self.n_generations - self.last_gain >= self.options.restart_after
        if not is_idle.any():
            return
        self.population = self.population[~is_idle[self.population.islands]]
        self.best[is_idle] = -np.inf
        self.last_gain[is_idle] = self.n_generations
        self._select(seeds[is_idle[seeds.islands]])

    def rescore(self) -> None:
        """Reward those who live on again: the search sees other rows of data."""
        for name in ("population", "archive"):
            individuals = getattr(self, name)
            if len(individuals):
                rewards = self.evaluator.rewards(individuals.programs)
                worth = self._worth(individuals.programs, rewards)
                setattr(self, name, replace(individuals, rewards=worth))
        self.population = self.population[self.population.order()]
        self.archive = self.archive.pareto_front()
        self.best[:] = -np.inf
        self.last_gain[:] = self.n_generations

    def _tell(self, generation: int, bred: Offspring, n_scored: int) -> None:
        logger.info(
            "gp_meld: generation %d, %d offspring scored, %d tries refused, population %d, best %g",
            generation + 1,
            n_scored,
            bred.n_refused,
            len(self.population),
            self.population.rewards.max(initial=-np.inf),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return population, front and counters as arrays."""
        return {
            "population": self.population.state_dict(),
            "archive": self.archive.state_dict(),
            "known": self.known.sorted(),
            "best": self.best.copy(),
            "last_gain": self.last_gain.copy(),
            "n_generations": self.n_generations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.population = Population.from_state_dict(state["population"])
        self.archive = Population.from_state_dict(state["archive"])
        self.known = _core.KeySet()
        self.known.insert(state["known"])
        self.best, self.last_gain = state["best"].copy(), state["last_gain"].copy()
        self.n_generations = int(state["n_generations"])


def _shares(total: int, n: int) -> np.ndarray:
    """Split a number into `n` nearly equal ones, (n,)."""
    return np.diff(np.arange(n + 1) * total // n)


def _best(batch: ScoredBatch, n: int) -> ScoredBatch:
    """Return the `n` best rows with different tokens, best first."""
    order = np.argsort(-batch.rewards, kind="stable")
    is_first = _core.first_rows(batch.programs.keys()[order]) == np.arange(len(order))
    rows = order[is_first][:n]
    return batch[rows]
