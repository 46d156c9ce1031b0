"""When a run ends: one object checks all rules after every iteration."""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dso.errors import UserError
from dso.processes import ENDING, deferred
from dso.training.memory_limit import MemoryLimit

if TYPE_CHECKING:
    from dso.program import ProgramBatch
    from dso.program.batch import Batch

END_SHARE = 0.1
MIN_END_SECONDS = 0.5
"""What the end phase may take, as a share of max_seconds and at least."""

_REASONS_BY_NAME = {
    "SIGINT": "interrupted",
    "SIGTERM": "terminated by SIGTERM",
    "SIGHUP": "hung up by SIGHUP",
}
SIGNAL_REASONS = {number: _REASONS_BY_NAME[number.name] for number in ENDING}
"""The reasons that signals give."""
INTERRUPT = SIGNAL_REASONS[signal.SIGINT]
SIGNALLED = frozenset(SIGNAL_REASONS.values())


@dataclass(frozen=True)
class Standing:
    """Where a run stands after an iteration.

    Attributes
    ----------
    iteration : int
        Iterations done.
    n_samples : int
        Programs sampled, repeated ones included, offspring of GP-meld that were scored, and
        evaluations of the search by values and of semantic mutation.
    n_offspring : int
        The offspring among them.
    seconds : float
        Wall time since the run started.
    r_best : float
        Best reward of a valid program, by which programs are ranked; -inf before there is one.
    r_train : float
        Reward of that program on the training rows where others were set aside to rank by them;
        else inf.
    best_iteration : int
        Iteration (from 1) in which `r_best` was reached; 0 before there is one.
    success : bool
        Whether the task calls the best program a success.
    """

    iteration: int = 0
    n_samples: int = 0
    seconds: float = 0.0
    r_best: float = float("-inf")
    r_train: float = float("inf")
    best_iteration: int = 0
    success: bool = False
    n_offspring: int = 0


