"""GPController: generations of breeding, scoring and selection around the policy's batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.batch import Batch
from dso.gp.breeder import COPIED, Breeder
from dso.gp.population import Population
from dso.memory import ScoredPrograms
from dso.native import _core
from dso.program import ProgramBatch
from dso.streams import Stream

if TYPE_CHECKING:
    from dso.evaluation import Evaluator, Scores


@dataclass(frozen=True)
class GPOptions:
    """What a controller does; the keys of the section `gp_meld`."""

    generations: int = 20
    population_size: int | None = None
    train_n: int = 50
    keep_population: bool = True
    n_islands: int = 4
    migration_interval: int = 20
    n_migrants: int = 2
    restart_after: int | None = None
    pareto_archive: bool = True
    remove_duplicates: bool = True
    p_fit: float = 1.0
    seeds_share: float = 1.0


@dataclass(frozen=True)
class Harvest:
    """What one call of GP-meld made.

    Attributes
    ----------
    batch : Batch
        The best programs, each once, off policy, with rewards.
    scores : Scores
        Of the same rows.
    n_offspring : int
        Offspring scored.
    n_unique : int
        Those among them that had never been evaluated.
    n_refused : int
        Tries that broke a prior.
    """

    batch: Batch
    scores: Scores
    n_offspring: int
    n_unique: int
    n_refused: int


class GPController:
    def __init__(
        self,
        *,
        breeder: Breeder,
        evaluator: Evaluator,
        values: Callable[[ProgramBatch], np.ndarray],
        complexity: Callable[[ProgramBatch], np.ndarray],
        seed: int,
        options: GPOptions,
    ) -> None:
        self.breeder = breeder
        self.evaluator = evaluator
        self.values = values
        self.complexity = complexity
        self.seed = seed
        self.options = options
        self.population = Population.empty()
        self.archive = Population.empty()
        self.known = _core.KeySet()
        self.n_generations = 0
        n = options.n_islands
        self.best = np.full(n, -np.inf)
        self.last_gain = np.zeros(n, dtype=np.int64)
        self.n_restarts = 0

    def step(
        self,
        batch: Batch,
        scores: Scores,
        iteration: int,
        is_done: Callable[[Batch, Scores], bool],
    ) -> Harvest | None:
        options = self.options
        stream = Stream(self.seed, "gp seeds", iteration)
        seeds = self._seeds(batch, scores, stream)
        size = options.population_size or len(batch)
        capacities = _shares(size, options.n_islands)
        self._settle(seeds, capacities)
        if len(self.population) == 0:
            return None
        best: list[tuple[Batch, Scores]] = []
        n_offspring = n_unique = n_refused = 0
        for generation in range(options.generations):
            self.n_generations += 1
            name = f"gp breed {iteration}"
            islands = self._islands_of_offspring(capacities)
            bred = self.breeder.breed(
                self.population, islands, Stream(self.seed, name, generation), self.known,
                self.archive if options.pareto_archive else None,
            )  # fmt: skip
            n_refused += bred.n_refused
            keys = bred.programs.keys()
            rows = np.flatnonzero(
                (bred.operations != COPIED) & (_core.first_rows(keys) == np.arange(len(keys)))
            )
            if len(rows) == 0:
                continue
            self.known.insert(keys[rows])
            programs = self._to_be_fitted(bred.programs[rows], name, generation)
            off_policy = np.zeros(len(rows), dtype=bool)
            fresh = self.evaluator.evaluate(programs, iteration, off_policy)
            scored = Batch(
                ProgramBatch(programs.tokens, programs.lengths, fresh.constants), off_policy
            ).with_rewards(fresh.rewards)
            n_offspring += len(rows)
            n_unique += fresh.n_evaluated
            done = is_done(scored, fresh)
            top = np.argsort(-fresh.rewards, kind="stable")[: options.train_n]
            best.append((scored[top], fresh[top]))
            self._select(self._individuals(scored, fresh, islands[rows]), capacities)
            if done:
                break
            if self.n_generations % options.migration_interval == 0:
                self._migrate(capacities)
            self._restart(seeds, capacities)
        if not best:
            return None
        batches, many = zip(*best, strict=True)
        all_, scores_ = Batch.concatenate(batches), type(scores).concatenate(many)
        order = np.argsort(-all_.rewards, kind="stable")[: options.train_n]
        return Harvest(all_[order], scores_[order], n_offspring, n_unique, n_refused)

    def _individuals(self, batch: Batch, scores: Scores, islands: np.ndarray) -> Population:
        """Return the valid rows as individuals."""
        rows = np.flatnonzero(scores.cause == 0)
        programs = batch.programs[rows]
        values = self.values(programs) if self.options.remove_duplicates else programs.keys()
        return Population(
            programs, batch.rewards[rows], self.complexity(programs), values,
            islands[rows].astype(np.int32),
        )  # fmt: skip

    def _seeds(self, batch: Batch, scores: Scores, stream: Stream) -> Population:
        options = self.options
        size = options.population_size
        rows = np.arange(len(batch))
        if size is not None and size < len(batch):
            rows = np.sort(stream.generator().choice(len(batch), size, replace=False))
        islands = np.arange(len(rows), dtype=np.int32) % options.n_islands
        return self._individuals(batch[rows], scores[rows], islands)

    def _settle(self, seeds: Population, capacities: np.ndarray) -> None:
        if not self.options.keep_population:
            self.population = Population.empty()
            self.best[:] = -np.inf
            self.last_gain[:] = self.n_generations
            self.known = _core.KeySet()
        self._select(seeds, capacities)

    def _select(self, arrivals: Population, capacities: np.ndarray) -> None:
        everyone = Population.concatenate([self.population, arrivals])
        self.population = everyone.unique().best_of_each(capacities)
        if self.options.pareto_archive:
            self._archive(arrivals)
        offsets = self.population.offsets(self.options.n_islands)
        present = np.flatnonzero(np.diff(offsets))
        heads = self.population.rewards[offsets[present]]
        gained = present[heads > self.best[present]]
        self.best[present] = np.maximum(self.best[present], heads)
        self.last_gain[gained] = self.n_generations

    def _archive(self, arrivals: Population) -> None:
        ranked = Population.concatenate([self.archive, arrivals.on(0)])
        ranked = ranked[ranked.order()]
        simplest = np.minimum.accumulate(ranked.complexities)
        self.archive = ranked[np.append(True, ranked.complexities[1:] < simplest[:-1])[: len(ranked)]]

    def _islands_of_offspring(self, capacities: np.ndarray) -> np.ndarray:
        present = np.diff(self.population.offsets(self.options.n_islands)) > 0
        return np.repeat(np.arange(len(capacities)), capacities * present).astype(np.int32)

    def _to_be_fitted(self, programs: ProgramBatch, name: str, generation: int) -> ProgramBatch:
        if programs.constants.shape[1] == 0:
            return programs
        constants = programs.constants
        if self.options.p_fit < 1:
            random = Stream(self.seed, name + " fit", generation).generator()
            fit = random.random(len(programs)) < self.options.p_fit
            constants = np.where(fit[:, None], np.nan, constants)
        else:
            constants = np.full_like(constants, np.nan)
        return ProgramBatch(programs.tokens, programs.lengths, constants)

    def _migrate(self, capacities: np.ndarray) -> None:
        options = self.options
        if options.n_islands == 1 or options.n_migrants == 0:
            return
        migrants = self.population[self.population.places() < options.n_migrants]
        islands = ((migrants.islands + 1) % options.n_islands).astype(np.int32)
        migrants = Population(migrants.programs, migrants.rewards, migrants.complexities,
                              migrants.values, islands)
        everyone = Population.concatenate([self.population, migrants])
        self.population = everyone.unique().best_of_each(capacities)

    def _restart(self, seeds: Population, capacities: np.ndarray) -> None:
        limit = self.options.restart_after
        if limit is None:
            return
        idle = self.n_generations - self.last_gain >= limit
        if not idle.any():
            return
        self.n_restarts += int(idle.sum())
        self.population = self.population[~idle[self.population.islands]]
        self.best[idle] = -np.inf
        self._select(seeds[idle[seeds.islands]], capacities)
        self.last_gain[idle] = self.n_generations


def _shares(total: int, n: int) -> np.ndarray:
    """Split a number into `n` nearly equal ones."""
    return (np.arange(1, n + 1) * total) // n - (np.arange(n) * total) // n
