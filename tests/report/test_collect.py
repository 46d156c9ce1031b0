"""A page for every state in which a folder can be."""

import json
import math
import os
import shutil

import numpy as np
import pytest

from dso.report import Collector, build_page
from tests.support.runs import change_config


def collected(*folders):
    content = Collector(folders).collect()
    json.dumps(content, allow_nan=False)  # only what JSON has
    assert build_page(content, "title")
    return content


def test_finished_runs(finished):
    content = collected(finished)
    assert [run["name"] for run in content["runs"]] == ["seed 0", "seed 1"]
    assert [run["status"] for run in content["runs"]] == ["done", "done"]
    for run in content["runs"]:
        assert run["curves"]["r_best"][-1] == pytest.approx(run["result"]["r"], rel=1e-5)
        assert run["n_iterations"] == 6
        assert run["distribution"]["iteration"][-1] == 6
        assert len(run["hof"]) == run["n_hof"] == 20
        for row in (*run["hof"], *run["pf"]):
            assert row["expression"] in content["formulas"]
            assert set(row["traversal"].split(",")) <= set(content["folders"][0]["arities"])
    (folder,) = content["folders"]
    assert folder["issues"] == []
    assert folder["no_data"] is None
    best = content["runs"][0]["result"]["traversal"]
    assert len(folder["predictions"][best]) == len(folder["data"]["y"])
    assert len(folder["data"]["X"]) == 1  # by input
    assert ("task.dataset", "Nguyen-5") in [tuple(pair) for pair in folder["settings"]]


def test_a_run_that_goes_on(folder):
    (folder / "summary.csv").unlink()
    change_config(folder, "training", n_samples=5000)
    log = folder / "dso_Nguyen-5_0.csv"
    with log.open("a") as file:
        file.write("0.99,0.9")  # a line that is being written
    os.utime(folder / "dso_Nguyen-5_1.csv", (0, 0))
    content = collected(folder)
    first, second = content["runs"]
    assert (first["status"], second["status"]) == ("running", "stopped")
    assert first["n_iterations"] == 6
    assert first["result"]["expression"] == first["hof"][0]["expression"]
    assert first["result"]["n_samples"] == 1200
    (issue,) = content["folders"][0]["issues"]
    assert issue == "dso_Nguyen-5_0.csv ends within a line, which is left out"


def test_a_run_from_python_ends_without_a_summary(folder):
    (folder / "summary.csv").unlink()
    assert {run["status"] for run in collected(folder)["runs"]} == {"done"}  # 1200 of 1200
    change_config(folder, "training", n_samples=5000)
    assert {run["status"] for run in collected(folder)["runs"]} == {"running"}
    hof = folder / "dso_Nguyen-5_0_hof.csv"
    hof.write_text(hof.read_text().replace("False", "True"))
    assert collected(folder)["runs"][0]["status"] == "done"


def test_files_that_are_missing_empty_or_foreign(folder):
    (folder / "config.json").write_text("{")
    (folder / "dso_Nguyen-5_0.csv").write_bytes(b"")
    (folder / "dso_Nguyen-5_0_hof.csv").write_bytes(b'\x00\xff\n\x93\n,,,,,\n"')
    (folder / "dso_Nguyen-5_0_pf.csv").write_text("a,b\n1,2\n")
    (folder / "dso_Nguyen-5_0_all_r.npy").write_bytes(b"\x93NUMPY")
    (folder / "dso_Nguyen-5_1_hof.csv").unlink()
    (folder / "summary.csv").write_text("r\n1\n")
    content = collected(folder)
    assert content["runs"][0]["hof"] == content["runs"][0]["pf"] == []
    assert content["runs"][1]["n_iterations"] == 6
    issues = " ".join(content["folders"][0]["issues"])
    assert "config.json" in issues
    assert "all_r.npy" in issues


def test_every_prefix_of_a_file_can_be_read(folder):
    """Cut each file of a run at many places, as a full disk or a plug that is pulled does."""
    random = np.random.default_rng(0)
    own = sorted(folder.glob("dso_Nguyen-5_0*"))
    for path in (*own, folder / "summary.csv", folder / "config.json"):
        content = path.read_bytes()
        for end in random.integers(0, len(content), 2):
            path.write_bytes(content[:end])
            Collector([folder]).collect()
        path.write_bytes(content)


def test_nothing_at_all(tmp_path):
    content = collected(tmp_path)
    assert content["runs"] == []
    assert collected(tmp_path / "gone")["runs"] == []


def test_a_seed_that_failed(folder):
    with (folder / "summary.csv").open() as file:
        header, *rows = file.read().splitlines()
    (folder / "summary.csv").write_text(
        f"{header},error\n{rows[0]},\n7{',' * header.count(',')},no memory <left>\n"
    )
    content = collected(folder)
    states = {run["seed"]: run["status"] for run in content["runs"]}
    assert states == {0: "done", 1: "done", 7: "failed"}
    assert content["runs"][2]["result"]["error"] == "no memory <left>"


def test_a_hundred_runs_stay_small(folder):
    originals = list(folder.glob("dso_Nguyen-5_0*"))
    for seed in range(2, 100):
        for path in originals:
            os.link(path, folder / path.name.replace("_0", f"_{seed}", 1))
    content = collected(folder)
    assert len(content["runs"]) == 100
    assert len(build_page(content, "many")) < 4e6
    assert sum(run["distribution"] is not None for run in content["runs"]) < 20


def test_folders_of_the_same_name_are_told_apart(finished, tmp_path):
    other = shutil.copytree(finished, tmp_path / finished.name)
    content = collected(finished, other)
    names = [folder["name"] for folder in content["folders"]]
    assert len(set(names)) == 2
    assert len({run["name"] for run in content["runs"]}) == 4


def test_only_what_has_changed_is_read_again(folder, monkeypatch):
    import pandas as pd

    read = []
    original = pd.read_csv
    monkeypatch.setattr(
        pd, "read_csv", lambda *args, **keys: read.append(1) or original(*args, **keys)
    )
    collector = Collector([folder])
    first, stamp = collector.collect(), collector.stamp()
    n_files = len(read)
    assert n_files == 7
    collector.collect()
    assert len(read) == n_files
    with (folder / "dso_Nguyen-5_0.csv").open("a") as file:
        file.write((folder / "dso_Nguyen-5_0.csv").read_text().splitlines()[-1] + "\n")
    assert collector.stamp() != stamp
    second = collector.collect()
    assert len(read) == n_files + 1
    assert second["runs"][0]["n_iterations"] == first["runs"][0]["n_iterations"] + 1


def test_rewards_that_are_not_finite(folder):
    log = folder / "dso_Nguyen-5_0.csv"
    lines = log.read_text().splitlines()
    lines[1] = ",".join(["-inf", "nan", "inf", *lines[1].split(",")[3:]])
    log.write_text("\n".join(lines) + "\n")
    curves = collected(folder)["runs"][0]["curves"]
    assert curves["r_best"][0] is None
    assert all(value is None or math.isfinite(value) for value in curves["r_max"])


def test_what_the_data_say_of_the_form(finished):
    run = collected(finished)["runs"][0]
    why = "none found, as the budget is too small for models of the data"
    assert run["reductions"] == {"why": why, "steps": []}


def test_a_story_that_cannot_be_read(folder):
    (folder / "dso_Nguyen-5_0_reductions.json").write_text('{"why": "y depends"}')
    content = collected(folder)
    assert content["runs"][0]["reductions"] is None
    assert content["folders"][0]["issues"] == ["dso_Nguyen-5_0_reductions.json cannot be read"]
