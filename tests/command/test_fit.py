"""From a table to a formula, and what can be done with it afterwards."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import dso
from dso.command.main import main
from dso.errors import UserError

HEAD = "id,mass_kg,speed_m_s,energy"


def dso_says(*arguments: str, status: int = 0) -> str:
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == status, outcome.output
    return outcome.output


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return a folder with a table, a fit to it, and what the fit said; not to be changed."""
    folder = tmp_path_factory.mktemp("fit")
    random = np.random.default_rng(0)
    m, v = random.uniform(1, 5, (2, 60))
    table = np.column_stack([np.arange(60), m, v, 0.5 * m * v**2])
    np.savetxt(folder / "data.csv", table, delimiter=",", header=HEAD, comments="")
    said = dso_says(
        *("fit", str(folder / "data.csv"), "--target", "energy", "--drop", "id"),
        *("--operators", "mul,const", "--n_samples", "600", "--set", "training.batch_size=200"),
        *("--logdir", str(folder / "logs"), "--exp-name", "one"),
    )
    return folder, said


def test_the_end_tells_what_was_found(fitted):
    folder, said = fitted
    lines = said.splitlines()
    assert lines[0].endswith("60 rows, energy from mass_kg, speed_m_s; 12 rows are held out.")
    assert lines[1].startswith("iteration 0: ")  # the best simple law, before anything is sought
    assert "WARNING" not in said
    assert "energy = 0.5*mass_kg*speed_m_s**2" in lines
    assert any(line.startswith("R2 1.0000 on 12 held-out rows") for line in lines)
    assert sum(line.startswith("  >>") for line in lines) == 1
    assert any(line.startswith("  c1 = 0.5 ") for line in lines)
    code = lines[-1].removeprefix("In Python: ")
    assert f'dso.load("{folder / "logs" / "one"}")' in code
    session: dict = {}
    exec(code, session)
    assert session["model"].target_names_ == ["energy"]


def test_the_model_is_loaded_with_names_and_predicts(fitted, tmp_path):
    folder, _ = fitted
    run = str(folder / "logs" / "one")
    model = dso.load(run)
    assert str(model.sympy()) == "0.5*mass_kg*speed_m_s**2"
    other = tmp_path / "new.csv"
    other.write_text("speed_m_s,color,mass_kg\n2,red,3\n")  # another order, and more columns
    assert dso_says("predict", run, str(other)).splitlines() == ["energy_predicted", "6.0"]
    dso_says("predict", run, str(other), "--out", str(tmp_path / "out.csv"))
    written = (tmp_path / "out.csv").read_text().splitlines()
    assert written == ["speed_m_s,color,mass_kg,energy_predicted", "2,red,3,6.0"]
    other.write_text("speed,mass_kg\n2,3\n")
    assert "Did you mean 'speed'" in dso_says("predict", run, str(other), status=1)


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("--python", "def predict("),
        ("--c", "double predict("),
        ("--latex", "speed"),
        ("--sympy", "0.5*mass_kg*speed_m_s**2"),
    ],
)
def test_exports(fitted, form, part):
    folder, _ = fitted
    assert part in dso_says("export", str(folder / "logs" / "one"), form)


def test_the_data_are_kept_and_drawn(fitted):
    folder, _ = fitted
    from dso.report import Collector

    content = Collector([folder / "logs" / "one"]).collect()
    (shown,) = content["folders"]
    assert shown["no_data"] is None
    assert len(shown["data"]["y"]) == 48
    assert shown["predictions"]


def test_a_second_fit_of_the_same_name_is_refused(fitted):
    folder, _ = fitted
    arguments = ("fit", str(folder / "data.csv"), "--logdir", str(folder / "logs"))
    before = (folder / "logs" / "one" / "estimator.json").read_bytes()
    said = dso_says(*arguments, "--exp-name", "one", status=1)
    assert "has results already" in said
    assert (folder / "logs" / "one" / "estimator.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "enrgy"], "Did you mean 'energy'"),
        (["--drop", "mas_kg"], "Did you mean 'mass_kg'"),
        (["--weights", "x"], "--weights"),
        (["--drop", "mass_kg", "--drop", "speed_m_s", "--drop", "id"], "no column"),
        (["--set", "training.n_sampels=3"], "Did you mean 'n_samples'"),
        (["--operators", "mull"], "Did you mean 'mul'"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(fitted, tmp_path, arguments, message):
    folder, _ = fitted
    logs = tmp_path / "logs"
    said = dso_says("fit", str(folder / "data.csv"), "--logdir", str(logs), *arguments, status=1)
    errors = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not logs.exists()


def test_a_dry_run_says_what_would_be_done(fitted, tmp_path):
    folder, _ = fitted
    said = dso_says(
        *("fit", str(folder / "data.csv"), "--preset", "quick", "--dry-run"),
        *("--logdir", str(tmp_path / "logs"), "--seconds", "9"),
    )
    assert "at most 60000 expressions or 9 s" in said
    assert not (tmp_path / "logs").exists()


def test_what_cannot_be_loaded_is_refused(fitted, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        dso.load(tmp_path / "gone")
    with pytest.raises(UserError, match="holds no run"):
        dso.load(tmp_path)
    folder, _ = fitted
    state = json.loads((folder / "logs" / "one" / "estimator.json").read_text())
    (tmp_path / "estimator.json").write_text(json.dumps({**state, "format": 99}))
    with pytest.raises(UserError, match="99"):
        dso.load(tmp_path)


def test_the_package_is_a_command():
    outcome = subprocess.run(
        [sys.executable, "-m", "dso", "--version"], capture_output=True, text=True, check=True
    )
    assert outcome.stdout == f"dso {dso.__version__}\n"


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_found(tmp_path):
    random = np.random.default_rng(1)
    table = np.column_stack([random.uniform(1, 2, (60, 2)), random.normal(size=60)])
    np.savetxt(tmp_path / "noise.csv", table, delimiter=",", header="a,b,y", comments="")
    endless = ("--n-samples", "1000000000", "--set", "semantic.on=false")
    said = []
    with subprocess.Popen(
        [sys.executable, "-m", "dso", "fit", "noise.csv", "--exp-name", "e", *endless],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(dso.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            said.append(line)
            if line.startswith("iteration 1:") and not said[-2].startswith("iteration 1:"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert "interrupted" in "".join(said)
    assert said[-1] == 'In Python: import dso; model = dso.load("logs/e")\n'
    assert len(dso.load(tmp_path / "logs" / "e").equations_)
