"""Every metric against its formula written out, and what happens at its edges."""

import numpy as np
import pytest
from scipy import stats

from dso.errors import UserError
from dso.task.regression.metrics import METRICS, make_metric


def targets_and_predictions() -> tuple[np.ndarray, np.ndarray]:
    """Return y (40,), and predictions (4, 40) from exact to far off."""
    random = np.random.default_rng(0)
    y = random.normal(2.0, 3.0, 40)
    return y, y + np.outer([0.0, 0.1, 1.0, 30.0], random.normal(size=40))


Y, PREDICTIONS = targets_and_predictions()
VAR = float(np.var(Y))
MSE = ((PREDICTIONS - Y) ** 2).mean(axis=1)

EXPECTED = {
    "neg_mse": ((), -MSE, -VAR, 0),
    "neg_rmse": ((), -np.sqrt(MSE), -np.sqrt(VAR), 0),
    "neg_nmse": ((), -MSE / VAR, -1, 0),
    "neg_nrmse": ((), -np.sqrt(MSE / VAR), -1, 0),
    "neglog_mse": ((), -np.log(1 + MSE), -np.log(1 + VAR), 0),
    "inv_mse": ((0.5,), 1 / (1 + 0.5 * MSE), 0, 1),
    "inv_nmse": ((2.0,), 1 / (1 + 2 * MSE / VAR), 0, 1),
    "inv_nrmse": ((1.5,), 1 / (1 + 1.5 * np.sqrt(MSE / VAR)), 0, 1),
    "fraction": (
        (0.05, 0.2),
        [np.mean(np.abs(Y - p) < 0.05 * np.abs(Y) + 0.2) for p in PREDICTIONS],
        0,
        1,
    ),
    "pearson": ((), [stats.pearsonr(Y, p).statistic for p in PREDICTIONS], 0, 1),
    "spearman": ((), [stats.spearmanr(Y, p).statistic for p in PREDICTIONS], 0, 1),
}


def test_table_is_covered():
    assert set(EXPECTED) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_formula(name):
    params, rewards, invalid_reward, max_reward = EXPECTED[name]
    metric = make_metric(name, params, VAR)
    np.testing.assert_allclose(metric.from_predictions(Y, PREDICTIONS), rewards, rtol=1e-12)
    assert metric.invalid_reward == pytest.approx(invalid_reward, rel=1e-14)
    assert metric.max_reward == max_reward
    assert metric.from_predictions(Y, PREDICTIONS)[0] == pytest.approx(max_reward, abs=1e-15)
    if metric.is_of_mse:
        np.testing.assert_allclose(metric.from_mse(MSE), rewards, rtol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_weights_repeat_rows(name):
    """A whole-number weight is the same as repeating the row."""
    metric = make_metric(name, EXPECTED[name][0], VAR)
    weights = np.random.default_rng(2).integers(1, 4, len(Y))
    weighted = metric.from_predictions(Y, PREDICTIONS, weights)
    if name == "spearman":  # ranks among repeated rows are other ranks
        assert np.abs(weighted - metric.from_predictions(Y, PREDICTIONS)).max() < 0.1
        return
    repeated = metric.from_predictions(
        np.repeat(Y, weights), np.repeat(PREDICTIONS, weights, axis=1)
    )
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_no_reward_is_ever_not_finite(name, value):
    metric = make_metric(name, EXPECTED[name][0], VAR)
    predictions = PREDICTIONS.copy()
    predictions[2, 7] = value
    rewards = metric.from_predictions(Y, predictions)
    assert np.isfinite(rewards).all()
    if not np.isfinite(value):
        assert rewards[2] == metric.invalid_reward
    unchanged = [0, 1, 3]
    np.testing.assert_array_equal(
        rewards[unchanged], metric.from_predictions(Y, PREDICTIONS)[unchanged]
    )


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_correlation_of_a_constant_is_the_invalid_reward(name):
    metric = make_metric(name, (), VAR)
    x = np.linspace(0, 7, len(Y))
    constants = np.stack([np.full(len(Y), 0.1), np.zeros(len(Y)), np.sin(x) ** 2 + np.cos(x) ** 2])
    assert len(np.unique(constants[2])) > 1  # rounding makes it no more than that
    np.testing.assert_array_equal(metric.from_predictions(Y, constants), [0, 0, 0])
    np.testing.assert_allclose(metric.from_predictions(Y, -2 * Y[None] + 1), [-1])


def test_correlation_of_huge_and_tiny_predictions():
    scales = np.array([[1e300], [1e-300]])
    for name in ("pearson", "spearman"):
        rewards = make_metric(name, (), VAR).from_predictions(Y, scales * PREDICTIONS[1])
        expected = make_metric(name, (), VAR).from_predictions(Y, PREDICTIONS[1:2])
        np.testing.assert_allclose(rewards, np.repeat(expected, 2), rtol=1e-12)


def test_mse_of_an_invalid_program():
    metric = make_metric("neg_mse", (), VAR)
    np.testing.assert_array_equal(
        metric.from_mse(np.array([np.nan, np.inf, 2.0])), [-VAR, -VAR, -2.0]
    )


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("inv_nrsme", [1.0], r"metric 'inv_nrsme' in task.metric. Did you mean 'inv_nrmse'"),
        ("inv_nmse", [0.0], "'inv_nmse' is the same for every program"),
        ("fraction", [0, 0], "'fraction' is the same for every program"),
        ("inv_nrmse", [], r"task.metric_params: \[\] has 0 number\(s\), but 'inv_nrmse' takes 1"),
        ("neg_mse", [1.0], "takes 0"),
        ("fraction", [0.1], "takes 2"),
        ("inv_mse", ["a"], "expected finite numbers"),
        ("inv_mse", [float("nan")], "expected finite numbers"),
        ("inv_mse", [-1.0], ">= 0"),
    ],
)
def test_refuses(name, params, message):
    with pytest.raises(UserError, match=message):
        make_metric(name, params, VAR)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_targets_that_are_all_zero_correlate_with_nothing(name):
    metric = make_metric(name, (), 1.0)  # rows drawn for the search may be such
    assert metric.from_predictions(np.zeros(40), PREDICTIONS).tolist() == [0.0] * 4
