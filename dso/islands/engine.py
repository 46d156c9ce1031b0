"""Where rounds are computed: in this process, in others of this machine too, or on a cluster.

Results come in the order of the calls, whoever does them, so that what a search makes of them does
not depend on that. A search that needs no more of them closes the iterator, which waits for what
has begun.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dso.cluster import cluster
from dso.errors import UserError
from dso.processes import serve_parent, unheard
from dso.reduction.threads import one_thread
from dso.task.regression import Dataset

if TYPE_CHECKING:
    from distributed import Client


logger = logging.getLogger("dso")

Call = tuple[Any, ...]
"""A function and its arguments. It can be pickled, and has no effect but its result."""
Results = Generator[Any, None, None]
Engine = Callable[[Sequence[Call]], Results]
"""Does calls, here or elsewhere, and yields their results in order."""

MAX_DEATHS = 3
"""Of worker processes; after these no more are started."""
SECONDS_TO_END = 3.0
"""What a run has for its iteration and its files where the process of the batch has died."""
MIN_SHARED_BYTES = 1_000_000
"""Of data that are memory-mapped by all processes; less is sent to each."""
THREAD_LIMITS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


def one_by_one(calls: Sequence[Call]) -> Results:
    """Do calls in this process."""
    for call in calls:
        yield _here(call)


def _here(call: Call) -> Any:
    function, *arguments = call
    with one_thread():  # in any process, so that sums are added up in the same order
        return function(*arguments)


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
        This one included. The others end with this context.
    scheduler : str, optional
        Address of a Dask scheduler.
    patience : float
        Seconds before any process is started, as that takes a second or two.
    code : iterable of str
        What the workers of the cluster must be able to import; see `cluster`.
    """
    if scheduler is not None:
        with cluster(scheduler, code) as client:
            yield partial(_on_cluster, client, {})
    elif n_processes > 1:
        processes = Processes(n_processes - 1, patience)
        try:
            yield processes
        finally:
            processes.end()
    else:
        yield one_by_one


