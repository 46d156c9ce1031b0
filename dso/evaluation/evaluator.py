"""The only way from programs to rewards: look up what is known, score the rest, remember it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.evaluation.archive import ProgramArchive
from dso.fitting.slots import constant_counts, widened, with_ones
from dso.library import Library
from dso.native import _core
from dso.pacing import IsOver, parts
from dso.processes import serve_parent
from dso.program import Program, ProgramBatch
from dso.program.batch import Batch, ScoredBatch
from dso.program.execute import INVALID, VALID, Execution
from dso.task.task import Fitter, Task, heeds_time, rewards_batches

CACHE_BYTES = 256 * 2**20
FIRST_FITS = 8
"""Programs whose constants are fitted before time is asked for the first time."""
WORKER_SECONDS = 0.2
"""After which time is asked where worker processes reward: each time the task travels to them."""


class Evaluator:
    """Scores programs under a task; the same program is scored once.

    Parameters
    ----------
    task : Task
        Its ``rewards(programs)``, if it has that, takes a whole batch; else its
        ``reward_function(program)`` is called row by row. A `stochastic` task bypasses the cache.
    library : Library
    cache_bytes : int
        Bound of the reward cache; the oldest iterations are forgotten first.
    n_workers : int
        Processes for a task that is rewarded row by row.
    remember_keys : bool
        Keep the identity of every program ever evaluated, for `novel_keys`.
    archive : ProgramArchive, optional
        Is given every program that enters the cache.
    fitter : Fitter, optional
        Fits the constants of a program before it is rewarded; those given with a program stay.
        Without it they are 1.
    """

    def __init__(
        self,
        task: Task,
        library: Library,
        cache_bytes: int = CACHE_BYTES,
        n_workers: int = 1,
        remember_keys: bool = False,
        archive: ProgramArchive | None = None,
        fitter: Fitter | None = None,
    ) -> None:
        self.task = task
        self.library = library
        self.n_workers = n_workers
        self.archive = archive
        self.fitter = fitter
        self._cache = _core.RewardCache(cache_bytes)
        self._seen = _core.KeySet() if remember_keys else None

    def __getstate__(self) -> dict[str, Any]:
        # What is remembered stays behind: a copy is made to score single programs elsewhere.
        return {
            "task": self.task,
            "library": self.library,
            "n_workers": self.n_workers,
            "fitter": self.fitter,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Evaluator.__init__(self, **state)

    @property
    def n_cached(self) -> int:
        """Programs whose reward is remembered."""
        return len(self._cache)

    def change_task(self, task: Task, iteration: int) -> None:
        """Score under another task, e.g. on other rows, from now on.

        Parameters
        ----------
        task : Task
            With the same library.
        iteration : int
            From which on rewards are of this task; those of earlier ones are forgotten.
        """
        self.task = task
        if self.fitter is not None:
            self.fitter = self.fitter.of(task)
        self._cache.expire_before(iteration)

    def evaluate(
        self,
        batch: Batch,
        iteration: int,
        first_constants: np.ndarray | None = None,
        is_over: IsOver | None = None,
    ) -> ScoredBatch:
        """Score a batch.

        Parameters
        ----------
        batch : Batch
            `on_policy` says which of the counters a row belongs to.
        iteration : int
            Tells the age of what is remembered.
        first_constants : (B, K) float64, optional
            Constants from which fits start. Default: ones.
        is_over : callable, optional
            Is asked now and then whether to stop. The batch then ends before the first program
            that was not scored; it is never empty if it was not.
        """
        programs = batch.programs
        keys = program_keys(programs)
        if self._seen is not None:
            self._seen.insert(keys)
        first = _core.first_rows(keys)
        is_first = first == np.arange(len(keys))
        if self.task.stochastic:
            return self._evaluated_anew(batch, first, first_constants, is_over)
        found, rewards, cause, node, constants = self._cache.lookup(keys)
        known = Execution(rewards, cause, node)
        is_due = ~found & is_first
        is_new = is_due & ~self._cache.contains(keys)
        if is_due.any():
            start = None if first_constants is None else first_constants[is_due]
            new, scored = self._fitted_and_scored(programs[is_due], start, is_over)
            rows = np.where(found, 0, (np.cumsum(is_due) - 1)[first])
            n = _reach(rows, len(new))
            batch, programs, keys, rows = batch[:n], programs[:n], keys[:n], rows[:n]
            found, is_due, is_new, constants = found[:n], is_due[:n], is_new[:n], constants[:n]
            kept = new.constants if self.fitter is not None else None
            self._cache.insert(keys[is_due], *scored, iteration=iteration, constants=kept)
            if self.archive is not None:
                self.archive.add(keys[is_due], new, scored.values)
            known = Execution(
                *(
                    np.where(found, old[:n], fresh[rows])
                    for old, fresh in zip(known, scored, strict=True)
                )
            )
            constants = _joined(found, constants, new.constants[rows])
        self._cache.count(keys, batch.on_policy)
        if self.fitter is None:
            programs = self._with_constants(programs)
        else:
            width = int(constant_counts(self.library, programs).max(initial=0))
            programs = replace(programs, constants=widened(constants, width))
        return self._scored(batch, programs, known, is_new, is_due)

    def _evaluated_anew(
        self,
        batch: Batch,
        first: np.ndarray,
        first_constants: np.ndarray | None,
        is_over: IsOver | None,
    ) -> ScoredBatch:
        """Score a batch of which nothing is remembered; `first` (B,) as `first_rows` gives it."""
        is_first = first == np.arange(len(first))
        start = None if first_constants is None else first_constants[is_first]
        fitted = self._fitted_in_time(batch.programs[is_first], start, is_over)
        rows = (np.cumsum(is_first) - 1)[first]
        rows = rows[: _reach(rows, len(fitted))]
        scored = self._score(fitted[rows], is_over)
        rows = rows[: len(scored.values)]
        everything = np.ones(len(rows), dtype=bool)
        return self._scored(batch[: len(rows)], fitted[rows], scored, everything, everything)

    def counts(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how often each key (B,) came from the policy and from elsewhere, as remembered."""
        return self._cache.counts(keys)

    def novel_keys(self, programs: ProgramBatch) -> set[int]:
        """Return the keys of those programs of a batch that were never evaluated.

        Unlike the cache, this forgets nothing; it needs `remember_keys`.
        """
        assert self._seen is not None
        keys = program_keys(programs)
        return set(keys[~self._seen.contains(keys)].tolist())

    def reward(self, program: Program) -> float:
        """Return the reward of one program without counting it."""
        batch = program.batch
        found, rewards, *_ = self._cache.lookup(program_keys(batch))
        if found[0]:
            return float(rewards[0])
        return float(self._score(self._with_constants(batch)).values[0])

    def rewards(self, programs: ProgramBatch) -> np.ndarray:
        """Return the rewards (B,) of programs that have constants already, fitted again.

        Nothing is counted or remembered.
        """
        bare = replace(programs, constants=np.empty((len(programs), 0)))
        return self._score(self._with_constants(bare, programs.constants)).values

    def test(self, program: Program) -> dict[str, Any]:
        """Return the task's test results of one program."""
        return self.task.evaluate(program)

    def clear(self) -> None:
        """Forget everything."""
        self._cache.clear()
        if self.archive is not None:
            self.archive.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return what is remembered."""
        state: dict[str, Any] = {"cache": self._cache.state()}
        if self._seen is not None:
            state["seen"] = self._seen.sorted()
        if self.archive is not None:
            state["archive"] = self.archive.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` returned."""
        self._cache.load_state(state["cache"])
        if self._seen is not None:
            self._seen = _core.KeySet()
            self._seen.insert(state["seen"])
        if self.archive is not None:
            self.archive.load_state_dict(state["archive"])

    @staticmethod
    def _scored(
        batch: Batch,
        programs: ProgramBatch,
        verdicts: Execution,
        is_new: np.ndarray,
        is_evaluated: np.ndarray,
    ) -> ScoredBatch:
        """Return the batch as `programs`, with their constants, and scores."""
        rows = np.arange(len(programs))
        failing = programs.tokens[rows, np.maximum(verdicts.node, 0)]
        operators = np.where(verdicts.node >= 0, failing, -1).astype(np.int16)
        return ScoredBatch(
            programs,
            batch.on_policy,
            *verdicts,
            operators,
            is_new,
            is_evaluated,
            withdrawn=batch.withdrawn,
        )

    def _with_constants(
        self, programs: ProgramBatch, first: np.ndarray | None = None
    ) -> ProgramBatch:
        """Return programs with the numbers that they are executed with."""
        if self.library.const_token is None:
            return programs
        if self.fitter is None:
            return with_ones(self.library, programs)
        return self.fitter.fit(programs, first)

    def _fitted_and_scored(
        self, programs: ProgramBatch, first: np.ndarray | None, is_over: IsOver | None
    ) -> tuple[ProgramBatch, Execution]:
        """Return the first programs, with their constants, and their scores."""
        fitted = self._fitted_in_time(programs, first, is_over)
        scored = self._score(fitted, is_over)
        return fitted[: len(scored.values)], scored

    def _fitted_in_time(
        self, programs: ProgramBatch, first: np.ndarray | None, is_over: IsOver | None
    ) -> ProgramBatch:
        """Return the first programs with the numbers that they are executed with."""
        if self.library.const_token is None or self.fitter is None or is_over is None:
            return self._with_constants(programs, first)
        fitted = [
            self._with_constants(programs[part], None if first is None else first[part])
            for part in parts(len(programs), is_over, FIRST_FITS)
        ]
        return ProgramBatch.concatenate(fitted)

    def _score(self, programs: ProgramBatch, is_over: IsOver | None = None) -> Execution:
        """Return the scores of the first programs; of all where `is_over` is not given."""
        if not rewards_batches(self.task):
            answer = self._score_by_row(programs, is_over)
        elif is_over is None or not heeds_time(self.task):
            answer = self.task.rewards(programs)
        else:
            answer = self.task.rewards_in_time(programs, is_over)
        return self._without_nan(answer)

    def _score_by_row(self, programs: ProgramBatch, is_over: IsOver | None) -> Execution:
        fitter = self.task.polynomials
        fitted = [None] * len(programs) if fitter is None else fitter.polynomials(programs)
        rows = [
            Program(
                self.library,
                programs.row(b),
                programs.constants[b],
                protected=self.task.protected,
                polynomial=fitted[b],
            )
            for b in range(len(programs))
        ]
        if self.n_workers > 1:
            table = self._rewarded_elsewhere(rows, is_over)
        else:
            scored = [_reward_rows(self.task, rows[part]) for part in parts(len(rows), is_over, 1)]
            table = np.concatenate(scored)
        rewards, cause, node = table.T
        return Execution(rewards.copy(), cause.astype(np.uint8), node.astype(np.int32))

    def _rewarded_elsewhere(self, rows: list[Program], is_over: IsOver | None) -> np.ndarray:
        """Return what `_reward_rows` does of the first programs, found by worker processes."""
        from joblib import Parallel, delayed

        n, tables = self.n_workers, []
        with Parallel(n_jobs=n) as workers:
            for part in parts(len(rows), is_over, first=n, seconds=WORKER_SECONDS):
                some = rows[part]
                # One share per process, so that the task travels once.
                shares = [some[i::n] for i in range(min(n, len(some)))]
                answers = workers(
                    delayed(_reward_rows_for_parent)(self.task, share) for share in shares
                )
                table = np.empty((len(some), 3))
                for i, answer in enumerate(answers):
                    table[i::n] = answer
                tables.append(table)
        return np.concatenate(tables)

    def _without_nan(self, verdicts: Execution) -> Execution:
        """Give programs whose reward is not finite the invalid reward of the task.

        Where the task names none, it is the worst finite reward of the batch.
        """
        bad = ~np.isfinite(verdicts.values)
        if not bad.any():
            return verdicts
        worst = self.task.invalid_reward
        if worst is None or not np.isfinite(worst):
            worst = verdicts.values[~bad].min() if not bad.all() else 0.0
        cause = np.where(bad & (verdicts.cause == VALID), INVALID, verdicts.cause)
        return Execution(
            np.where(bad, worst, verdicts.values), cause.astype(np.uint8), verdicts.node
        )


