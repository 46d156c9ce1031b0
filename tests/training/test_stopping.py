"""Every rule that ends a run, and the watch for dead ends."""

import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from dso.errors import UserError
from dso.program.batch import Batch
from dso.program.program_batch import ProgramBatch
from dso.training.stopping import DeadEndWatch, Standing, Stopping

STANDING = Standing(
    iteration=10, n_samples=1000, seconds=5.0, r_best=0.8, best_iteration=4, success=False
)


def finished(n_rows, withdrawn):
    return Batch(ProgramBatch.from_rows([[0]] * n_rows), np.ones(n_rows, bool), withdrawn=withdrawn)


def test_what_is_enough_ends_an_iteration_but_not_the_end_phase() -> None:
    stopping = Stopping(n_samples=1001)
    assert not stopping.is_over
    stopping.is_enough = lambda: True
    assert stopping.is_over
    stopping.start_end()
    assert not stopping.is_over


def test_goes_on_while_no_rule_speaks():
    stopping = Stopping(
        n_samples=1001, max_seconds=5.1, reward_threshold=0.81, patience=7, callback=lambda _: None
    )
    assert stopping.reason(STANDING) is None


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"n_samples": 1000}, "n_samples = 1000"),
        ({"max_seconds": 5.0}, "max_seconds = 5"),
        ({"reward_threshold": 0.8}, "reward_threshold = 0.8"),
        ({"patience": 6}, "patience = 6"),
        ({"callback": lambda standing: standing.iteration == 10}, "callback"),
    ],
)
def test_each_rule_ends_the_run(rule, word):
    assert word in Stopping(**{"n_samples": 10**6, **rule}).reason(STANDING)


def test_success_ends_the_run_only_with_early_stopping():
    solved = replace(STANDING, success=True)
    assert "success" in Stopping(n_samples=10**6).reason(solved)
    assert Stopping(n_samples=10**6, early_stopping=False).reason(solved) is None


def test_the_first_interrupt_asks_and_the_second_breaks_off():
    stopping = Stopping(n_samples=10**6)
    before = signal.getsignal(signal.SIGINT)
    with stopping.on_signals():
        signal.raise_signal(signal.SIGINT)
        assert stopping.reason(STANDING) == "interrupted"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_run_without_a_signal_handler():
    entered = []

    def run():
        with Stopping(n_samples=1).on_signals():
            entered.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert entered == [True]


def test_dead_ends_end_the_run_only_after_a_full_window():
    watch = DeadEndWatch(lambda programs: "table", window=3)
    watch.update(finished(10, withdrawn=11))
    watch.update(finished(10, withdrawn=11))
    with pytest.raises(UserError, match=r"52%.*\ntable"):
        watch.update(finished(10, withdrawn=11))


def test_half_of_the_draws_may_be_withdrawn():
    watch = DeadEndWatch(lambda programs: "table", window=2)
    for n_withdrawn in (30, 0, 20, 0, 20):
        watch.update(finished(10 if n_withdrawn < 30 else 30, n_withdrawn))
