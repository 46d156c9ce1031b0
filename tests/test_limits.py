"""Sizes and names that no machine or nobody can mean are refused by name, before anything runs."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from dso import DeepSymbolicOptimizer, DeepSymbolicRegressor
from dso.errors import UserError
from dso.library.expression import parse
from dso.run import main
from dso.task.regression.benchmark_source import find_in_source
from dso.task.regression.dataset import from_file
from tests.support.runs import config

SIZES = {
    "training.warm_start": {"training": {"warm_start": 10**9, "use_memory": True}},
    "training.batch_size": {
        "training": {"batch_size": 10**7},
        "policy": {"max_length": 10_000},
        "prior": {"length": {"on": False}},
    },
    "gp_meld.population_size": {
        "gp_meld": {"population_size": 10**7, "run_gp_meld": True},
        "policy": {"max_length": 10_000},
        "prior": {"length": {"on": False}},
    },
    "policy.num_units": {"policy": {"num_units": 10_000, "num_layers": 3}},
    "task.dataset.noise": {"task": {"dataset": {"name": "Nguyen-1", "noise": 1e200}}},
    "task.reward_noise": {"task": {"reward_noise": 1e200}},
}


@pytest.mark.parametrize("key", SIZES)
def test_what_fits_no_machine_is_refused_by_name(key):
    with pytest.raises(UserError, match=key):
        DeepSymbolicOptimizer(config(None, **SIZES[key])).setup()


@pytest.mark.parametrize(
    "name",
    ["..", "a/../../b", "/tmp/x", "a//b", "~", "~/x", "a\\b", "./a", "x" * 300, "a\0b", "a\nb"],
)
def test_a_run_folder_stays_below_its_logdir(tmp_path, name):
    sections = config(tmp_path / "logs", experiment={"exp_name": name})
    with pytest.raises(UserError, match=r"experiment\.exp_name"):
        DeepSymbolicOptimizer(sections).train()
    (tmp_path / "c.json").write_text(json.dumps(config(tmp_path / "logs")))
    if "\0" not in name:
        outcome = CliRunner().invoke(main, [str(tmp_path / "c.json"), "--exp_name", name])
        assert outcome.exit_code == 1
        assert "experiment.exp_name" in outcome.stderr
    with pytest.raises(UserError, match="run_id"):
        DeepSymbolicRegressor(run_id=name, output_directory=tmp_path / "out").fit(
            [[1], [2]], [1, 2]
        )
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    model = DeepSymbolicOptimizer(config("~/logs"))
    model.train()
    assert model.save_path == str(tmp_path / "home" / "logs" / "run")
    assert not (tmp_path / "~").exists()
    (tmp_path / "c.json").write_text(json.dumps(config("~/logs")))
    assert CliRunner().invoke(main, [str(tmp_path / "c.json"), "--overwrite"]).exit_code == 0
    assert (tmp_path / "home" / "logs" / "run" / "summary.csv").exists()
    small = {"config": config(None), "verbosity": 0, "random_state": 0, "n_jobs": 1}
    DeepSymbolicRegressor(output_directory="~/out", run_id="r", **small).fit(
        [[1.0], [2.0], [3.0]], [1.0, 4.0, 2.0]
    )
    assert (tmp_path / "home" / "out" / "r" / "estimator.json").exists()
    assert not (tmp_path / "~").exists()


def test_numbers_that_are_whole_count_as_such_in_the_report(tmp_path):
    sections = config(tmp_path, postprocess={"show_count": 2.0, "save_plots": False})
    (tmp_path / "c.json").write_text(json.dumps(sections))
    outcome = CliRunner().invoke(main, [str(tmp_path / "c.json")])
    assert outcome.exit_code == 0, outcome.output
    assert "HALL OF FAME (best 2)" in outcome.output


@pytest.mark.parametrize(
    "text",
    [
        "[" + "-" * 500 + "x1]",
        "(" * 500,
        "-" * 5000 + "x1",
        "x1" + "**x1" * 2000,
        "[" * 90 + "]" * 90,
    ],
)
def test_a_formula_of_any_depth_is_read_or_refused(text):
    with pytest.raises(UserError, match="cannot read"):
        parse(text)


def table(**changes):
    row = {
        "name": "b",
        "variables": "1",
        "expression": "x1",
        "train_spec": json.dumps({"all": {"U": [0, 1, 20]}}),
        "test_spec": "None",
        "function_set": "Koza",
    }
    row.update(changes)
    cells = [f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row.values()]
    return ",".join(row) + "\n" + ",".join(cells) + "\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variables": "999999999"}, "variables is '999999999'"),
        ({"variables": "9" * 5000}, "variables is"),
        ({"train_spec": json.dumps({"all": {"U": [0, 1, 10**400]}})}, "finite"),
        ({"train_spec": "[" * 100_000}, "is not JSON"),
        ({"expression": "x" * 140_000}, "is not a table"),
    ],
)
def test_a_benchmark_table_promises_what_it_holds(tmp_path, changes, message):
    (tmp_path / "t.csv").write_text(table(**changes))
    with pytest.raises(UserError, match=message):
        find_in_source("b", tmp_path / "t.csv")


def test_points_are_bounded_as_a_whole(tmp_path):
    spec = json.dumps({"all": {"U": [0, 1, 10**6]}})
    (tmp_path / "t.csv").write_text(table(variables="9999", train_spec=spec))
    dataset = {"name": "b", "benchmark_source": str(tmp_path / "t.csv")}
    with pytest.raises(UserError, match="numbers; at most"):
        DeepSymbolicOptimizer(config(None, task={"dataset": dataset})).setup()


def test_what_never_ends_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(UserError, match="not a regular file"):
            from_file(path)
        with pytest.raises(UserError, match="not a regular file"):
            find_in_source("b", path)
        with pytest.raises(UserError, match="not a regular file"):
            DeepSymbolicOptimizer(config(tmp_path)).load(path)
        outcome = CliRunner().invoke(main, ["--sweep", str(path)])
        assert "not a regular file" in outcome.stderr


def test_a_folder_of_what_never_ends_is_read(tmp_path):
    from dso.report import Collector
    from dso.report.text import LogEval

    for name in (
        "config.json",
        "summary.csv",
        "dso_a_0.csv",
        "dso_a_0_hof.csv",
        "dso_a_0_all_r.npy",
    ):
        os.mkfifo(tmp_path / name)
    assert list(LogEval(tmp_path).lines())
    content = Collector([tmp_path]).collect()
    assert "not a regular file" in " ".join(content["folders"][0]["issues"])
    outcome = CliRunner().invoke(main, ["--resume", str(tmp_path)])
    assert "not a regular file" in outcome.stderr
    assert Path(tmp_path / "config.json").is_fifo()