def _joined(found: np.ndarray, known: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Take the constants (B, K) of rows that were found from `known`, of others from `fresh`."""
    width = max(known.shape[1], fresh.shape[1])
    return np.where(found[:, None], widened(known, width), widened(fresh, width))


def _reach(rows: np.ndarray, n: int) -> int:
    """Return how many of `rows`, from the first on, are indices below n without a break."""
    is_beyond = rows >= n
    return int(np.argmax(is_beyond)) if is_beyond.any() else len(rows)


def _reward_rows_for_parent(task: Task, programs: list[Program]) -> np.ndarray:
    """Do the same in a worker process."""
    serve_parent()
    return _reward_rows(task, programs)


def _reward_rows(task: Task, programs: list[Program]) -> np.ndarray:
    """Return reward, cause and node of each program, (B, 3)."""
    table = np.empty((len(programs), 3))
    for row, program in zip(table, programs, strict=True):
        reward = task.reward_function(program)
        try:
            row[:] = float(reward), *program.verdict
        except (TypeError, ValueError):
            raise UserError(
                f"reward_function of task {type(task).__name__!r} returned {reward!r}; "
                "a number is needed."
            ) from None
    return table


def program_keys(programs: ProgramBatch) -> np.ndarray:
    """Return a 64-bit identity (B,) of the tokens and of the numbers given with them."""
    keys = programs.keys()
    for k, slot in enumerate(programs.constants.T):
        bits = np.ascontiguousarray(slot).view(np.uint64) + np.uint64(k)
        mixed = (keys ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        keys = np.where(np.isnan(slot), keys, mixed ^ (mixed >> np.uint64(29)))
    return keys
