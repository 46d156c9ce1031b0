"""dso.load: the model of any run folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dso
from dso import DeepSymbolicOptimizer, DeepSymbolicRegressor, SymbolicPolicy
from dso.errors import UserError
from dso.launch.jobs import Job
from dso.launch.runner import run_one
from tests.support.runs import change_config, config

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(1, 2, (40, 2))
Y = 1.5 * X[:, 0] * X[:, 1]
WITH_CONST = {"task_type": "regression", "function_set": ["add", "mul", "const"]}
SHORT = {"length": {"min_": 1, "max_": 9}}


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory):
    """Return the folder of a run on arrays, and its result."""
    logs = tmp_path_factory.mktemp("logs")
    task = {**WITH_CONST, "dataset": (X, Y)}
    model = DeepSymbolicOptimizer(config(logs, task=task, prior=SHORT))
    result = model.train()
    return Path(model.save_path), result, model.front


def test_the_model_predicts_as_the_run_did(of_arrays):
    folder, result, front = of_arrays
    model = dso.load(folder)
    assert isinstance(model, DeepSymbolicRegressor)
    model.model_selection = "accuracy"
    best = result["program"].execute(X)
    np.testing.assert_allclose(model.predict(X), best, rtol=1e-12)
    table = model.equations_
    errors = np.mean((best - Y) ** 2)
    assert table["loss"].iloc[-1] == pytest.approx(errors, rel=1e-9, abs=1e-25)
    assert len(table) <= len(front)
    assert (np.diff(table["loss"]) < 0).all()
    assert (np.diff(table["complexity"]) > 0).all()
    constants = model.constants()
    assert constants["standard_error"].notna().any()


def test_names_of_a_csv_come_back_also_from_another_folder(tmp_path, monkeypatch):
    table = pd.DataFrame({"mass kg": X[:, 0], "speed": X[:, 1], "y": Y})
    table.to_csv(tmp_path / "data.csv", index=False)
    task = {**WITH_CONST, "dataset": str(tmp_path / "data.csv")}
    DeepSymbolicOptimizer(config(tmp_path, task=task, prior=SHORT)).train()
    (tmp_path / "data.csv").unlink()  # the run keeps its rows
    model = dso.load(tmp_path / "run")
    assert model.feature_names_in_.tolist() == ["mass kg", "speed"]
    assert model.display_feature_names_in_.tolist() == ["mass_kg", "speed"]
    assert len(model.predict(table[["mass kg", "speed"]])) == 40


def test_the_best_of_several_seeds_or_the_one_asked_for(tmp_path):
    rewards = {}
    for seed in (0, 1, 2):
        plain = config(tmp_path, experiment={"seed": seed}, checkpoint={"save_freq": None})
        loaded = dso.config.load_config(plain)
        loaded["experiment"]["starting_seed"] = 0
        rewards[seed] = run_one(Job(seed, loaded)).result["r"]
    best = max(rewards, key=rewards.get)
    texts = {seed: dso.load(tmp_path / "run", seed).equations_["equation"] for seed in rewards}
    assert dso.load(tmp_path / "run").equations_["equation"].tolist() == texts[best].tolist()
    assert len({tuple(text) for text in texts.values()}) > 1
    with pytest.raises(UserError, match="no run with seed 9; there are 0, 1, 2"):
        dso.load(tmp_path / "run", 9)


def test_a_config_of_another_version_is_one_sentence(of_arrays, tmp_path):
    import shutil

    folder = Path(shutil.copytree(of_arrays[0], tmp_path / "copy"))
    change_config(folder, "task", metrik="inv_nrmse")
    with pytest.raises(UserError, match=r"config\.json cannot be used here.*Did you mean 'metric'"):
        dso.load(folder)


def test_code_of_a_user_is_not_run_unless_it_is_allowed(of_arrays, tmp_path, monkeypatch):
    import shutil

    folder = Path(shutil.copytree(of_arrays[0], tmp_path / "copy"))
    change_config(folder, "task", metric="tests.support.plugins:not_callable", metric_params=[])
    with pytest.raises(UserError, match="code of its own"):
        dso.load(folder)
    with pytest.raises(UserError, match="allow_code"):
        dso.load(folder, allow_code=["other"])


def test_a_batch_names_its_folders(tmp_path):
    (tmp_path / "batch.json").write_text("{}")
    (tmp_path / "000_a").mkdir()
    with pytest.raises(UserError, match="load one of its folders: 000_a"):
        dso.load(tmp_path)


def test_a_policy(tmp_path):
    pytest.importorskip("gymnasium", reason="needs the extra 'control'")
    plain = {
        "experiment": {"logdir": str(tmp_path), "exp_name": "run"},
        "task": {
            "task_type": "control",
            "env": "CustomCartPoleContinuous-v0",
            "n_episodes_train": 2,
            "n_episodes_test": 3,
            "n_episodes_validation": 0,
            "function_set": ["add", "mul", 1.0],
        },
        "training": {"n_samples": 50, "batch_size": 50, "verbose": False},
    }
    result = DeepSymbolicOptimizer(plain).train()
    policy = dso.load(tmp_path / "run")
    assert isinstance(policy, SymbolicPolicy)
    assert policy.expressions == [result["expression"]]
    assert repr(policy) == (
        f"<SymbolicPolicy for dso/CartPoleContinuous-v0: a1 = {result['expression']}>"
    )
    written = (tmp_path / "run" / "dso_CustomCartPoleContinuous-v0_a0_0_returns.csv").read_text()
    returns = [float(line.split(",")[1]) for line in written.splitlines()[1:]]
    assert np.mean(returns) == pytest.approx(result["r_avg_test"])
