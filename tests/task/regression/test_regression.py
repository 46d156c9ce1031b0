"""The regression task: rewards, test results, noise, and what it refuses."""

import logging
import pickle
import subprocess
import sys

import numpy as np
import pytest

from dso.errors import UserError
from dso.program import ProgramBatch, from_str_tokens
from dso.task import RegressionTask
from dso.task.regression import regression
from dso.task.regression.dataset import Dataset, load_dataset
from dso.task.regression.metrics import METRICS
from dso.task.regression.reward_noise import RECOVERED
from dso.task.regression.scorer import Scorer

PARAMS = {"inv_mse": [1.0], "inv_nmse": [1.0], "inv_nrmse": [1.0], "fraction": [0.3, 0.1]}
TEXTS = ["add,x1,x1", "sin,mul,x1,x1", "log,sub,x1,x1", "exp,exp,exp,exp,exp,add,x1,x1", "x1"]


def batch(task, texts=TEXTS):
    return ProgramBatch.from_rows([task.library.actionize(text) for text in texts])


def program(task, text):
    return from_str_tokens(text, task.library)


def user_square(a):
    return a * a


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("protected", [False, True])
def test_rewards_of_every_metric(metric, protected):
    task = RegressionTask(
        dataset="Livermore-1",
        metric=metric,
        metric_params=PARAMS.get(metric, []),
        protected=protected,
    )
    rewards = task.rewards(batch(task))
    x, y = task.X_train[:, 0], task.y_train
    predictions = np.stack(
        [x + x, np.sin(x * x), np.full_like(x, np.nan), np.full_like(x, np.inf), x]
    )
    with np.errstate(all="ignore"):
        expected = task.metric.from_predictions(y, predictions)
    valid = [0, 1, 4]
    np.testing.assert_allclose(rewards.values[valid], expected[valid], rtol=1e-12)
    assert (rewards.cause[valid] == 0).all()
    assert (rewards.node[valid] == -1).all()
    if not protected:
        assert rewards.values[2] == rewards.values[3] == task.invalid_reward
        assert rewards.cause.tolist() == [0, 0, 1, 2, 0]
        assert rewards.node[2] == 0
    assert np.isfinite(rewards.values).all()
    for text, value in zip(TEXTS, rewards.values, strict=True):
        assert task.reward_function(program(task, text)) == value


def test_protected_operators():
    task = RegressionTask(dataset="Nguyen-5", protected=True)
    rewards = task.rewards(batch(task, ["log,x1"]))
    log_of_magnitude = np.log(np.abs(task.X_train[:, 0]))
    expected = task.metric.from_predictions(task.y_train, log_of_magnitude[None])
    np.testing.assert_allclose(rewards.values, expected, rtol=1e-12)
    assert rewards.cause[0] == 0


def test_protected_execution_judges_the_result_only():
    X, y = 1e200 * np.arange(1.0, 5.0)[:, None], np.array([1.0, 2.0, 0.0, 4.0])
    for protected, cause in ((True, 0), (False, 2)):
        task = RegressionTask(dataset=(X, y), protected=protected)
        rewards = task.rewards(batch(task, ["div,x1,mul,x1,x1"]))  # x1 / infinity
        zeros = np.zeros((1, 4)) if protected else np.full((1, 4), np.nan)
        np.testing.assert_array_equal(rewards.values, task.metric.from_predictions(y, zeros))
        assert rewards.cause[0] == cause
        assert (task.evaluate(program(task, "div,x1,mul,x1,x1"))["nmse_test"] is None) != protected


@pytest.mark.parametrize("metric", ["inv_nrmse", "fraction", "pearson"])
def test_a_finite_result_does_not_make_a_program_valid(metric):
    task = RegressionTask(dataset="Nguyen-5", metric=metric, metric_params=PARAMS.get(metric, []))
    rewards = task.rewards(batch(task, ["sin,x1", "add,sin,x1,div,x1,div,x1,sub,x1,x1"]))
    assert rewards.cause[1] == 1
    assert rewards.values[1] == 0  # though x1 / (x1 / 0) adds nothing to sin(x1)
    assert rewards.values[0] != 0


