"""From a `task` section to a task."""

from pathlib import Path

import pytest

from dso.errors import UserError
from dso.program import from_str_tokens
from dso.task import TASKS, HierarchicalTask, RegressionTask, SequentialTask, Task, make_task

PLUGIN = str(Path(__file__).parents[1] / "support" / "plugins.py")


def test_regression():
    task = make_task("regression", dataset="Nguyen-5", metric="neg_mse", metric_params=[])
    assert isinstance(task, TASKS["regression"])
    assert issubclass(RegressionTask, HierarchicalTask)
    assert issubclass(SequentialTask, Task)
    assert task.name == "Nguyen-5"


@pytest.mark.parametrize(("maker", "weight"), [("CountTokens", 2), ("make_count", 3)])
def test_users_class_or_function(maker, weight):
    task = make_task(f"{PLUGIN}:{maker}", weight=2)
    program = from_str_tokens("add,sin,x1,x1", task.library)
    assert task.reward_function(program) == 4 * weight
    assert task.final_evaluation(program) == {"length": 4}
    assert not task.stochastic


@pytest.mark.parametrize(
    ("task_type", "section", "message"),
    [
        ("control", {}, r"needs the key\(s\) env"),
        ("regresion", {}, "Did you mean 'regression'"),
        ("regression", {"metrc": 1}, "key 'metrc' in task .regression.. Did you mean 'metric'"),
        ("regression", {}, r"needs the key\(s\) dataset"),
        (f"{PLUGIN}:CountTokens", {"weigth": 2}, "Did you mean 'weight'"),
        (f"{PLUGIN}:CountTokens", {}, r"needs the key\(s\) weight"),
        (f"{PLUGIN}:CountToken", {}, "Did you mean 'CountTokens'"),
        (f"{PLUGIN}:make_nothing", {}, "gave a NoneType; expected a class derived from"),
        (f"{PLUGIN}:not_callable", {}, "neither a class nor a function"),
        ("no.such.module:Task", {}, "cannot import module"),
    ],
)
def test_refuses(task_type, section, message):
    with pytest.raises(UserError, match=message):
        make_task(task_type, **section)
