"""Calls that are given up."""

import signal
import threading

from dso.program.time_limit import within


def forever() -> None:
    while True:
        pass


def test_what_takes_too_long_is_given_up() -> None:
    package = __name__.split(".")[0]
    before = signal.getsignal(signal.SIGVTALRM)
    assert within(0.05, package, forever) is None
    assert within(5, package, max, 1, 2) == 2
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_other_threads_get_no_limit_and_so_no_answer() -> None:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(within(5, "tests", max, 1, 2)))
    thread.start()
    thread.join()
    assert answers == [None]