def test_rewards_of_nothing():
    for metric in METRICS:
        task = RegressionTask(
            dataset="Nguyen-5", metric=metric, metric_params=PARAMS.get(metric, [])
        )
        empty = batch(task)[np.zeros(len(TEXTS), dtype=bool)]
        assert task.rewards(empty).values.shape == (0,)


@pytest.mark.parametrize("metric", ["inv_nrmse", "fraction", "spearman"])
def test_threads_and_splits_do_not_matter(metric):
    task = RegressionTask(dataset="Nguyen-5", metric=metric, metric_params=PARAMS.get(metric, []))
    programs = batch(task, TEXTS * 20)
    whole = task.rewards(programs)
    task.n_threads = 2
    np.testing.assert_array_equal(task.rewards(programs).values, whole.values)
    np.testing.assert_array_equal(task.rewards(programs[30:40]).values, whole.values[30:40])
    in_parts = Scorer(task.fit_data, predictions_at_once=70)
    np.testing.assert_array_equal(in_parts.rewards(task.metric, programs).values, whole.values)


def test_users_tokens_are_rewarded_in_the_same_call():
    """A token that only Python can execute gives what the built-in one gives."""
    function_set = ["add", "sin", "mul", f"{__name__}:user_square"]
    for metric in ("inv_nrmse", "pearson"):
        task = RegressionTask(
            dataset="Nguyen-5",
            function_set=function_set,
            metric=metric,
            metric_params=PARAMS.get(metric, []),
        )
        rewards = task.rewards(batch(task, ["sin,mul,x1,x1", "sin,user_square,x1"]))
        assert rewards.values[0] == pytest.approx(rewards.values[1], rel=1e-12)


def test_reward_while_constants_are_fitted():
    task = RegressionTask(dataset="Constant-1", metric="inv_nrmse", metric_params=[1.0])
    nrmse = 1 / task.reward_function(program(task, "mul,3.39,x1")) - 1
    assert nrmse > 0.1
    fitted = task.reward_function(program(task, "mul,3.39,x1"), optimizing=True)
    assert fitted == pytest.approx(-nrmse)
    assert task.reward_function(program(task, "log,sub,x1,x1"), optimizing=True) == -1


def test_evaluate():
    task = RegressionTask(dataset={"name": "Nguyen-5", "noise": 0.1}, extra_metric_test="neg_mse")
    found = program(task, "sub,mul,sin,mul,x1,x1,cos,x1,div,x1,x1")
    data = task.dataset
    result = task.evaluate(found)
    names = ["nmse_test", "nmse_test_noiseless", "success", "neg_mse", "neg_mse_noiseless"]
    assert list(result) == names
    noise = np.mean((data.y_test - data.y_test_noiseless) ** 2)
    assert result["nmse_test"] == pytest.approx(noise / np.var(data.y_test))
    assert result["neg_mse"] == pytest.approx(-noise)
    assert result["nmse_test_noiseless"] < 1e-30
    scaled = RegressionTask(dataset=task.dataset, extra_metric_test="neg_nmse").evaluate(found)
    assert scaled["neg_nmse"] == pytest.approx(-scaled["nmse_test"], rel=1e-12)
    assert result["success"] is True
    wrong = task.evaluate(program(task, "sin,x1"))
    assert wrong["success"] is False
    assert wrong["nmse_test_noiseless"] > 0.1
    invalid = task.evaluate(program(task, "log,sub,x1,x1"))
    assert invalid == dict.fromkeys(names) | {"success": False}


def test_an_intermediate_that_is_not_finite_fails_the_test_too():
    task = RegressionTask(dataset="Nguyen-5")
    hidden = "sub,mul,sin,mul,x1,x1,cos,x1,add,div,x1,x1,div,div,x1,x1,div,div,x1,x1,sub,x1,x1"
    assert not task.evaluate(program(task, hidden))["success"]  # -1 / (1 / 0) is 0


def test_threshold():
    loose = RegressionTask(dataset="Nguyen-1", threshold=10.0)
    assert loose.evaluate(program(loose, "x1"))["success"]
    assert not RegressionTask(dataset="Nguyen-1").evaluate(program(loose, "x1"))["success"]


