"""What happens to results when the disk refuses, and when files are taken away."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dso import DeepSymbolicOptimizer
from dso.runs.array_log import ArrayLog
from dso.runs.disk import GrowingFile, Guard, write_text
from dso.runs.folder import insert_row, read_rows
from tests.support.runs import EVERYTHING, files, long, stop_after


class Disk:
    """A disk with so much room left."""

    def __init__(self, monkeypatch):
        self.room = 10**9
        self.pwrite, self.replace = os.pwrite, os.replace
        monkeypatch.setattr(os, "pwrite", self.write)
        monkeypatch.setattr(os, "replace", self.move)

    def write(self, handle, data, offset):
        n = min(len(data), self.room)
        if n == 0 and len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= n
        return self.pwrite(handle, bytes(data[:n]), offset)

    def move(self, source, target):
        size = os.path.getsize(source)
        if size > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= size
        self.replace(source, target)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_a_full_disk_loses_nothing(tmp_path, disk, caplog):
    """The run goes on, says so once, and all is there when there is room again."""
    caplog.set_level("INFO", "dso")
    everything = {**EVERYTHING, "logging": {**EVERYTHING["logging"], "save_summary": False}}
    whole = DeepSymbolicOptimizer(long(tmp_path, "whole", **everything))
    expected = whole.train(stop_after(8))
    model = DeepSymbolicOptimizer(long(tmp_path, "full", **everything))

    def fill(standing):
        disk.room = {3: 700, 6: 10**9}.get(standing.iteration, disk.room)
        return standing.iteration >= 8

    result = model.train(fill)
    assert result["traversal"] == expected["traversal"]
    assert files(tmp_path / "full") == files(tmp_path / "whole")
    said = [r.getMessage() for r in caplog.records if "written" in r.getMessage()]
    assert len(said) == 2
    assert "cannot be written (No space left on device). The run continues" in said[0]
    assert "written again" in said[1]


def test_a_place_where_nothing_can_be_written_does_not_end_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    model = DeepSymbolicOptimizer(long(tmp_path / "file"))
    assert model.train(stop_after(6))["expression"]
    assert caplog.text.count("cannot be written") == 1


@pytest.mark.parametrize("when", [1, 3, 6])
def test_a_folder_that_is_deleted_comes_back_with_everything(tmp_path, when):
    everything = {**EVERYTHING, "logging": {**EVERYTHING["logging"], "save_summary": False}}
    DeepSymbolicOptimizer(long(tmp_path, "whole", **everything)).train(stop_after(6))
    model = DeepSymbolicOptimizer(long(tmp_path, "gone", **everything))

    def delete(standing):
        if standing.iteration == when:
            shutil.rmtree(tmp_path / "gone")
        return standing.iteration >= 6

    model.train(delete)
    assert files(tmp_path / "gone") == files(tmp_path / "whole")
    assert (tmp_path / "gone" / "config.json").exists()


def test_what_waits_is_bounded(tmp_path, monkeypatch, caplog):
    file = GrowingFile(tmp_path / "gone" / "a", Guard(), max_waiting=1000)
    monkeypatch.setattr(Path, "mkdir", lambda *arguments, **options: None)
    for _ in range(30):
        file.append(b"x" * 100)
        file.write()
    assert file.n_bytes == 1000
    assert caplog.text.count("rows are left out") == 1
    (tmp_path / "gone").rmdir() if (tmp_path / "gone").exists() else os.mkdir(tmp_path / "gone")
    file.close()
    assert (tmp_path / "gone" / "a").read_bytes() == b"x" * 1000


class AnyTrouble(RuleBasedStateMachine):
    """Whatever is done to a growing file, in the end it holds all that was appended."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.disk = Disk(self.patch)
        self.folder = Path(os.path.realpath("."), f"trouble{id(self)}")
        self.guard = Guard()
        self.file = GrowingFile(self.folder / "a", self.guard)
        self.expected = b""
        self.saved = None

    @rule(data=st.binary(max_size=50))
    def append(self, data):
        assert self.file.append(data)
        self.expected += data
        self.file.write()

    @rule(room=st.sampled_from([0, 1, 7, 10**9]))
    def fill(self, room):
        self.disk.room = room

    @rule()
    def delete(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule()
    def reopen(self):
        if self.disk.room > 1000 and self.folder.exists():
            self.file.close()
            self.file.write()

    @rule()
    def save(self):
        if self.disk.room > 1000:
            self.saved = (self.file.state_dict(), self.expected)

    @rule()
    def go_back(self):
        if self.saved is not None and (self.folder / "a").exists() and self.disk.room > 1000:
            self.file.close()
            state, expected = self.saved
            if (self.folder / "a").stat().st_size >= state["n_written"]:
                self.file = GrowingFile(self.folder / "a", self.guard)
                self.file.load_state_dict(state)
                self.expected = expected

    @invariant()
    def nothing_is_lost(self):
        assert self.file.n_bytes == len(self.expected)

    def teardown(self):
        self.disk.room = 10**9
        self.file.write()
        assert (self.folder / "a").read_bytes() == self.expected
        self.file.close()
        shutil.rmtree(self.folder)
        self.patch.undo()


@pytest.fixture
def somewhere(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("CRITICAL")


@pytest.mark.usefixtures("somewhere")
class TestAnyTrouble(AnyTrouble.TestCase):
    settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_an_array_goes_on_from_a_shortened_file(tmp_path):
    log = ArrayLog(tmp_path / "a.npy", np.float64, fill=0.0)
    for value in range(4):
        log.append(np.array([value, 1.0]))
    state = log.state_dict()
    log.close()
    path = tmp_path / "a.npy"
    path.write_bytes(path.read_bytes()[:-20])
    other = ArrayLog(path, np.float64, fill=0.0)
    other.load_state_dict(state)
    other.append(np.array([9.0, 1.0]))
    other.close()
    assert np.load(path)[:, 0].tolist() == [0.0, 1.0, 9.0]


def test_the_summary_depends_on_its_rows_alone(tmp_path):
    rows = [
        {"seed": 2, "r": 1, "error_log": 3, "t": 1.0},
        {"seed": 10, "error": "no"},
        {"seed": 0, "r": None, "error_exp": 4, "error_log": 5, "t": 2.0},
    ]
    texts = set()
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        path = tmp_path / f"{order}.csv"
        for i in order:
            insert_row(path, rows[i])
        texts.add(path.read_text())
    assert len(texts) == 1
    assert [line.split(",")[0] for line in texts.pop().splitlines()] == ["seed", "0", "2", "10"]
    insert_row(path, {"seed": 2, "r": 7})
    insert_row(path, {"seed": 2, "r": 8})
    kept, _ = read_rows(path)
    assert [(row["seed"], row["r"]) for row in kept] == [("0", ""), ("2", "8"), ("10", "")]


def test_a_summary_that_somebody_edited_is_kept(tmp_path):
    path = tmp_path / "summary.csv"
    path.write_text("name,seed\nmine,x\nshort\nlong,1,2,3\n")
    insert_row(path, {"seed": 0, "r": 1.0})
    lines = path.read_text().splitlines()
    assert lines[0] == "name,seed,r"
    assert lines[-2:] == ["long,1,", ",0,1.0"] or lines[-2:] == [",0,1.0", "long,1,"]
    assert lines[1] == "mine,x,"


def test_a_planted_link_is_not_written_through(tmp_path, monkeypatch):
    monkeypatch.setattr("dso.runs.disk.secrets.token_hex", lambda n: "00")
    (tmp_path / "victim").write_text("theirs")
    (tmp_path / ".summary.csv.00").symlink_to("victim")
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "summary.csv", "ours")
    assert (tmp_path / "victim").read_text() == "theirs"
