"""A Dask cluster on this machine."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripts import ROOT


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Start a Dask scheduler and three workers on this machine; yield address and workers."""
    run = {"cwd": tmp_path, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    dask = [sys.executable, "-W", "ignore", "-m", "distributed.cli"]
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen(
        [*dask[:-1], "distributed.cli.dask_scheduler", *options], env=environment, **run
    )
    address = None
    for line in scheduler.stderr:
        if "Scheduler at" in line:
            address = line.split()[-1]
            break
    threading.Thread(target=scheduler.stderr.read, daemon=True).start()
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
    workers = [
        subprocess.Popen(
            [*dask[:-1], "distributed.cli.dask_worker", address, *options],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()
    scheduler.stderr.close()
