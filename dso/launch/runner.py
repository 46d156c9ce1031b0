"""Many runs: in a row, in processes of this machine, or on the workers of a Dask cluster."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dso.cluster import cluster
from dso.config.code import code_in
from dso.errors import Refused, UserError
from dso.islands import Engine, make_search
from dso.islands.engine import SECONDS_TO_END, island_engine, without_survivors
from dso.launch.jobs import Job, is_staged
from dso.launch.outcome import FAILED, Outcome
from dso.plugins import is_reference
from dso.processes import deferred, serve_parent
from dso.runs.disk import write_text
from dso.runs.folder import RunFolder
from dso.training.stopping import Standing

if TYPE_CHECKING:
    from dso.core import DeepSymbolicOptimizer

logger = logging.getLogger("dso")


class StatusFile:
    """Tell the command how far a run has come, at most twice a second.

    Parameters
    ----------
    path : Path
        Beside it a file ``stop`` may appear, with the number of a signal that all runs are to end
        by; see `StopFile`.
    """

    INTERVAL = 0.5

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = 0.0

    def __call__(self, standing: Standing) -> None:
        """Write the standing if it is time to; a callback of `DeepSymbolicOptimizer.train`."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.INTERVAL
            self.write(
                iteration=standing.iteration,
                n_samples=standing.n_samples,
                seconds=standing.seconds,
                r_best=standing.r_best,
            )

    def write(self, **values: float) -> None:
        """Replace the file; where that is not possible nobody sees it."""
        try:
            write_text(self.path, json.dumps(values))
        except OSError:
            return

    @staticmethod
    def read(path: Path) -> dict[str, Any] | None:
        """Return what was written last, None where there is nothing."""
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return None


class StopFile:
    """How the process of a batch asks its runs, wherever they are, to end as by a signal.

    Parameters
    ----------
    statuses : Path
        The folder of the `StatusFile` of every run.
    """

    def __init__(self, statuses: Path) -> None:
        self.path = statuses / "stop"

    def ask(self, number: int) -> None:
        """Ask for the end by this signal."""
        write_text(self.path, str(int(number)))

    def asked(self) -> int | None:
        """Return the number of the signal, None as long as there was none."""
        try:
            return int(self.path.read_text())
        except (OSError, ValueError):
            return None


def run_one(job: Job, engine: Engine | None = None) -> Outcome:
    """Do one run and add its row to ``summary.csv``.

    A run that was begun by the same command before, in a process that died, goes on from its
    checkpoint.
    """
    if is_staged(job.config):
        from dso.launch.stages import run_stages

        return run_stages(job)
    return _run(make_search(job.config, engine=engine), job, None)


def _run(model: DeepSymbolicOptimizer, job: Job, status: Path | None) -> Outcome:
    start = time.perf_counter()
    logger.info("Run with seed %d starts.", job.seed)
    signals: list[int] = []
    with deferred(signals.append, passes_on=False) if status is not None else nullcontext():
        started = job.config["experiment"].get("timestamp")
        if job.is_resumed or started is not None:
            model.resume(None if job.is_resumed else started)
        with deferred(signals.append, passes_on=False):
            result = model.train(None if status is None else _report(model, status, signals))
            del result["program"]
            result["t"] = time.perf_counter() - start
            if model.folder is not None:
                model.folder.append_summary(result)
    assert model.stop_reason is not None
    return Outcome(
        job.number,
        job.seed,
        model.stop_reason,
        result,
        model.save_path,
        model.stopping.signal or next(iter(signals), None),
        model.unwritten,
    )


def _report(
    model: DeepSymbolicOptimizer, status: Path, signals: list[int]
) -> Callable[[Standing], None]:
    """Return what is called after each iteration of a run that others watch, and may stop."""
    file, stop = StatusFile(status), StopFile(status.parent)
    file.write(iteration=0)

    def report(standing: Standing) -> None:
        file(standing)
        for number in filter(None, [stop.asked(), *signals]):
            model.stopping.heed(number)

    return report


def attempt(job: Job, status: Path | None = None) -> Outcome:
    """Do one run of several; an error is its outcome, and stands in ``summary.csv``."""
    if status is not None:
        serve_parent(SECONDS_TO_END)
    model = None
    try:
        if is_staged(job.config):
            from dso.launch.stages import run_stages

            return run_stages(job)
        model = make_search(job.config)
        return _run(model, job, status)
    except Refused as error:  # the process that writes the run writes its row too
        return Outcome(job.number, job.seed, FAILED, {"seed": job.seed, "error": str(error)})
    except Exception as error:
        logger.debug("seed %d failed", job.seed, exc_info=True)
        message = str(error) if isinstance(error, UserError) else repr(error)
        return failed(job, message, getattr(model, "folder", None))


def failed(job: Job, message: str, folder: RunFolder | None = None) -> Outcome:
    """Return the outcome of a run that ended with an error, and write it down where it belongs."""
    row = {"seed": job.seed, "error": message}
    experiment = job.config["experiment"]
    if folder is None and experiment["logdir"] is not None and experiment["exp_name"] is not None:
        path = Path(experiment["logdir"], experiment["exp_name"])
        first = {**experiment, "seed": experiment.get("starting_seed", job.seed)}
        config = {**job.config, "experiment": first}
        folder = RunFolder(path, "", job.seed, json.dumps(config, indent=3, default=str) + "\n")
    if folder is not None:
        folder.append_summary(row)
    return Outcome(job.number, job.seed, FAILED, row, None if folder is None else str(folder.path))


