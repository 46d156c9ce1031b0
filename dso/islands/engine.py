"""Where rounds are computed: in this process, in others of this machine, or on a cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from dso.cluster import cluster
from dso.errors import UserError
from dso.processes import serve_parent

if TYPE_CHECKING:
    from dso.islands.round import Stay


logger = logging.getLogger("dso")

Engine = Callable[[Callable[..., "Stay"], Sequence[tuple[Any, ...]]], list["Stay"]]
"""Calls a function with each tuple of arguments, here or elsewhere; results keep the order."""

N_ATTEMPTS = 3
"""At a round of islands, where processes die."""
SECONDS_TO_END = 3.0
"""What a run has for its iteration and its files where the process of the batch has died."""


def one_by_one(function: Callable[..., Stay], calls: Sequence[tuple[Any, ...]]) -> list[Stay]:
    """Do rounds in this process."""
    return [function(*arguments) for arguments in calls]


@contextmanager
def without_survivors() -> Iterator[None]:
    """End all worker processes at once where this one breaks off."""
    try:
        yield
    except BaseException:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=False, kill_workers=True)
        raise


@contextmanager
def island_engine(
    n_processes: int = 1,
    scheduler: str | None = None,
    patience: float = 0.0,
    code: Iterable[str] = (),
) -> Iterator[Engine]:
    """Yield what does the rounds of islands: here, in processes, or on a Dask cluster.

    A round is a pure function, so the round of a process that died is simply done again.

    Parameters
    ----------
    n_processes : int
        They end with this context.
    scheduler : str, optional
        Address of a Dask scheduler.
    patience : float
        Seconds before any process is started: rounds are done here till then, as a process takes
        a second to start.
    code : iterable of str
        What the workers of the cluster must be able to import; see `cluster`.
    """
    if scheduler is not None:
        with cluster(scheduler, code) as client:
            yield partial(_in_parallel, {"backend": "dask", "client": client}, -1)
    elif n_processes > 1:
        from joblib.externals.loky import get_reusable_executor

        with without_survivors():
            backend = {"backend": "loky", "inner_max_num_threads": 1}
            yield _first_here(partial(_in_parallel, backend, n_processes), patience)
            get_reusable_executor().shutdown(wait=True)
    else:
        yield one_by_one


def _first_here(engine: Engine, seconds: float) -> Engine:
    """Do rounds in this process until a time is over, then by an engine.

    The first island may take longest, as it does what the others leave to it, so it comes last: if
    it is the one that takes the time, the others are not kept waiting for it.
    """
    start = time.monotonic()

    def do(function: Callable[..., Stay], calls: Sequence[tuple[Any, ...]]) -> list[Stay]:
        left, done = list(calls), []
        while len(left) == 1 or (left and time.monotonic() - start < seconds):
            done.append(function(*left.pop()))
        return [*(engine(function, left) if left else []), *reversed(done)]

    return do


def _in_parallel(
    backend: dict[str, Any],
    n_jobs: int,
    function: Callable[..., Stay],
    calls: Sequence[tuple[Any, ...]],
) -> list[Stay]:
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    for attempt_left in range(N_ATTEMPTS - 1, -1, -1):
        try:
            with parallel_config(**backend):
                return Parallel(n_jobs=n_jobs, batch_size=1)(
                    delayed(_for_parent)(function, *arguments) for arguments in calls
                )
        except TerminatedWorkerError:
            if not attempt_left:
                raise UserError(
                    f"islands: processes died in {N_ATTEMPTS} tries at one round: they were "
                    "killed, or ran out of memory."
                ) from None
            logger.warning("A process died; the round of the islands is done again.")
    raise AssertionError  # the last try returns or raises


def _for_parent(function: Callable[..., Stay], *arguments: Any) -> Stay:
    """Do a round in a worker process: signals are for the parent, whose end is the worker's too."""
    serve_parent(SECONDS_TO_END)
    return function(*arguments)
