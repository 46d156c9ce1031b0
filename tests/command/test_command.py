"""The subcommands that do not search."""

import json

import pytest
from click.testing import CliRunner

from dso.command.main import COMMANDS, main
from dso.config import load_config, validate


def dso_says(*arguments: str, status: int = 0) -> str:
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == status, outcome.output
    return outcome.output


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    assert f"Usage: main {name}" in dso_says(name, "--help")


def test_an_unknown_command_is_answered_with_the_nearest():
    assert "Did you mean 'report'" in dso_says("reprot", status=2)


def test_a_table_is_not_a_config():
    (said,) = dso_says("run", "data.csv", status=1).splitlines()
    assert "dso fit data.csv --target" in said


@pytest.mark.parametrize(
    ("kind", "name"),
    [("operators", "sin"), ("benchmarks", "Nguyen-5"), ("priors", "length"), ("presets", "quick")],
)
def test_lists(kind, name):
    lines = dso_says("list", kind).splitlines()
    assert sum(line.split()[0] == name for line in lines) == 1
    assert len(dso_says("list", kind, name).splitlines()) < len(lines)


@pytest.mark.parametrize("kind", ["regression", "control"])
def test_init_writes_a_config_that_can_be_run(empty_folder, kind):
    dso_says("init", "mine.json", "--task", kind, "--set", "training.n_samples=123")
    text = (empty_folder / "mine.json").read_text()
    assert text.count("// ") > 15
    checked = validate(load_config("mine.json"))
    assert checked.training.n_samples == 123
    assert checked.task.task_type == kind
    assert "--overwrite" in dso_says("init", "mine.json", status=1)
    assert (empty_folder / "mine.json").read_text() == text


def test_completion_knows_the_commands():
    assert "_DSO_COMPLETE" in dso_says("completion", "bash")
    words = {"COMP_WORDS": "dso re", "COMP_CWORD": "1", "_DSO_COMPLETE": "bash_complete"}
    outcome = CliRunner().invoke(main, [], env=words, prog_name="dso")
    assert {line.partition(",")[2] for line in outcome.output.split()} == {"resume", "report"}


SMALL = {
    "task": {"task_type": "regression", "dataset": "Nguyen-5"},
    "training": {"n_samples": 200, "batch_size": 100},
    "postprocess": {"save_plots": False},
}


@pytest.fixture
def small(empty_folder):
    (empty_folder / "small.json").write_text(json.dumps(SMALL))
    return empty_folder


def test_values_of_the_command_line_change_the_config(small):
    said = dso_says(
        *("run", "small.json", "--exp-name", "e", "--n_samples", "100", "--logdir", "here"),
        *("--set", "prior.length.max_=9", "--set", "task.dataset=Nguyen-1", "--quiet"),
    )
    assert "iteration 1" not in said
    assert "expression: " in said
    written = json.loads((small / "here" / "e" / "config.json").read_text())
    assert written["training"]["n_samples"] == 100
    assert written["prior"]["length"]["max_"] == 9
    assert (small / "here" / "e" / "dso_Nguyen-1_0.csv").exists()


def test_a_dry_run_writes_nothing(small):
    said = dso_says("run", "small.json", "--runs", "3", "--exp-name", "e", "--dry-run")
    assert "Nguyen-5, seeds 0 to 2: at most 200 samples, into logs/e" in said
    assert "3 run(s) would start" in said
    assert not (small / "logs").exists()


def test_results_are_never_replaced_in_silence(small):
    folder = small / "logs" / "e"
    dso_says("run", "small.json", "--exp-name", "e", "--quiet")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    said = dso_says("run", "small.json", "--exp-name", "e", status=1)
    assert "has results of seed 0 already" in said
    assert "dso resume logs/e" in said
    other = ("--set", "training.batch_size=50", "--seed", "7")
    said = dso_says("run", "small.json", "--exp-name", "e", *other, status=1)
    assert "training.batch_size: 100 there, 50 here" in said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # Another seed of the same config belongs there, as the jobs of an array do.
    dso_says("run", "small.json", "--exp-name", "e", "--seed", "7", "--quiet")
    assert (folder / "dso_Nguyen-5_7.csv").exists()
    (folder / "notes.txt").write_text("mine")
    dso_says("run", "small.json", "--exp-name", "e", *other, "--overwrite", "--quiet")
    assert json.loads((folder / "config.json").read_text())["training"]["batch_size"] == 50
    assert not (folder / "dso_Nguyen-5_0.csv").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_batch_is_not_replaced_in_silence(small):
    two = ("run", "small.json", "--b", "Nguyen-1", "--b", "Nguyen-2", "--exp-name", "e", "--quiet")
    dso_says(*two)
    assert "holds a batch already" in dso_says(*two, status=1)
    dso_says(*two, "--overwrite")
    assert (small / "logs" / "e" / "Nguyen-2" / "dso_Nguyen-2_0.csv").exists()


def test_resume_does_what_is_left(small):
    dso_says("run", "small.json", "--exp-name", "e", "--quiet")
    assert "1 run(s) are done, 0 to do." in dso_says("resume", "logs/e")
    assert "no such folder" in dso_says("resume", "gone", status=1)