class Stopping:
    """Every rule that can end a run.

    Parameters
    ----------
    n_samples : int
        Budget of samples; the iteration that reaches it is the last.
    max_seconds : float, optional
        Budget of wall time, from `start_clock` on.
    max_megabytes : float, optional
        End once the process is larger.
    reward_threshold : float, optional
        End once the best reward is at least this.
    patience : int, optional
        End after this many iterations without a better reward.
    early_stopping : bool
        End once the task calls the best program a success.
    callback : callable, optional
        Called with the standing after every iteration; a true answer ends the run.

    Attributes
    ----------
    signal : int or None
        The latest signal that asked for the end.
    is_enough : callable or None
        Asked in the middle of an iteration; a true answer ends it.
    within : Stopping or None
        That of the search which this one is a part of: where that is over, this is.
    cuts_on_signal : bool
        Whether a signal ends the iteration under way, too. A run that is to go on where it was
        stopped comes to the end of it, so that both halves are the whole.
    """

    cuts_on_signal = False

    def __init__(
        self,
        *,
        n_samples: int,
        max_seconds: float | None = None,
        max_megabytes: float | None = None,
        reward_threshold: float | None = None,
        patience: int | None = None,
        early_stopping: bool = True,
        callback: Callable[[Standing], object] | None = None,
    ) -> None:
        self.n_samples = n_samples
        self.max_seconds = max_seconds
        self.max_megabytes = max_megabytes
        self.reward_threshold = reward_threshold
        self.patience = patience
        self.early_stopping = early_stopping
        self.callback = callback
        self.on_request: Callable[[], object] | None = None
        self.is_enough: Callable[[], bool] | None = None
        self.within: Stopping | None = None
        self.signal: int | None = None
        self._is_signalled = False
        self._end = math.inf
        self._memory = MemoryLimit(max_megabytes)
        self._requested: str | None = None

    def request(self, reason: str) -> None:
        """Ask for the end after the current iteration, and call `on_request`."""
        self._requested = reason
        if self.on_request is not None:
            self.on_request()

    def reason(self, standing: Standing) -> str | None:
        """Return why the run ends now, or None if it continues."""
        if self.callback is not None and self.callback(standing):
            return "the callback asked for it"
        if self._requested is not None:
            return self._requested
        if (goal := self.goal(standing)) is not None:
            return goal
        if standing.n_samples >= self.n_samples:
            return f"n_samples = {self.n_samples} are spent"
        is_late = self.max_seconds is not None and standing.seconds >= self.max_seconds
        if is_late or time.monotonic() >= self._end:
            return f"max_seconds = {self.max_seconds or 0:g} are over"
        if self._memory.is_reached:
            return f"the process is larger than max_megabytes = {self.max_megabytes or 0:g}"
        if self.patience is not None and self._idle_iterations(standing) >= self.patience:
            return f"no better reward in patience = {self.patience} iterations"
        return None

    def goal(self, standing: Standing) -> str | None:
        """Return why what is found is enough, None while it is not."""
        if self.early_stopping and standing.success:
            return "the best program is a success"
        if self.reward_threshold is not None and _reached(standing) >= self.reward_threshold:
            return f"the best reward reached reward_threshold = {self.reward_threshold:g}"
        return None

    def start_clock(self, seconds: float = 0.0) -> None:
        """Start the clock of the wall time; this many seconds are spent already."""
        if self.max_seconds is not None:
            self._end = time.monotonic() + self.max_seconds - seconds

    def end_in(self, seconds: float) -> None:
        """End sooner than the clock says, in this many seconds from now."""
        self._end = min(self._end, time.monotonic() + seconds)

    def start_end(self) -> None:
        """Give the end phase its own budget, if the run has a limit of wall time or memory.

        A signal that came before has ended the search; another one ends this too.
        """
        self._is_signalled, self.is_enough = False, None
        self._memory.start_end()
        if self.max_seconds is not None:
            seconds = max(MIN_END_SECONDS, END_SHARE * self.max_seconds)
            self._end = min(self._end, time.monotonic()) + seconds

    @property
    def is_requested(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._requested is not None

    @property
    def is_over(self) -> bool:
        """Tell in the middle of an iteration whether to end it early."""
        if (self.cuts_on_signal and self._is_signalled) or time.monotonic() >= self._end:
            return True
        if self._memory.is_reached or (self.within is not None and self.within.is_over):
            return True
        return self.is_enough is not None and self.is_enough()

    @property
    def seconds_left(self) -> float:
        """Wall time left; infinite without a limit."""
        left = max(0.0, self._end - time.monotonic())
        return left if self.within is None else min(left, self.within.seconds_left)

    @property
    def bytes_left(self) -> float:
        """Memory that the process may yet take; infinite without a limit."""
        return self._memory.bytes_left

    def go_by(self, other: Stopping) -> None:
        """Take over the rules of another, for a run that continues after its end."""
        vars(self).update(vars(other))

    def is_spent(self, n_samples: int) -> bool:
        """Tell in the middle of an iteration whether this many evaluations use up the budget."""
        return n_samples >= self.n_samples

    @staticmethod
    def _idle_iterations(standing: Standing) -> int:
        return standing.iteration - standing.best_iteration

    def on_signals(self) -> AbstractContextManager[None]:
        """Let signals that end the process finish the iteration and the run; see `deferred`."""
        return deferred(self.heed)

    def heed(self, number: int) -> None:
        """Take a signal as a request."""
        self.signal, self._is_signalled = number, True
        self.request(SIGNAL_REASONS[signal.Signals(number)])


def _reached(standing: Standing) -> float:
    """Return the reward that the best program has on the rows set aside and on the others."""
    return min(standing.r_best, standing.r_train)


MAX_GIVEN_UP = 0.5
"""Share of draws that meet a position where no token is allowed."""
MAX_GIVEN_UP_WITH_UNITS = 0.99
"""The same where units have to agree: what a product leaves over may take more tokens than there is
room for. Such a draw costs some microseconds, and a row is drawn a hundred times if need be."""


class DeadEndWatch:
    """End a run whose priors leave the policy no way to finish most of its programs.

    Parameters
    ----------
    report : callable
        Takes programs, and returns a table of what each prior masked.
    window : int
        Iterations looked back on.
    max_share : float
        Of all draws in a full window that may be given up.
    """

    def __init__(
        self,
        report: Callable[[ProgramBatch], str] = str,
        window: int = 10,
        max_share: float = MAX_GIVEN_UP,
    ) -> None:
        self.report = report
        self.max_share = max_share
        self.counts: deque[tuple[int, int]] = deque(maxlen=window)

    def update(self, batch: Batch) -> None:
        """Take in the batch of one iteration, with the draws that were given up for it.

        Raises
        ------
        UserError
            When more than `max_share` of all draws in a full window were given up.
        """
        self.counts.append((batch.withdrawn, len(batch)))
        withdrawn, finished = (sum(column) for column in zip(*self.counts, strict=True))
        share = withdrawn / max(1, withdrawn + finished)
        if len(self.counts) == self.counts.maxlen and share > self.max_share:
            raise UserError(
                f"prior: {share:.0%} of the draws of the last {len(self.counts)} iterations met a "
                f"position where no token is allowed, so the search cannot continue. Loosen or "
                f"switch off priors; this is what each of them masked:\n"
                f"{self.report(batch.programs)}"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the counts of the iterations looked back on."""
        return {"counts": [list(pair) for pair in self.counts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counts."""
        pairs = ((int(withdrawn), int(finished)) for withdrawn, finished in state["counts"])
        self.counts = deque(pairs, maxlen=self.counts.maxlen)