def test_large_test_grids_are_judged_in_full_only_at_the_end():
    task = RegressionTask(dataset="Keijzer-11")
    assert len(task.dataset.y_test) == 601**2
    guess = program(task, "mul,x1,x2")
    y, X = task.dataset.y_test, task.dataset.X_test
    full = np.mean((y - X[:, 0] * X[:, 1]) ** 2) / np.var(y)
    assert task.final_evaluation(guess)["nmse_test"] == pytest.approx(full, rel=1e-12)
    quick = task.evaluate(guess)["nmse_test"]
    assert quick != pytest.approx(full, rel=1e-6)
    assert quick == pytest.approx(full, rel=0.05)
    assert quick == RegressionTask(dataset="Keijzer-11").evaluate(guess)["nmse_test"]


def test_small_test_sets_are_always_judged_in_full(monkeypatch):
    task = RegressionTask(dataset="Keijzer-10")
    guess = program(task, "mul,x1,x2")
    assert task.evaluate(guess) == task.final_evaluation(guess)
    # The rows of a user's file are training rows: all of them count for success.
    monkeypatch.setattr(regression, "QUICK_TEST_ROWS", 2)
    task = RegressionTask(dataset=(np.eye(4)[:, :1], [1.0, 2.0, 0.0, 4.0]))
    guess = program(task, "x1")
    assert task.evaluate(guess) == task.final_evaluation(guess)


def test_function_sets(tmp_path, caplog):
    koza = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]
    with caplog.at_level(logging.WARNING, logger="dso"):
        assert RegressionTask(dataset="Nguyen-9").library.names == ["x1", "x2", *koza]
        arrays = RegressionTask(dataset=(np.eye(3), [1.0, 2.0, 4.0]))
        assert arrays.library.names == ["x1", "x2", "x3", *koza]
        given = RegressionTask(dataset=(np.eye(2), [1.0, 2.0]), function_set=["sin"])
        assert given.library.names == ["x1", "x2", "sin"]
        same = RegressionTask(dataset="Neat-1", function_set=[*koza, 1.0])
        assert same.library.names == ["x1", *koza, "1.0"]
        assert not caplog.text
        own = RegressionTask(dataset="Nguyen-9", function_set=["add", "const"])
        assert own.library.names == ["x1", "x2", "add", "const"]
        assert "used instead of the set that belongs to benchmark Nguyen-9" in caplog.text
    with pytest.raises(UserError, match="unknown token 'sine'"):
        RegressionTask(dataset="Nguyen-9", function_set=["sine"])


def test_decision_tree_tokens():
    task = RegressionTask(
        dataset="Nguyen-9", function_set=["add"], decision_tree_threshold_set=[0.5]
    )
    assert task.library.names == ["x1", "x2", "add", "x1 < 0.5", "x2 < 0.5"]


def test_csv_and_header_key(tmp_path):
    path = tmp_path / "steps.csv"
    path.write_text("1,2\n2,4\n3,6\n")
    task = RegressionTask(dataset=str(path))
    assert task.name == "steps"
    assert task.reward_function(program(task, "add,x1,x1")) == 1
    assert len(RegressionTask(dataset=str(path), header=True).y_train) == 2


def test_y_limit_key():
    limited = RegressionTask(dataset="Nguyen-12a", y_limit=5.0)
    assert np.abs(limited.y_train).max() < 5


def test_noise_on_rewards():
    def make():
        return RegressionTask(dataset="Nguyen-5", reward_noise=0.2)

    noisy, exact = make(), RegressionTask(dataset="Nguyen-5")
    assert noisy.stochastic
    assert not exact.stochastic
    programs = batch(exact, ["sin,x1", "log,sub,x1,x1"] * 2000)
    first, second = noisy.rewards(programs), noisy.rewards(programs)
    assert (first.values[::2] != second.values[::2]).all()
    np.testing.assert_array_equal(make().rewards(programs).values, first.values)
    added = first.values[::2] - exact.rewards(programs).values[::2]
    assert abs(added.mean()) < 4 * 0.2 / np.sqrt(2000)
    assert added.std() == pytest.approx(0.2, rel=0.1)
    assert (first.values[1::2] == exact.invalid_reward).all()  # no noise on invalid programs
    normalized = RegressionTask(dataset="Nguyen-5", reward_noise=0.2, normalize_variance=True)
    np.testing.assert_allclose(
        normalized.rewards(programs).values[::2], first.values[::2] / np.sqrt(1 + 12 * 0.2**2)
    )


