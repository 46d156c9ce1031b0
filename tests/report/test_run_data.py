"""The data behind a run, and the shapes of its tokens."""

import json
from pathlib import Path

import numpy as np
import pytest

from dso.errors import UserError
from dso.report.run_data import MAX_POINTS, arities, load_run_data
from dso.runs.results import RunResults
from dso.task.regression import RegressionTask
from tests.support.runs import change_config


def loaded(folder: Path):
    return load_run_data(RunResults(folder).config())


def test_data_and_predictions_are_those_of_the_run(finished):
    data = loaded(finished)
    task = RegressionTask(dataset="Nguyen-5")
    assert np.array_equal(data.X[~data.is_test], task.X_train)
    best = RunResults(finished).summary().iloc[0]
    predicted = data.predict(best["traversal"])[data.is_test]
    y = data.y[data.is_test]
    assert np.mean((predicted - y) ** 2) / np.var(y) == pytest.approx(best["nmse_test"])
    assert data.predict("unknown,x1,x1") is None
    assert data.predict("add,x1") is None


def test_many_rows_are_thinned(finished, tmp_path):
    rows = np.random.default_rng(0).uniform(0, 1, (5000, 3))
    np.savetxt(tmp_path / "big.csv", rows, delimiter=",")
    config = RunResults(finished).config()
    config["task"]["dataset"] = str(tmp_path / "big.csv")
    data = load_run_data(config)
    assert data.X.shape == (MAX_POINTS, 2)
    assert len(np.unique(data.X[:, 0])) == MAX_POINTS


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"dataset": "gone.csv"}, "gone"),
        ({"dataset": ["ndarray (5, 1)", "ndarray (5,)"]}, "arrays"),
        ({"task_type": "evil.py:Task"}, "evil.py:Task"),
        ({"function_set": ["add", "evil:token"]}, "evil:token"),
        ({"metric": "evil:metric"}, "evil:metric"),
        ({"function_set": ["no_such_token"]}, "no_such_token"),
    ],
)
def test_data_out_of_reach(folder, values, why):
    change_config(folder, "task", **values)
    with pytest.raises(UserError, match=why):
        loaded(folder)


def test_nothing_is_run_or_written(folder, tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    change_config(folder, "task", metric=f"{tmp_path / 'evil.py'}:metric")
    with pytest.raises(UserError, match="does not run"):
        loaded(folder)
    change_config(folder, "task", metric="inv_nrmse")
    backup = {"name": "Nguyen-5", "backup": True, "logdir": str(tmp_path / "copies")}
    change_config(folder, "task", dataset=backup)
    assert len(loaded(folder).y)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "copies").exists()


def test_no_config():
    with pytest.raises(UserError, match=r"config\.json"):
        load_run_data({})


def test_arities_of_known_tokens_and_of_one_unknown():
    rows = ["add,x1,mine,x2,-1.5", "x1 < 0.5,a_1,a1_2,STOP", "protected_div,const,poly"]
    found = arities(rows, None)
    assert {found[name] for name in ("add", "x1 < 0.5")} == {2}
    assert found["a1_2"] == 1
    assert {found[name] for name in ("x1", "-1.5", "a_1", "STOP", "const", "poly")} == {0}
    assert found["mine"] == 2
    assert "other" not in arities(["other,another,x1"], None)
    assert json.dumps(found)
