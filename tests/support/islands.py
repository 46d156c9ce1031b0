"""Engines of islands whose processes are up before anything is to be done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from dso.islands import Engine, island_engine
from dso.islands.engine import Processes


@contextmanager
def engine_that_is_up(n_processes: int, **how: object) -> Iterator[Engine]:
    """Yield an engine that waits for all of its processes."""
    with island_engine(n_processes) as engine:
        assert isinstance(engine, Processes)
        end = time.monotonic() + 60
        while engine._n_idle < n_processes - 1 and time.monotonic() < end:
            time.sleep(0.02)
        yield engine