def test_noise_on_predictions():
    task = RegressionTask(
        dataset="Nguyen-5", reward_noise=0.5, reward_noise_type="y_hat", metric="neg_mse",
        metric_params=[],
    )  # fmt: skip
    programs = batch(task, ["sin,x1", "log,sub,x1,x1"] * 500)
    noisy = task.rewards(programs).values
    exact = RegressionTask(dataset="Nguyen-5", metric="neg_mse", metric_params=[])
    noise_variance = 0.25 * np.mean(task.y_train**2)
    expected = exact.rewards(programs).values[0] - noise_variance
    assert noisy[::2].mean() == pytest.approx(expected, rel=0.05)
    assert (noisy[1::2] == task.invalid_reward).all()
    assert noisy[::2].std() > 0


@pytest.mark.parametrize(("kind", "reward"), [("r", RECOVERED), ("y_hat", 1.0)])
def test_noise_does_not_hide_a_recovered_target(kind, reward):
    task = RegressionTask(dataset="Nguyen-1", reward_noise=0.3, reward_noise_type=kind)
    found = "add,x1,mul,x1,add,x1,mul,x1,x1"
    values = task.rewards(batch(task, [found, "x1"])).values
    assert values[0] == reward
    assert values[1] < 2


def test_a_reward_below_the_best_is_never_taken_for_a_recovery():
    task = RegressionTask(dataset={"name": "Nguyen-1", "noise": 0.3}, reward_noise=0.3)
    found = "add,x1,mul,x1,add,x1,mul,x1,x1"
    assert task.evaluate(program(task, found))["success"]
    assert task.rewards(batch(task, [found])).values[0] < 3


def test_noise_continues_from_its_state():
    task = RegressionTask(dataset="Nguyen-5", reward_noise=0.2)
    programs = batch(task)
    task.rewards(programs)
    state = task.state_dict()
    expected = task.rewards(programs).values
    other = RegressionTask(dataset="Nguyen-5", reward_noise=0.2)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.rewards(programs).values, expected)


def test_pickled_task_rewards_the_same():
    task = RegressionTask(dataset="Nguyen-5")
    copy = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(
        copy.rewards(batch(task)).values, task.rewards(batch(task)).values
    )


def test_a_data_set_of_ones_own():
    y = np.array([1.0, 2.0, 4.0])
    data = Dataset("mine", y[:, None], y, y[:, None], y, y, ("x1",))
    assert load_dataset(data) is data
    assert RegressionTask(dataset=data).name == "mine"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"dataset": "Nguyen-99"}, "unknown benchmark 'Nguyen-99'"),
        ({"metric": "rmse"}, "unknown metric 'rmse' in task.metric"),
        ({"metric_params": []}, "task.metric_params"),
        ({"extra_metric_test": "mse"}, "unknown metric 'mse' in task.extra_metric_test"),
        ({"extra_metric_test": "inv_mse"}, r"task.extra_metric_test_params: \[\] has 0"),
        ({"reward_noise": -0.1}, "task.reward_noise: -0.1"),
        ({"reward_noise_type": "y"}, "task.reward_noise_type"),
    ],
)
def test_refuses(section, message):
    with pytest.raises(UserError, match=message):
        RegressionTask(**{"dataset": "Nguyen-1", **section})


def test_start_up_imports_nothing_heavy():
    """Neither pandas, scipy, sympy nor torch is loaded for a benchmark or a CSV file."""
    code = (
        "import sys; from dso.task import make_task; make_task('regression', dataset='Nguyen-5');"
        "heavy = {'pandas', 'scipy', 'sympy', 'torch', 'sklearn'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
