"""Files of a run: atomic, appended, shared."""

import csv
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from dso.runs.disk import write_text
from dso.runs.folder import IterationLog, RunFolder, insert_row, write_rows


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write_text(path, "old")

    def fail(source, target):
        raise OSError("disk")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_rows_with_different_keys_share_one_header(tmp_path):
    path = tmp_path / "a.csv"
    write_rows(path, [{"r": 1.5, "x": 'say "hi", there'}, {"r": 2, "y": None}], ["seed", "r"])
    assert path.read_text().splitlines()[0] == "seed,r,x,y"
    assert read(path) == [
        {"seed": "", "r": "1.5", "x": 'say "hi", there', "y": ""},
        {"seed": "", "r": "2", "x": "", "y": ""},
    ]


def test_an_empty_table_still_has_its_header(tmp_path):
    write_rows(tmp_path / "a.csv", [], ["r", "expression"])
    assert (tmp_path / "a.csv").read_text() == "r,expression\n"


def test_summary_rows_are_united_with_new_columns_in_their_place(tmp_path):
    path = tmp_path / "summary.csv"
    insert_row(path, {"seed": 0, "error_log": 3, "t": 1.0})
    insert_row(path, {"seed": 1, "error_exp": 4, "error_log": 5, "t": 2.0})
    assert path.read_text().splitlines() == ["seed,error_exp,error_log,t", "0,,3,1.0", "1,4,5,2.0"]


def test_rows_appended_at_the_same_time_are_all_there(tmp_path):
    path = tmp_path / "summary.csv"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: insert_row(path, {"seed": seed}), range(40)))
    assert sorted(int(row["seed"]) for row in read(path)) == list(range(40))


@pytest.mark.parametrize(
    ("save_freq", "rows_on_disk"), [(1, [1, 2, 3, 4]), (None, [1, 2, 3, 4]), (3, [0, 0, 3, 3])]
)
def test_the_log_is_on_disk_every_save_freq_rows(tmp_path, save_freq, rows_on_disk):
    log = IterationLog(tmp_path / "log.csv", save_freq)
    seen = []
    for i in range(4):
        log.append({"r": 0.5, "n": i})
        seen.append(len(read(tmp_path / "log.csv")))
    log.close()
    assert seen == rows_on_disk
    assert [row["n"] for row in read(tmp_path / "log.csv")] == ["0", "1", "2", "3"]


def test_a_save_freq_below_one_writes_at_the_end_only(tmp_path):
    log = IterationLog(tmp_path / "log.csv", 0)
    log.append({"r": 0.1})
    assert (tmp_path / "log.csv").read_text() == ""
    log.close()
    assert (tmp_path / "log.csv").read_text() == "r\n0.1\n"


def test_the_first_run_of_a_batch_writes_the_config(tmp_path):
    for seed in (0, 1):
        text = json.dumps({"experiment": {"seed": seed}})
        RunFolder(tmp_path / "new" / "run", "Nguyen-1", seed, text).create()
    assert (tmp_path / "new" / "run" / "config.json").read_text() == '{"experiment": {"seed": 0}}'


def test_files_are_named_for_task_and_seed(tmp_path):
    folder = RunFolder(tmp_path, "data/my", 7)
    assert folder.file("_hof.csv") == tmp_path / "dso_data_my_7_hof.csv"


def test_a_config_of_another_run_gives_way_with_a_warning(tmp_path, caplog):
    def config(**training):
        experiment = {"seed": training.pop("seed", 0)}
        return json.dumps({"experiment": experiment, "training": {"n_samples": 5, **training}})

    def written():
        return (tmp_path / "config.json").read_text()

    RunFolder(tmp_path, "task", 0, config()).create()
    for same in (config(seed=7), config(verbose=False)):
        RunFolder(tmp_path, "task", 1, same).create()
        assert written() == config()
    assert caplog.messages == []
    RunFolder(tmp_path, "task", 2, config(n_samples=6)).create()
    assert written() == config(n_samples=6)
    (said,) = caplog.messages
    assert "training.n_samples: 5 there, 6 here" in said
    (tmp_path / "config.json").write_text("[")
    RunFolder(tmp_path, "task", 3, config()).create()
    assert written() == config()


@pytest.mark.parametrize("name", ["a b", "dir/file", "module:Env-v0", 'x*?"<>|y', "\\\\"])
def test_names_of_files_can_be_held_by_every_system(tmp_path, name):
    made = RunFolder(tmp_path, name, 3).file(".csv").name
    assert re.fullmatch(r"dso_[\w.+-]+_3\.csv", made)
