"""A metric of the user's own as the reward."""

import pickle

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.errors import UserError
from dso.program import from_str_tokens
from dso.program.program_batch import ProgramBatch
from dso.task import make_task


def mean_absolute_error(y, prediction, scale=1.0):
    """Return the negative mean absolute error."""
    return -scale * np.mean(np.abs(y - prediction))


mean_absolute_error.invalid_reward = -7.0


def text(y, prediction):
    return "good"


HERE = "tests.task.regression.test_own_metric"


def make(metric, params=(), **section):
    return make_task(
        task_type="regression",
        dataset="Nguyen-1",
        metric=metric,
        metric_params=list(params),
        **section,
    )


def test_it_rewards_whole_batches_and_single_programs():
    task = make(f"{HERE}:mean_absolute_error", [2.0])
    rows = [task.library.actionize(t) for t in ("x1", "mul,x1,x1", "log,sub,x1,x1")]
    rewards = task.rewards(ProgramBatch.from_rows(rows))
    X, y = task.X_train[:, 0], task.y_train
    expected = [-2 * np.mean(np.abs(y - X)), -2 * np.mean(np.abs(y - X**2)), -7.0]
    np.testing.assert_allclose(rewards.values, expected)
    assert task.reward_function(from_str_tokens("x1", task.library)) == pytest.approx(expected[0])


def test_it_may_lie_in_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def always(y, prediction):\n    return 0.25\n")
    task = make(f"{file}:always")
    programs = ProgramBatch.from_rows([task.library.actionize("x1")])
    assert task.rewards(programs).values[0] == 0.25


def test_it_may_be_the_extra_metric_of_the_test_set():
    task = make("inv_nrmse", [1.0], extra_metric_test=f"{HERE}:mean_absolute_error")
    found = task.evaluate(from_str_tokens("x1", task.library))
    X, y = task.dataset.X_test[:, 0], task.dataset.y_test
    assert found[f"{HERE}:mean_absolute_error"] == pytest.approx(-np.mean(np.abs(y - X)))


def test_what_is_not_a_number_is_an_error():
    task = make(f"{HERE}:text")
    programs = ProgramBatch.from_rows([task.library.actionize("x1")])
    with pytest.raises(UserError, match="returned 'good'"):
        task.rewards(programs)


@pytest.mark.parametrize(
    ("name", "message"), [("txet", "Did you mean 'text'"), ("HERE", "not a func")]
)
def test_a_wrong_reference_is_an_error(name, message):
    with pytest.raises(UserError, match=message):
        make(f"{HERE}:{name}")


def test_without_a_greatest_reward_the_loss_is_minus_the_reward():
    task = make(f"{HERE}:mean_absolute_error")
    programs = ProgramBatch.from_rows([task.library.actionize("x1")])
    rewards = task.rewards(programs).values
    np.testing.assert_array_equal(task.losses(programs, rewards), -rewards)


def test_the_estimator_goes_by_it(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "def closeness(y, prediction, weights=None):\n"
        "    return 2 - np.average(np.abs(y - prediction), weights=weights)\n"
    )
    X = np.random.default_rng(0).uniform(-1, 1, (64, 1))
    y = 1.7 * X[:, 0] - 0.4
    config = {
        "task": {
            "task_type": "regression",
            "metric": f"{file}:closeness",
            "function_set": ["add", "mul", "const"],
        },
        "training": {"n_samples": 50, "batch_size": 50},
        "policy": {"max_length": 7},
    }
    model = DeepSymbolicRegressor(config=config, random_state=0, verbosity=0, n_jobs=1).fit(X, y)
    assert str(model.sympy()) == "1.7*x1 - 0.4"
    assert model.program_.r == pytest.approx(2)
    assert model.equations_["loss"].iloc[-1] == pytest.approx(-2)  # none is known to be the least


@pytest.mark.parametrize("name", ["neg_mae", "neg_median"])
def test_the_estimator_finds_constants_by_it(name):
    X = np.random.default_rng(0).normal(size=(64, 1))
    y = 1.7 * X[:, 0] - 0.4
    model = DeepSymbolicRegressor(
        config={
            "task": {"metric": f"{HERE}:{name}"},
            "training": {"batch_size": 50},
            "policy": {"max_length": 7},
        },
        function_set=["add", "mul", "const"],
        n_samples=50,
        random_state=0,
        verbosity=0,
        n_jobs=1,
    ).fit(X, y)
    assert str(model.sympy()) == "1.7*x1 - 0.4"
    assert np.isfinite(model.equations_["loss"]).all()


def neg_mae(y, prediction, weights=None):
    """Has no greatest value that is known."""
    return -np.average(np.abs(y - prediction), weights=weights)


def neg_median(y, prediction):
    return -np.median(np.abs(y - prediction))


def test_a_metric_of_a_file_can_be_pickled(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text("def first(y, prediction):\n    return float(prediction[0])\n")
    monkeypatch.chdir(tmp_path)
    task = make("./mine.py:first")
    monkeypatch.chdir("/")
    copy = pickle.loads(pickle.dumps(task))
    programs = ProgramBatch.from_rows([task.library.actionize("x1")])
    assert copy.rewards(programs).values[0] == task.rewards(programs).values[0]
