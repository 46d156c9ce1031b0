"""Signals wait until the work inside is done; workers end with the process that they work for."""

import multiprocessing
import os
import signal
import time

import pytest

from dso.processes import deferred, serve_parent


@pytest.fixture
def outer():
    """Return the signals that reach whoever handled them before."""
    came = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    }
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_are_noted_and_then_passed_on(outer):
    noted = []
    with deferred(noted.append):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.raise_signal(number)
        assert outer == []
    assert noted == [signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
    assert outer == [signal.SIGTERM, signal.SIGHUP]  # Ctrl-C has done what it should


def test_what_is_passed_on_reaches_the_next_one_out(outer):
    inner, middle = [], []
    with deferred(middle.append, passes_on=False):
        with deferred(inner.append):
            signal.raise_signal(signal.SIGTERM)
        assert middle == [signal.SIGTERM]
    assert inner == [signal.SIGTERM]
    assert outer == []


def test_what_is_ignored_still_is(outer):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    noted = []
    with deferred(noted.append):
        signal.raise_signal(signal.SIGHUP)
    assert noted == []


def test_an_error_inside_passes_signals_on_too(outer):
    def fail():
        with deferred(lambda number: None):
            signal.raise_signal(signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert outer == [signal.SIGTERM]


def grandparent(pipe):
    child = multiprocessing.get_context("spawn").Process(target=work, args=(pipe,))
    child.start()
    time.sleep(60)


def work(pipe):
    serve_parent(grace=0.2)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.raise_signal(number)  # which is for the parent to heed
    noted = []
    with deferred(noted.append):
        pipe.send(os.getpid())
        while not noted:
            time.sleep(0.01)
        pipe.send(noted)
        time.sleep(60)


def test_a_worker_ends_with_its_parent():
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    parent = context.Process(target=grandparent, args=(theirs,))
    parent.start()
    worker = ours.recv()
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    assert ours.poll(10)
    assert ours.recv() == [signal.SIGTERM]
    deadline = time.monotonic() + 10
    while is_alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
