"""The model of the data: its likelihood, its errors on rows left out, its gradients."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from dso.reduction.surrogate import Surrogate

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0.5, 2.0, (60, 3))
Y = np.sin(X[:, 0] * X[:, 1]) + X[:, 2] ** 2


@pytest.mark.parametrize("weights", [None, RANDOM.uniform(0.5, 2.0, 60)])
def test_the_gradient_of_the_likelihood_is_that_of_differences(weights: np.ndarray | None) -> None:
    model = Surrogate(X, Y, weights)
    theta = np.array([0.3, 0.2, 0.5, -0.1, -2.0])
    cost, gradient = model._cost(theta)
    differences = approx_fprime(theta, lambda t: model._cost(t)[0], 1e-6)
    assert np.isfinite(cost)
    np.testing.assert_allclose(gradient, differences, rtol=1e-3, atol=1e-3)


def test_errors_are_those_of_models_that_have_not_seen_the_row() -> None:
    model = Surrogate(X, Y)
    K = model._covariance(model.theta) + np.exp(2 * model.theta[-1]) * np.eye(60)
    K += 1e-10 * np.exp(2 * model.theta[0]) * np.eye(60)
    slowly = []
    for i in range(60):
        others = np.delete(np.arange(60), i)
        mean = K[i, others] @ np.linalg.solve(K[np.ix_(others, others)], model._t[others])
        slowly.append(abs(model._t[i] - mean) * model._size)
    np.testing.assert_allclose(model.errors, slowly, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("is_log", [False, True])
def test_gradients_are_those_of_what_it_predicts(is_log: bool) -> None:
    y = Y + 3
    model = Surrogate(X, y, is_log=is_log)
    slowly = np.empty_like(X)
    for j in range(3):
        step = 1e-5 * np.eye(3)[j]
        slowly[:, j] = (model.predict(X + step) - model.predict(X - step)) / 2e-5
    predicted = model.predict(X)
    np.testing.assert_allclose(predicted, y, rtol=1e-2)
    scale = y / predicted if is_log else np.ones(60)
    np.testing.assert_allclose(model.gradients, slowly * scale[:, None], rtol=1e-3, atol=1e-4)


def test_noise_is_told_from_form() -> None:
    rows = RANDOM.uniform(0.5, 2.0, (150, 2))
    exact = rows[:, 0] * np.exp(-rows[:, 1])
    noisy = Surrogate(rows, exact + 0.05 * RANDOM.standard_normal(150))
    assert 0.03 < noisy.noise < 0.07
    assert Surrogate(rows, exact).noise < 1e-4
