"""Risk filter: the quantile, ties, epsilon 1, NaN."""

import numpy as np
import pytest

from dso.policy_optimizer import RiskFilter
from dso.policy_optimizer.risk import weighted_quantile


@pytest.mark.parametrize("n_rows", [1, 2, 20, 21, 101, 1000])
@pytest.mark.parametrize("epsilon", [0.001, 0.05, 0.1, 0.5, 0.999])
def test_quantile_is_numpys_with_interpolation_higher(n_rows, epsilon):
    rewards = np.random.default_rng(n_rows).random(n_rows)
    kept, quantile = RiskFilter(epsilon).select(rewards)
    assert quantile == np.quantile(rewards, 1 - epsilon, method="higher")
    assert np.array_equal(kept, rewards >= quantile)


def test_a_twentieth_of_a_default_batch_is_kept():
    kept, quantile = RiskFilter(0.05).select(np.arange(1000.0))
    assert kept.sum() == 50
    assert quantile == 950.0


def test_ties_with_the_quantile_are_kept():
    kept, _ = RiskFilter(0.25).select(np.array([0.0, 1.0, 1.0, 1.0, 0.5]))
    assert kept.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("epsilon", [None, 1.0])
def test_without_risk_seeking_all_are_kept_and_the_quantile_is_the_minimum(epsilon):
    kept, quantile = RiskFilter(epsilon).select(np.array([0.3, -2.0, 0.7]))
    assert kept.all()
    assert quantile == -2.0


def test_infinite_rewards_are_ordered_like_others():
    kept, quantile = RiskFilter(0.5).select(np.array([np.inf, np.inf, 0.0, -np.inf]))
    assert quantile == np.inf
    assert kept.tolist() == [True, True, False, False]


def test_nan_never_reaches_the_quantile():
    with pytest.raises(ValueError, match="NaN"):
        RiskFilter(0.05).select(np.array([0.1, np.nan]))


@pytest.mark.parametrize("epsilon", [0.0, 1.5, -0.1])
def test_epsilon_outside_its_range_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        RiskFilter(epsilon)


@pytest.mark.parametrize("level", [0.0, 0.3, 0.5, 0.95, 1.0])
def test_weighted_quantile_is_the_first_value_that_enough_weight_lies_up_to(level):
    random = np.random.default_rng(3)
    for n_rows in (1, 2, 7, 50):
        values = random.integers(0, 9, n_rows).astype(float)  # with ties
        weights = random.random(n_rows)
        weights /= weights.sum()
        reached = [v for v in sorted(values) if weights[values <= v].sum() >= level - 1e-12]
        assert weighted_quantile(values, weights, level) == (reached or [values.max()])[0]


class Memory:
    """Half of the probability has reward 5, half belongs to the batch."""

    def distribution(self, programs, rewards):
        values = np.append(rewards, 5.0)
        return values, np.append(np.full(len(rewards), 0.5 / len(rewards)), 0.5)


def test_with_a_memory_its_weighted_quantile_decides():
    rewards = np.array([1.0, 2.0, 8.0, 9.0])
    assert RiskFilter(0.2, Memory()).select(rewards, rewards)[1] == 8.0
    kept, quantile = RiskFilter(0.5, Memory()).select(rewards, rewards)
    assert quantile == 5.0
    assert kept.tolist() == [False, False, True, True]


def test_something_is_kept_where_all_that_is_remembered_is_better():
    kept, quantile = RiskFilter(0.2, Memory()).select(np.array([1.0, 3.0]), np.array([1.0, 3.0]))
    assert quantile == 3.0
    assert kept.tolist() == [False, True]
