"""The processes of an engine: each call is done once, results come in order, a death is made up."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.islands import island_engine
from dso.islands.engine import Processes
from dso.task.regression.dataset import from_arrays


class Threads(ThreadPoolExecutor):
    """Stands for processes that are up at once."""

    def __init__(self, n: int, **how: Any) -> None:
        super().__init__(n)

    def shutdown(self, wait: bool = True, kill_workers: bool = False) -> None:  # type: ignore[override]
        super().shutdown(wait=wait, cancel_futures=kill_workers)


def doing(done: list[int], k: int, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    done.append(k)
    return 10 * k


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=4), st.integers(1, 3), st.booleans())
def test_results_come_in_order_and_once(sizes: list[int], n_workers: int, starts: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("joblib.externals.loky.ProcessPoolExecutor", Threads)
        processes = Processes(n_workers, patience=0.0 if starts else 1e9)
        for n in sizes:
            done: list[int] = []
            results = list(processes([(doing, done, k, 1e-4) for k in range(n)]))
            assert results == [10 * k for k in range(n)]
            assert sorted(done) == list(range(n))
        processes.end()


@pytest.mark.parametrize("n_workers", [1, 2])
def test_others_take_part(monkeypatch: pytest.MonkeyPatch, n_workers: int) -> None:
    """With as many calls as processes each does one, since they wait for each other."""
    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", Threads)
    processes = Processes(n_workers)
    together = threading.Barrier(n_workers + 1, timeout=30)
    for _ in range(2):
        calls = [(together.wait,) for _ in range(n_workers + 1)]
        assert sorted(processes(calls)) == list(range(n_workers + 1))
    processes.end()


def test_where_no_process_can_be_started_this_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Threads):
        def submit(self, *call: Any) -> Any:
            raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", Full)
    processes = Processes(2)
    for _ in range(4):
        done: list[int] = []
        assert list(processes([(doing, done, k, 1e-3) for k in range(5)])) == [0, 10, 20, 30, 40]
        assert sorted(done) == list(range(5))
    processes.end()


def test_calls_after_the_last_result_that_is_wanted_are_not_begun() -> None:
    done: list[int] = []
    processes = Processes(1, patience=1e9)
    results = processes([(doing, done, k) for k in range(9)])
    assert [next(results), next(results)] == [0, 10]
    results.close()
    assert done == [0, 1]
    assert list(processes([])) == []
    processes.end()


def looked_at(data: Any, home: int) -> tuple[bool, float, bool]:
    time.sleep(0.05)
    rows = data.X_train
    is_mapped = isinstance(rows, np.memmap) or isinstance(rows.base, np.memmap)
    return os.getpid() == home, float(rows.sum()), is_mapped


def dies_elsewhere(home: int, seen: Path) -> int:
    """End the process that this is called in at its first call elsewhere."""
    if os.getpid() != home and not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return os.getpid()


@pytest.mark.slow
def test_processes_map_many_rows_and_what_a_dead_one_left_is_done_again(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(70_000, 3))
    data, home, seen = from_arrays(X, X[:, 0]), os.getpid(), tmp_path / "seen"
    found: list[tuple[bool, float, bool]] = []
    pids: set[int] = set()
    with island_engine(2) as engine:
        end = time.monotonic() + 60
        while all(is_home for is_home, _, _ in found) and time.monotonic() < end:
            found += engine([(looked_at, data, home)] * 4)
        while not seen.exists() and time.monotonic() < end:
            assert len(list(engine([(dies_elsewhere, home, seen)] * 4))) == 4
        while len(pids) < 2 and time.monotonic() < end:  # another one has come up since
            pids |= set(engine([(dies_elsewhere, home, seen)] * 4))
    assert {total for _, total, _ in found} == {float(data.X_train.sum())}
    assert {(is_home, is_mapped) for is_home, _, is_mapped in found} >= {(False, True)}
    assert not any(is_mapped for is_home, _, is_mapped in found if is_home)
    assert seen.exists()
    assert len(pids) == 2
    for pid in pids - {home}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
