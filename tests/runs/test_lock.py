"""One process at a time writes a run; a lock whose holder has died is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dso import DeepSymbolicOptimizer
from dso.errors import Refused
from dso.run import main
from dso.runs.lock import RunLock, wait_for_writers
from tests.support.runs import files, long, stop_after

ROOT = Path(__file__).resolve().parents[2]


HOLD = """
import sys, time
from pathlib import Path
from dso.runs.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Return a process that holds a lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / ".dso_a_3.lock")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_holder_is_named_and_waited_for(tmp_path, holder):
    lock = RunLock(tmp_path / ".dso_a_3.lock", patience=0.1)
    with pytest.raises(Refused, match=rf"is being written by process {holder.pid} on .* since"):
        lock.acquire()
    with pytest.raises(Refused, match="dso_a_3"):
        wait_for_writers(tmp_path, 3, patience=0.1)
    wait_for_writers(tmp_path, 13)
    holder.kill()  # and the lock is stale
    lock.patience = 5.0
    lock.acquire()


def test_a_lock_leaves_nothing_behind(tmp_path):
    lock = RunLock(tmp_path / ".dso_a_0.lock")
    for _ in range(2):
        lock.acquire()
        lock.acquire()
        assert json.loads(lock.path.read_text())["pid"] == os.getpid()
        lock.release()
        lock.release()
    assert list(tmp_path.iterdir()) == []


def impatient(model):
    model.setup()
    model.folder.lock.patience = 0.05
    return model


def test_a_second_writer_is_refused_and_changes_nothing(tmp_path):
    first = DeepSymbolicOptimizer(long(tmp_path))
    for _ in range(5):
        first.train_one_step()
    before = files(tmp_path / "run")
    second = impatient(DeepSymbolicOptimizer(long(tmp_path)))
    with pytest.raises(Refused, match="is being written by process"):
        second.train_one_step()
    third = impatient(DeepSymbolicOptimizer(long(tmp_path)))
    with pytest.raises(Refused, match="is being written by process"):
        third.load(tmp_path / "run")
    assert files(tmp_path / "run") == before
    first.journal.close()
    assert third.load(tmp_path / "run") is None
    third.train(stop_after(6))


def test_a_resume_of_a_run_that_goes_on_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("dso.runs.lock.PATIENCE", 0.05)
    model = DeepSymbolicOptimizer(long(tmp_path))
    for _ in range(3):
        model.train_one_step()
    before = files(tmp_path / "run")
    outcome = CliRunner().invoke(main, ["--resume", str(tmp_path / "run")])
    assert outcome.exit_code == 1
    assert f"is being written by process {os.getpid()}" in outcome.stderr
    assert files(tmp_path / "run") == before
    assert not (tmp_path / "run" / "summary.csv").exists()
    model.journal.close()
