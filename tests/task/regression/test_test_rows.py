"""Test rows of one's own: reported, and never searched on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dso.errors import UserError
from dso.program import from_str_tokens
from dso.task.regression import RegressionTask
from dso.task.regression.dataset import load_dataset

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-2, 2, (30, 2))
Y = X[:, 0] ** 2
OTHER = X + 5
Y_OTHER = OTHER[:, 0] ** 2 + 1


def task(**given: Any) -> RegressionTask:
    return RegressionTask(dataset=(X, Y), function_set=["add", "mul", 1.0], **given)


def test_test_rows_are_judged_and_do_not_decide() -> None:
    with_test = task(dataset_test=(OTHER, Y_OTHER))
    law = from_str_tokens("mul,x1,x1", with_test.library)
    other = from_str_tokens("add,mul,x1,x1,1.0", with_test.library)
    assert with_test.evaluate(law)["success"]
    assert with_test.evaluate(law)["nmse_test"] == pytest.approx(1 / np.var(Y_OTHER))
    assert not with_test.evaluate(other)["success"]
    assert with_test.evaluate(other)["nmse_test"] == pytest.approx(0)
    rewards = [one.rewards(law.batch).values for one in (with_test, task())]
    np.testing.assert_array_equal(*rewards)


def test_test_rows_may_be_a_file(tmp_path: Path) -> None:
    for name, rows, y in (("train", X, Y), ("test", OTHER, Y_OTHER)):
        table = np.column_stack([rows, y])
        np.savetxt(tmp_path / f"{name}.csv", table, delimiter=",", header="a,b,y", comments="")
    data = load_dataset(str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    np.testing.assert_array_equal(data.X_test, OTHER)
    np.testing.assert_array_equal(data.X_train, X)
    assert data.test_is_reported_only


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ((X[:, :1], Y), "it has 1 inputs, and task.dataset has 2"),
        ("Nguyen-1", "expected the path of a .csv file, or arrays"),
        ((X, Y[:3]), "X has 30 rows, but y has 3"),
    ],
)
def test_rows_that_do_not_fit_are_refused(test: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_dataset((X, Y), test=test)
