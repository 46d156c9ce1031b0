"""Engines of islands whose processes are up before anything is to be done."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dso.islands import Engine, island_engine


def process() -> int:
    time.sleep(0.02)
    return os.getpid()


@contextmanager
def engine_that_is_up(n_processes: int, **how: object) -> Iterator[Engine]:
    """Yield an engine that waits for all of its processes."""
    with island_engine(n_processes) as engine:
        end = time.monotonic() + 60
        while len(set(engine([(process,)] * 3 * n_processes))) < n_processes:
            assert time.monotonic() < end
        yield engine
