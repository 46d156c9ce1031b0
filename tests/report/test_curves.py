"""Thinned curves and distributions keep what a reader looks for."""

import numpy as np
import pandas as pd
import pytest

from dso.report.curves import QUANTILES, learning_curves, reward_distribution


def test_thin_curves_keep_ends_maxima_and_means():
    n = 1000
    log = pd.DataFrame(
        {
            "r_best": np.arange(n) / n,
            "r_max": np.where(np.arange(n) == 503, 9.0, 0.0),
            "r_avg_full": np.ones(n),
            "time": np.full(n, 0.5),
            "nevals": 10 * np.arange(1, n + 1),
            "n_novel_full": np.full(n, 4),
        }
    )
    curves = learning_curves(log, 50)
    assert {len(values) for values in curves.values()} == {50}
    assert curves["r_best"][-1] == log["r_best"].iloc[-1]
    assert curves["iteration"][-1] == n
    assert curves["r_max"].max() == 9.0
    assert np.allclose(curves["r_avg_full"], 1.0)
    assert curves["seconds"][-1] == pytest.approx(500.0)
    assert np.allclose(curves["novel"], 0.4)


def test_short_curves_are_whole_and_empty_ones_empty():
    log = pd.DataFrame({"r_best": [-np.inf, 0.5], "time": ["0.1", "half"]})
    curves = learning_curves(log, 50)
    assert curves["r_best"].tolist() == [-np.inf, 0.5]
    assert curves["seconds"].tolist() == [0.1, 0.1]
    assert learning_curves(log.iloc[:0], 50) == {}


def test_the_distribution_is_that_of_the_rewards():
    random = np.random.default_rng(0)
    rewards = random.uniform(0, 1, (300, 500)).astype(np.float32)
    rewards[:, 400:] = -np.inf  # smaller batches are filled up
    found = reward_distribution(rewards, 30)
    assert len(found["iteration"]) == 30
    assert found["iteration"][-1] == 300
    assert np.allclose(found["shares"].sum(axis=1), 1.0)
    assert np.allclose(found["quantiles"][:, :5], QUANTILES[:5], atol=0.05)
    assert found["edges"][-1] == rewards.max()


def test_distributions_of_nothing_and_of_one_value():
    assert reward_distribution(np.full((3, 4), -np.inf)) is None
    same = reward_distribution(np.ones((3, 4)))
    assert np.allclose(same["shares"].sum(axis=1), 1.0)