def in_a_row(jobs: Iterable[Job]) -> Iterator[Outcome]:
    """Do one run after the other in this process; of several, one that fails ends only itself."""
    jobs = list(jobs)
    for job in jobs:
        outcome = run_one(job) if len(jobs) == 1 else attempt(job)
        yield outcome
        if outcome.signal is not None:
            return


def in_processes(jobs: list[Job], n_processes: int, statuses: Path) -> Iterator[Outcome]:
    """Do runs in processes of this machine; yield outcomes in the order in which runs end.

    Where a process dies (killed, out of memory), the runs that were under way are done again, each
    in a process of its own; one whose process dies again has failed.

    Parameters
    ----------
    jobs : list of Job
    n_processes : int
        Each with one native thread.
    statuses : Path
        Folder for the `StatusFile` of every run.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    waiting = {job.number: job for job in jobs}
    stop = StopFile(statuses)
    with deferred(stop.ask, passes_on=False), without_survivors():
        while waiting:
            try:
                for outcome in _pool(list(waiting.values()), n_processes, statuses):
                    del waiting[outcome.number]
                    yield outcome
                return
            except BrokenProcessPool:
                # A run that has ended, but whose outcome did not arrive, would be done again.
                begun = [n for n in waiting if status_path(statuses, n).exists()]
                logger.warning("A process died; the runs under way are done again, one by one.")
            for number in begun or list(waiting)[:1]:
                if stop.asked() is not None:
                    return
                yield _alone(waiting.pop(number), statuses)


def status_path(statuses: Path, number: int) -> Path:
    return statuses / f"{number}.json"


def _pool(jobs: list[Job], n_processes: int, statuses: Path) -> Iterator[Outcome]:
    from joblib import Parallel, delayed, parallel_config

    def pending() -> Iterator[Any]:
        for job in jobs:
            if StopFile(statuses).asked() is not None:
                return
            yield delayed(attempt)(job, status_path(statuses, job.number))

    with parallel_config("loky", inner_max_num_threads=1):
        yield from Parallel(
            n_jobs=max(n_processes, 2),  # one would be this process
            pre_dispatch="n_jobs",
            batch_size=1,
            return_as="generator_unordered",
        )(pending())


def _alone(job: Job, statuses: Path) -> Outcome:
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    with ProcessPoolExecutor(1) as executor:
        try:
            return executor.submit(attempt, job, status_path(statuses, job.number)).result()
        except BrokenProcessPool:
            return failed(job, "its process died twice: it was killed, or ran out of memory")
        except BaseException:
            executor.shutdown(wait=False, kill_workers=True)
            raise


def references_in(job: Job) -> list[str]:
    """Return the user's own objects that a run imports by name."""
    return [name for name in code_in(job.config) if is_reference(name)]


def on_dask(jobs: list[Job], scheduler: str, statuses: Path) -> Iterator[Outcome]:
    """Do runs on the workers of a Dask cluster, through joblib; yield outcomes at the end.

    A run whose worker is lost is done again on another one, from its newest checkpoint where the
    workers share a file system.

    Parameters
    ----------
    jobs : list of Job
    scheduler : str
        See `cluster`.
    statuses : Path
        Folder for the `StatusFile` of every run, of use where workers see it.
    """
    from joblib import Parallel, delayed, parallel_config

    code = [name for job in jobs for name in references_in(job)]
    with cluster(scheduler, code) as client, parallel_config("dask", client=client):
        yield from Parallel(n_jobs=-1, batch_size=1)(
            delayed(attempt)(job, status_path(statuses, job.number)) for job in jobs
        )


@contextmanager
def status_folder(beside: str | None) -> Iterator[Path]:
    """Make a folder for status files, which goes away.

    Parameters
    ----------
    beside : str or None
        The folder of results, which workers elsewhere see if any; else one for temporary files.
    """
    path = None
    if beside is not None:
        try:
            Path(beside).mkdir(parents=True, exist_ok=True)
            path = tempfile.mkdtemp(prefix=".status_", dir=beside)
        except OSError:
            path = None
    path = path or tempfile.mkdtemp(prefix="dso_")
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def do_jobs(
    jobs: list[Job],
    *,
    n_processes: int = 1,
    scheduler: str | None = None,
    watch: Callable[[Path], object] | None = None,
) -> Iterator[Outcome]:
    """Do all runs of a batch; yield outcomes as they come.

    Parameters
    ----------
    jobs : list of Job
    n_processes : int
        1 is this one. With more, and on a cluster, runs show no progress themselves and use one
        native thread each.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the runs.
    watch : callable, optional
        Is told the folder of the status files.
    """
    if len(jobs) == 1 and jobs[0].config["islands"]["n"] > 1:
        with island_engine(n_processes, scheduler, code=references_in(jobs[0])) as engine:
            yield run_one(jobs[0], engine)
        return
    if scheduler is None and n_processes == 1:
        yield from in_a_row(jobs)
        return
    for job in jobs:
        job.config["training"].update(verbose=False, n_cores_batch=1)
        job.config["gp_meld"]["parallel_eval"] = False
    with status_folder(jobs[0].config["experiment"]["logdir"] if scheduler else None) as statuses:
        if watch is not None:
            watch(statuses)
        if scheduler is not None:
            yield from on_dask(jobs, scheduler, statuses)
        else:
            yield from in_processes(jobs, n_processes, statuses)