class Processes:
    """Does calls in this process and in others: whichever is free does the next one.

    A thread stands for each of the others: it takes calls that this process has not begun. This
    process takes part from the start, so that none waits for others to come up.

    Parameters
    ----------
    n_workers : int
        Processes besides this one.
    patience : float
        Seconds before they are started.
    """

    def __init__(self, n_workers: int, patience: float = 0.0) -> None:
        self.n_workers = n_workers
        self._start_at = time.monotonic() + patience
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._executor: Executor | None = None
        self._n_deaths = 0
        self._shared: dict[int, _Shared] = {}
        self._hands = ThreadPoolExecutor(n_workers, initializer=self._start)

    def __call__(self, calls: Sequence[Call]) -> Results:
        """Do calls; see `Engine`."""
        # The first is done here, where it is known at once what it brings.
        n = len(calls)
        sent = {k: self._hands.submit(self._there, *calls[k]) for k in range(1, n)}
        done: dict[int, Any] = {}

        def is_free(k: int) -> bool:
            return k not in done and (k not in sent or sent[k].cancel())

        try:
            for i in range(n):
                while i not in done and not (i in sent and sent[i].done()):
                    k = next(filter(is_free, range(i, n)), None)
                    if k is None:
                        break
                    done[k] = _here(calls[k])
                yield done.pop(i) if i in done else _result(sent[i], calls[i])
        finally:
            wait([future for future in sent.values() if not future.cancel()])

    def end(self) -> None:
        """End the processes, whatever they do."""
        self._over.set()
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
        self._hands.shutdown(cancel_futures=True)
        for shared in self._shared.values():
            shared.remove()

    def _start(self) -> None:
        """Start a process for a thread, which takes no call before that is up."""
        if not self._over.wait(self._start_at - time.monotonic()):
            with suppress(RuntimeError):  # it has died, or the search has ended
                self._there(_wake)

    def _there(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Do a call in another process; raise BrokenProcessPool where there is none."""
        executor = self._living()
        try:
            return self._send(executor, function, arguments).result()
        except BrokenProcessPool:
            self._mourn(executor)
            raise

    def _send(
        self, executor: Executor, function: Callable[..., Any], arguments: Sequence[Any]
    ) -> Future:
        try:
            arguments = [self._for_worker(argument) for argument in arguments]
            with unheard():
                return executor.submit(_for_parent, function, *arguments)
        except OSError as error:  # no more processes or files to be had
            raise BrokenProcessPool(str(error)) from error

    def _living(self) -> Executor:
        """Return the processes; others in place of those that died."""
        from joblib.externals.loky import ProcessPoolExecutor

        with self._lock:
            if self._over.is_set() or self._n_deaths >= MAX_DEATHS:
                raise BrokenProcessPool("No processes are started any more.")
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    self.n_workers, timeout=None, env=THREAD_LIMITS
                )
            return self._executor

    def _mourn(self, executor: Executor) -> None:
        """Give up processes of which one has died or could not be started."""
        with self._lock:
            if executor is not self._executor:
                return  # known already
            self._executor = None
            self._n_deaths += 1
        executor.shutdown(wait=False, kill_workers=True)  # type: ignore[call-arg]
        logger.warning("A process died or did not start; what it did for an island is done again.")

    def _for_worker(self, argument: Any) -> Any:
        """Return large data as a file that all processes map into their memory."""
        if not isinstance(argument, Dataset) or argument.X_train.nbytes < MIN_SHARED_BYTES:
            return argument
        with self._lock:
            if id(argument) not in self._shared:
                self._shared[id(argument)] = _Shared(argument)
            return self._shared[id(argument)]


def _result(future: Future, call: Call) -> Any:
    """Wait for what another process does; where it died, do that here."""
    try:
        return future.result()
    except BrokenProcessPool:
        return _here(call)


class _Shared:
    """Data in a file; unpickled it is the data, mapped into memory."""

    def __init__(self, data: Dataset) -> None:
        import joblib

        self.data = data  # so that no other has its id
        self.folder = tempfile.TemporaryDirectory(prefix="dso_")
        self.path = str(Path(self.folder.name, "data.joblib"))
        joblib.dump(data, self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return _mapped, (self.path,)

    def remove(self) -> None:
        """Remove the file."""
        self.folder.cleanup()


_of_files: dict[str, Any] = {}


def _mapped(path: str) -> Any:
    """Return what a file holds, the same for each call of this process."""
    import joblib

    if path not in _of_files:
        _of_files[path] = joblib.load(path, mmap_mode="r")
    return _of_files[path]


def _wake() -> None:
    """Import what a round needs."""
    import dso.policy  # noqa: F401

    serve_parent(SECONDS_TO_END)


def _for_parent(function: Callable[..., Any], *arguments: Any) -> Any:
    """Do a call in a worker process: signals are for the parent, whose end is the worker's too."""
    serve_parent(SECONDS_TO_END)
    return _here((function, *arguments))


def _on_cluster(client: Client, shared: dict[int, Any], calls: Sequence[Call]) -> Results:
    """Do calls on the workers of a cluster; those of lost ones are done again there.

    `shared` are the data that are there, by their id, each with the data here so that they last.
    """
    from distributed import KilledWorker

    def there(argument: Any) -> Any:
        if not isinstance(argument, Dataset):
            return argument
        if id(argument) not in shared:
            shared[id(argument)] = client.scatter(argument, broadcast=True, hash=False), argument
        return shared[id(argument)][0]

    futures = [
        client.submit(_here, (function, *map(there, arguments)), pure=False)
        for function, *arguments in calls
    ]
    try:
        for future in futures:
            yield future.result()
    except KilledWorker:
        raise UserError(
            "islands: workers of the cluster died in several tries at one round: they were killed, "
            "or ran out of memory."
        ) from None
    finally:
        client.cancel(futures)
