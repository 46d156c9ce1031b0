"""Baselines: formulas, memory over iterations, jump start."""

import numpy as np
import pytest

from dso.policy_optimizer import Baseline
from dso.policy_optimizer.baseline import KINDS

STEPS = [(np.array([0.25, 0.75]), 0.25), (np.array([1.0, 2.0]), 1.0)]  # kept rewards, quantile


def values(baseline):
    return [baseline.update(rewards, quantile) for rewards, quantile in STEPS]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ewma_R", [0.2 * 0.5, 0.2 * 1.5 + 0.8 * 0.1]),
        ("R_e", [0.25, 1.0]),
        ("ewma_R_e", [0.2 * 0.25, 0.2 * 1.0 + 0.8 * 0.05]),
        ("combined", [0.25 + 0.2 * 0.25, 1.0 + 0.2 * 0.5 + 0.8 * 0.05]),
    ],
)
def test_averages_start_at_zero_and_last_over_iterations(kind, expected):
    assert values(Baseline(kind, alpha=0.2)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ewma_R", [0.5, 0.2 * 1.5 + 0.8 * 0.5]),
        ("R_e", [0.25, 1.0]),
        ("ewma_R_e", [0.25, 0.2 * 1.0 + 0.8 * 0.25]),
        ("combined", [0.25 + 0.25, 1.0 + 0.2 * 0.5 + 0.8 * 0.25]),
    ],
)
def test_jump_start_begins_with_the_first_value(kind, expected):
    assert values(Baseline(kind, alpha=0.2, b_jumpstart=True)) == pytest.approx(expected)


def test_jump_start_of_the_quantile_average_is_the_smallest_kept_reward():
    baseline = Baseline("ewma_R_e", b_jumpstart=True)
    assert baseline.update(np.array([0.1, 0.9]), 0.4) == 0.1


def test_the_log_shows_minus_one_where_there_is_no_average():
    assert Baseline("R_e").ewma == -1.0
    assert Baseline("ewma_R").ewma == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_infinite_rewards_leave_the_baseline_finite(kind):
    assert np.isfinite(Baseline(kind).update(np.array([np.inf, 1.0]), np.inf))


@pytest.mark.parametrize("kind", KINDS)
def test_state_round_trip(kind):
    first = Baseline(kind, b_jumpstart=True)
    first.update(*STEPS[0])
    second = Baseline(kind)
    second.load_state_dict(first.state_dict())
    assert second.update(*STEPS[1]) == first.update(*STEPS[1])


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="ewma_R, R_e, ewma_R_e, combined"):
        Baseline("mean")
