"""What is learned from an anchor: lines, and how much each state weighs."""

import numpy as np
import pytest

import tests.support.envs  # noqa: F401, registers an environment
from dso.task.control.distill import MIN_WEIGHT, Formula, Lessons, lines, weights_of
from dso.task.control.environment import Environment

ENVIRONMENT = Environment("tests.support.envs:test/TwoActions-v0")
STATES = np.random.default_rng(0).uniform(-1, 1, (400, 3))


class Bent:
    """An anchor whose first action is one line where x1 > 0, and another elsewhere."""

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        x, y, _ = observations.T
        return np.stack([np.where(x > 0, 0.5 * y, -0.3 * y), 0 * y], axis=1)


class WithCritic(Bent):
    """It knows that the first action matters where x1 > 0 alone, and the second not at all."""

    def critic(self, rows: np.ndarray) -> np.ndarray:
        wrong = rows[:, 3] - self(rows[:, :3])[:, 0]
        return (7.0 - 2.0 * (rows[:, 0] > 0) * wrong**2)[:, None]


def lessons(anchor: Bent) -> Lessons:
    actions = anchor(STATES)
    return Lessons(STATES, actions, weights_of(anchor, STATES, actions, ENVIRONMENT))


def slope(formula: Formula) -> float:
    """Return the factor of x2."""
    return float(formula[formula.index("x2") - 1])


def test_states_weigh_as_much_as_a_wrong_action_costs_there() -> None:
    weights = lessons(WithCritic()).weights
    matters = STATES[:, 0] > 0
    np.testing.assert_allclose(weights[matters, 0], 1 / matters.mean(), rtol=1e-9)
    np.testing.assert_array_equal(weights[~matters, 0], MIN_WEIGHT)
    np.testing.assert_array_equal(weights[:, 1], 1.0)  # nothing is lost anywhere
    np.testing.assert_array_equal(lessons(Bent()).weights, 1.0)


def test_lines_are_right_where_it_matters() -> None:
    with_critic = lines(lessons(WithCritic()), 0, -1, 1)
    assert slope(with_critic[-1]) == pytest.approx(0.5, abs=0.02)
    assert "x2" in with_critic[0]
    assert slope(lines(lessons(Bent()), 0, -1, 1)[-1]) == pytest.approx(0.1, abs=0.1)


def test_lessons_are_joined_and_thinned_by_rows() -> None:
    taught = lessons(WithCritic())
    both = taught.joined(taught.thinned(100))
    assert len(both) == 500
    for rows in (both.observations, both.actions, both.weights):
        np.testing.assert_array_equal(rows[400], rows[0])
        np.testing.assert_array_equal(rows[-1], rows[399])
