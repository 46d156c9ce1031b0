"""Where programs come from: a source proposes scored programs in each iteration.

A *proposal* is what a source adds to an iteration: programs with their scores, what they cost in
evaluations, and its columns of the log. Sources are asked one after the other, in a fixed order,
and each sees what those before it have proposed. A new way to search is a new source.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.program.batch import Batch, ScoredBatch
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream
from dso.training.statistics import (
    GP_COLUMNS,
    LOOKUP_COLUMN,
    PRETRAINED_COLUMNS,
    SEMANTIC_COLUMNS,
)

if TYPE_CHECKING:
    from dso.evaluation import Evaluator
    from dso.finishing import Finisher
    from dso.gp import GPController
    from dso.memory import Keeper, ProgramMemory
    from dso.pacing import IsOver
    from dso.policy import Policy
    from dso.policy_optimizer.imitation import Imitation
    from dso.pretraining.advice import NetworkAdvice
    from dso.pretraining.proposer import Proposer
    from dso.prior import JointPrior
    from dso.semantic import Seeder
    from dso.training.stopping import Stopping

logger = logging.getLogger("dso")

N_FIRST = 10
"""Programs that are finished in the first iteration, where the search by values has left some."""
N_STARTS, N_LAST_STARTS = 2, 4
"""Starts of the fit of a program on the front, during a run and at its end."""
SMALLEST = 3
"""The greatest size at the beginning of a warm-up."""
SHARE_OF_LIBRARY = 0.25
"""Of the memory that is left, where there is a limit: what the library of values may take. Those
who look into it take up to twice as much again."""
MAX_SIMPLIFICATIONS = 3
"""Rounds of making forms shorter, at most; few of them find anything."""


@dataclass(frozen=True)
class Proposal:
    """What one source, or all up to one, proposed in an iteration.

    Attributes
    ----------
    batch : ScoredBatch or None
    n_evaluations : int
        That it cost.
    columns : dict
        Of the log.
    """

    batch: ScoredBatch | None = None
    n_evaluations: int = 0
    columns: dict[str, float] = field(default_factory=dict)

    def joined(self, other: Proposal, *, first: bool = False) -> Proposal:
        """Return both as one; the rows of `other` stand last, or first."""
        parts = [other.batch, self.batch] if first else [self.batch, other.batch]
        batches = [part for part in parts if part is not None and len(part)]
        return Proposal(
            ScoredBatch.concatenate(batches) if batches else other.batch or self.batch,
            self.n_evaluations + other.n_evaluations,
            {**self.columns, **other.columns},
        )


class Source(ABC):
    """Base of all sources.

    Attributes
    ----------
    name : str
        By which it is found, and by which its state is stored.
    draws : bool
        Whether its rows stand before all others, and give way to programs that a caller hands to
        the iteration: so it is with the policy.
    """

    name: str
    draws = False

    def start(self, iteration: int) -> int:
        """Do what has to be done before any source is asked; return its evaluations."""
        return 0

    @abstractmethod
    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Return what this source has for an iteration.

        Parameters
        ----------
        iteration : int
            From 0.
        so_far : Proposal
            All that the sources before it proposed; its `n_evaluations` are those of the whole run.
        """

    def finish(self, iteration: int) -> None:  # noqa: B027, most have nothing left to do
        """Do what belongs at the end of a run, after this many iterations."""

    def go_on(self) -> None:  # noqa: B027, most remember nothing of it
        """Undo what `finish` did, because the run continues."""

    def rescore(self) -> None:  # noqa: B027, most remember nothing
        """Reward again what is remembered: the search sees other rows of data."""

    def parts(self) -> dict[str, Any]:
        """Return what has a state, by name."""
        return {}


class Given(Source):
    """Hands over programs that came from elsewhere: guesses of a user, finds of another search.

    They join the next iteration, off policy, with the constants that they have; those without are
    fitted. One that breaks a prior is kept if it is good, but neither policy nor population sees
    it.

    Parameters
    ----------
    evaluator : Evaluator
    prior : JointPrior
    keeper : Keeper
    guesses : ProgramBatch, optional
        For the first iteration.
    """

    name = "given"

    def __init__(
        self,
        evaluator: Evaluator,
        prior: JointPrior,
        keeper: Keeper,
        guesses: ProgramBatch | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.prior = prior
        self.keeper = keeper
        self.guesses = guesses
        self._waiting: list[ProgramBatch] = []

    def add(self, programs: ProgramBatch) -> None:
        """Let programs wait for the next iteration."""
        self._waiting.append(programs)

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Evaluate what waits; once."""
        waiting, self._waiting = self._waiting, []
        if iteration == 0 and self.guesses is not None:
            waiting = [self.guesses, *waiting]
        if not waiting:
            return Proposal()
        batch = Batch.off_policy(ProgramBatch.concatenate(waiting))
        scored = self.evaluator.evaluate(batch, iteration)
        is_allowed = self.prior.allowed(batch.programs)
        if not is_allowed.all():
            self._tell(batch.programs)
            self.keeper.take_in(scored, iteration)
        return Proposal(scored[is_allowed], len(scored))

    def _tell(self, programs: ProgramBatch) -> None:
        for name, is_violated in self.prior.violations(programs).items():
            if is_violated.any():
                n = np.count_nonzero(is_violated)
                logger.info("%d of %d given programs break the prior %s.", n, len(programs), name)


class Warmup(Source):
    """Lets programs grow: at first those that come after it may only be small.

    After a share s of the budget, the greatest size is 3 + (largest - 3) * s / `share`, rounded
    down. It proposes nothing itself.

    Parameters
    ----------
    prior : JointPrior
    stopping : Stopping
        Knows the budget.
    share : float
        Of the budget, after which all sizes are allowed.
    """

    name = "warmup"

    def __init__(self, prior: JointPrior, stopping: Stopping, share: float) -> None:
        self.prior = prior
        self.stopping = stopping
        self.share = share

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Set the limit."""
        spent = so_far.n_evaluations / self.stopping.n_samples
        if spent >= self.share:
            self.prior.limit_size(None)
        else:
            growth = (self.prior.max_size - SMALLEST) * spent / self.share
            self.prior.limit_size(SMALLEST + math.floor(growth))
        return Proposal()

    def finish(self, iteration: int) -> None:
        """At the end all sizes are allowed."""
        self.prior.limit_size(None)


class PolicySource(Source):
    """Draws from the policy.

    Parameters
    ----------
    policy : Policy
    evaluator : Evaluator
    keeper : Keeper
    batch_size : int
    seed : int
        Of the run's random streams.
    max_attempts : int, optional
        Sample up to this many times in an iteration, until `batch_size` programs are there that
        were never evaluated before (the evaluator must remember keys); the others that came up on
        the way are learned from and counted too. None samples once and takes what comes.
    memory : ProgramMemory, optional
        Of the risk filter; filled before the first iteration.
    warm_start : int, optional
        Programs that fill it, which are evaluated and counted; None is `batch_size`.
    is_fallback : bool
        Draw only where no source before this one has proposed anything.
    is_over : callable, optional
        Tells whether to end early: what was drawn is then scored in part.
    """

    name = "policy"
    draws = True

    def __init__(
        self,
        policy: Policy,
        evaluator: Evaluator,
        keeper: Keeper,
        *,
        batch_size: int,
        seed: int,
        max_attempts: int | None = None,
        memory: ProgramMemory | None = None,
        warm_start: int | None = None,
        is_fallback: bool = False,
        is_over: IsOver | None = None,
    ) -> None:
        self.policy = policy
        self.evaluator = evaluator
        self.keeper = keeper
        self.batch_size = batch_size
        self.seed = seed
        self.max_attempts = max_attempts
        self.memory = memory
        self.warm_start = batch_size if warm_start is None else warm_start
        self.is_fallback = is_fallback
        self.is_over = is_over

    def start(self, iteration: int) -> int:
        """Before the first iteration, give a memory something to start from."""
        if self.memory is None or iteration > 0 or self.warm_start == 0:
            return 0
        batch = self.policy.sample(self.warm_start, Stream(self.seed, "warm start"))
        scored = self.evaluator.evaluate(batch, iteration, is_over=self.is_over)
        self.memory.push(scored.programs, scored.rewards)
        self.keeper.take_in(scored, iteration)
        return len(scored)

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Draw and evaluate a batch."""
        if self.is_fallback and so_far.batch is not None and len(so_far.batch):
            return Proposal()
        batch = self.sample(iteration)
        scored = self.evaluator.evaluate(batch, iteration, is_over=self.is_over)
        return Proposal(scored, len(scored))

    def sample(self, iteration: int) -> Batch:
        """Draw the batch of an iteration."""
        if self.max_attempts is None:
            return self._draw(self.batch_size, iteration, 0)
        parts: list[Batch] = []
        novel: set[int] = set()
        while len(novel) < self.batch_size and len(parts) < self.max_attempts:
            parts.append(self._draw(self.batch_size - len(novel), iteration, len(parts)))
            novel |= self.evaluator.novel_keys(parts[-1].programs)
        return Batch.concatenate(parts)

    def _draw(self, n: int, iteration: int, attempt: int) -> Batch:
        name = f"sample again {attempt}" if attempt else "sample"
        return self.policy.sample(n, Stream(self.seed, name, iteration))

    def rescore(self) -> None:
        """See `Source.rescore`."""
        if self.memory is not None:
            self.memory.rescore(self.evaluator.rewards)


class ValueSearch(Source):
    """Searches the data before the first iteration, whose batch what it finds joins.

    Parameters
    ----------
    seeder : Seeder
    keeper : Keeper
    stopping : Stopping
        Tells how much time and memory is left.
    per_sample : int
        Evaluations that count as one: a look-up takes a hundredth of the time of a program.
    """

    name = "semantic"

    def __init__(
        self, seeder: Seeder, keeper: Keeper, stopping: Stopping, per_sample: int = 1
    ) -> None:
        self.seeder = seeder
        self.keeper = keeper
        self.stopping = stopping
        self.per_sample = per_sample

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Search by values in the first iteration; afterwards there is nothing more to find."""
        if iteration > 0:
            return Proposal(columns=dict.fromkeys(SEMANTIC_COLUMNS, 0))

        def keep(batch: ScoredBatch) -> None:
            self.keeper.take_in(batch, iteration)

        stopping = self.stopping
        # What is kept says whether it is enough: if that is asked, finds are kept as they come.
        tell = keep if stopping.is_enough is not None else None
        seeds = self.seeder.seeds(
            iteration,
            stopping.seconds_left,
            lambda: stopping.is_over,
            tell,
            max_bytes=SHARE_OF_LIBRARY * stopping.bytes_left,
        )
        if len(seeds.batch):
            keep(seeds.batch)
        counts = (seeds.n_vectors, seeds.n_lookups)
        columns: dict[str, float] = dict(zip(SEMANTIC_COLUMNS, counts, strict=True))
        n_evaluations = -(-seeds.n_evaluations // self.per_sample)
        return Proposal(seeds.batch, n_evaluations, columns)


class Pretrained(Source):
    """Asks a pre-trained network before the first iteration, whose batch its programs join.

    Where the task is solved by then, or the budget spent, the network is not even loaded.

    Parameters
    ----------
    make_proposer : callable
        Loads the network.
    keeper : Keeper
    stopping : Stopping
        Knows the budget.
    imitation : Imitation
        Teaches the policy what was proposed, before it first draws.
    """

    name = "pretrained"

    def __init__(
        self,
        make_proposer: Callable[[], Proposer],
        keeper: Keeper,
        stopping: Stopping,
        imitation: Imitation,
    ) -> None:
        self.make_proposer = make_proposer
        self.keeper = keeper
        self.stopping = stopping
        self.imitation = imitation

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Ask in the first iteration, unless the task is solved; afterwards nothing is new."""
        stopping, spent = self.stopping, so_far.n_evaluations
        is_spent = stopping.is_over or (stopping.n_samples > 0 and stopping.is_spent(spent))
        if iteration > 0 or self.keeper.success or is_spent:
            return Proposal(columns=dict.fromkeys(PRETRAINED_COLUMNS, 0))
        left = stopping.n_samples - spent if stopping.n_samples > 0 else None
        found = self.make_proposer().suggestions(iteration, left)
        for note in found.notes:
            logger.info("%s", note)
        if len(found.batch):
            self.keeper.take_in(found.batch, iteration)
            if not self.keeper.success:
                self.imitation.learn(found.batch)
        columns: dict[str, float] = dict.fromkeys(PRETRAINED_COLUMNS, len(found.batch))
        return Proposal(found.batch, found.n_evaluations, columns)


class Advising(Source):
    """Lets a pre-trained network advise the policy, less and less; it proposes nothing itself.

    In iteration i, from 0, its log-probabilities have the weight `weight` (1 - i / `n_iterations`).
    It ends after `n_iterations`, or once the task is solved.

    Parameters
    ----------
    policy : Policy
    make_advice : callable
        Loads the network, which reads the data.
    keeper : Keeper
    weight : float
    n_iterations : int
    """

    name = "advice"

    def __init__(
        self,
        policy: Policy,
        make_advice: Callable[[], NetworkAdvice],
        keeper: Keeper,
        weight: float,
        n_iterations: int,
    ) -> None:
        self.policy, self.make_advice, self.keeper = policy, make_advice, keeper
        self.weight, self.n_iterations = weight, n_iterations
        self._advice: NetworkAdvice | None = None

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Set the weight."""
        if iteration >= self.n_iterations or self.keeper.success:
            self.policy.advice = self._advice = None
            return Proposal()
        self._advice = self._advice or self.make_advice()
        self._advice.weight = self.weight * (1 - iteration / self.n_iterations)
        self.policy.advice = self._advice
        return Proposal()

    def finish(self, iteration: int) -> None:
        """At the end there is none."""
        self.policy.advice = None


class Finishing(Source):
    """Brings what is on the front to its optimum, and looks for plainer forms of it.

    What an iteration leaves on the front is taken up in the next one; all of it at the end. Fits
    are no evaluations: their number is bounded by that of the iterations.

    Parameters
    ----------
    finisher : Finisher
    evaluator : Evaluator
    keeper : Keeper
        With a Pareto front.
    n_per_iteration : float
        Programs that are looked at in an iteration, in the mean; what is left over is for later
        ones.
    stopping : Stopping
        Tells whether to end early.
    snap : bool
        Whether constants become plain numbers, where the data allow it, at the end.
    """

    name = "finishing"

    def __init__(
        self,
        finisher: Finisher,
        evaluator: Evaluator,
        keeper: Keeper,
        stopping: Stopping,
        *,
        n_per_iteration: float,
        snap: bool,
    ) -> None:
        self.finisher = finisher
        self.stopping = stopping
        self.evaluator = evaluator
        self.keeper = keeper
        self.n_per_iteration = n_per_iteration
        self.snap = snap
        self.n_programs = 0
        self._before_end: dict[str, Any] | None = None

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Finish some of the front, as far as the share of the time allows."""
        if so_far.batch is not None:
            self.keeper.take_in(so_far.batch, iteration)
        allowed = N_FIRST + int(self.n_per_iteration * iteration) - self.n_programs
        if self.keeper.success or allowed <= 0 or self._is_over():
            return Proposal()
        before = self.finisher.n_looked_at
        found = self.finisher.improved(
            self._front, n_starts=N_STARTS, max_programs=allowed, is_over=self._is_over
        )
        self.n_programs += self.finisher.n_looked_at - before
        return Proposal(self._offer(found, iteration))

    def finish(self, iteration: int) -> None:
        """Finish all of the front, and give what is kept the constants that are shown."""
        self._before_end = self.state_dict()
        found = self.finisher.improved(self._front, n_starts=N_LAST_STARTS, is_over=self._is_over)
        self._offer(found, iteration)
        for _ in range(MAX_SIMPLIFICATIONS):
            if self._is_over():
                return
            self.keeper.settle(
                lambda programs, is_front: self.finisher.settled(
                    programs, snap=self.snap and is_front
                ),
                self.evaluator,
                iteration,
            )
            # A constant that has become pi / 2, say, makes other forms shorter.
            shorter = self.finisher.simplified(self._front)
            if not self._offer(shorter, iteration):
                return

    def go_on(self) -> None:
        """See `Source.go_on`."""
        if self._before_end is not None:
            self.load_state_dict(self._before_end)
            self._before_end = None

    def _is_over(self) -> bool:
        return self.stopping.is_over

    @property
    def _front(self) -> ProgramBatch:
        assert self.keeper.pareto_front is not None
        return self.keeper.pareto_front.rows.programs

    def _offer(self, programs: ProgramBatch, iteration: int) -> ScoredBatch | None:
        """Evaluate programs with their constants, and keep what is good."""
        if not len(programs):
            return None
        scored = self.evaluator.evaluate(Batch.off_policy(programs), iteration)
        self.keeper.take_in(scored, iteration)
        return scored

    def state_dict(self) -> dict[str, Any]:
        """Return what was looked at so far."""
        return {"n_programs": self.n_programs, **self.finisher.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.n_programs = int(state["n_programs"])
        self.finisher.load_state_dict(state)

    def parts(self) -> dict[str, Any]:
        """See `Source.parts`."""
        return {self.name: self}


class GPMeld(Source):
    """Breeds from all that was proposed before; the best offspring join it, all of them count.

    Parameters
    ----------
    controller : GPController
    keeper : Keeper
    stopping : Stopping
        Tells before each generation whether the budget is used up.
    """

    name = "gp"

    def __init__(self, controller: GPController, keeper: Keeper, stopping: Stopping) -> None:
        self.controller = controller
        self.keeper = keeper
        self.stopping = stopping

    def propose(self, iteration: int, so_far: Proposal) -> Proposal:
        """Breed for some generations; not where the task was solved before the first iteration."""
        if so_far.batch is None or (iteration == 0 and self.keeper.success):
            return Proposal(columns=self._columns(0, 0, 0, 0))
        self.keeper.take_in(so_far.batch, iteration)

        def remember(offspring: ScoredBatch) -> bool:
            self.keeper.take_in(offspring, iteration)
            return self.keeper.success

        def is_spent(n_evaluations: int) -> bool:
            n_samples = so_far.n_evaluations + n_evaluations
            return self.stopping.is_over or self.stopping.is_spent(n_samples)

        def is_over() -> bool:
            return self.stopping.is_over

        harvest = self.controller.step(so_far.batch, iteration, remember, is_spent, is_over)
        columns = self._columns(
            harvest.n_offspring, harvest.n_novel, harvest.n_refused, harvest.n_lookups
        )
        return Proposal(harvest.batch, harvest.n_evaluations, columns)

    def _columns(self, *counts: int) -> dict[str, float]:
        *of_offspring, n_lookups = counts
        columns: dict[str, float] = dict(zip(GP_COLUMNS, of_offspring, strict=True))
        if self.controller.breeder.looks_up:
            columns[LOOKUP_COLUMN] = n_lookups
        return columns

    def rescore(self) -> None:
        """See `Source.rescore`."""
        self.controller.rescore()

    def parts(self) -> dict[str, Any]:
        """See `Source.parts`."""
        return {self.name: self.controller}
