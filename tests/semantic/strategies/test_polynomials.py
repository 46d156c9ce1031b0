"""Fitted polynomials by the span of the monomials: found where they are exact, and only there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso import DeepSymbolicOptimizer
from dso.config import load_config
from dso.fitting.polynomial_basis import exponents_up_to
from dso.prior import make_joint_prior
from dso.program import FitData, execute
from dso.semantic import SemanticLimits, SemanticResult, SemanticSearch
from dso.semantic.strategies.polynomials import vectors_outside
from dso.task.regression import RegressionTask

SET = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "sqrt", "poly"]
LIMITS = SemanticLimits(max_entries=5000, max_lookups=50_000)


def search(
    X: np.ndarray, y: np.ndarray, limits: SemanticLimits = LIMITS
) -> tuple[RegressionTask, SemanticResult]:
    task = RegressionTask(dataset=(X, y), function_set=SET)
    prior = make_joint_prior({"length": {"on": True, "min_": 4}}, task.library, max_length=40)
    solver = SemanticSearch(
        prior, FitData.of_rows(task.library, X, y), limits=limits, polynomials=task.polynomials
    )
    result = solver.run()
    assert prior.allowed(result.programs).all()
    return task, result


def fresh_error(task: RegressionTask, result: SemanticResult, X: np.ndarray, y: np.ndarray):
    best = result.programs[:1]
    fitted = task.polynomials.polynomials(best)
    values, cause, _ = execute(task.library, best, np.ascontiguousarray(X.T), polynomials=fitted)
    return np.inf if cause[0] else float(np.mean((values[0] - y) ** 2) / np.var(y))


TARGETS = {
    "itself": lambda X: 1.3 * X[:, 0] ** 3 - 0.7 * X[:, 0] * X[:, 1] * X[:, 2] + 0.31,
    "function": lambda X: np.exp(0.2 * X[:, 0] ** 2 - 0.37 * X[:, 1] * X[:, 2]),
    "partner": lambda X: np.sin(X[:, 1]) * np.sqrt(3.1 + 0.77 * X[:, 0] * X[:, 2] ** 2),
    "two partners": lambda X: (
        np.cos(X[:, 2]) / (np.sqrt(2.3 + 0.47 * X[:, 0] ** 2 * X[:, 1]) * np.exp(X[:, 1]))
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_polynomial_inside_is_found(name: str) -> None:
    generator = np.random.default_rng(0)
    X, fresh = (generator.uniform(0.2, 3, (n, 3)) for n in (100, 500))
    task, result = search(X, TARGETS[name](X))
    assert result.is_exact[0]
    assert task.library.poly_token in result.programs.row(0)
    assert fresh_error(task, result, fresh, TARGETS[name](fresh)) < 1e-15
    assert result.n_vectors < 1_000_000


def test_three_terms_of_286_inside_three_functions() -> None:
    config = load_config("config_regression_best.json")
    config["task"]["dataset"] = {"name": "Poly-4", "seed": 1}
    config["experiment"]["logdir"] = None
    config["training"]["verbose"] = False
    model = DeepSymbolicOptimizer(config)
    result = model.train()
    assert result["success"]
    assert result["program"].polynomial.n_terms == 3
    assert model.trainer.standing.iteration == 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 3))
def test_vectors_outside_tell_polynomials_from_others(
    seed: int, n_inputs: int, degree: int
) -> None:
    generator = np.random.default_rng(seed)
    exponents = exponents_up_to(n_inputs, degree)
    n_rows = len(exponents) + int(generator.integers(1, 30))
    X = generator.uniform(-2, 2, (n_inputs, n_rows)) * 10 ** generator.uniform(-3, 3)
    outside = vectors_outside(X, degree)
    assert 0 < outside.shape[1] <= n_rows
    np.testing.assert_allclose(outside.T @ outside, np.eye(outside.shape[1]), atol=1e-12)
    scales = np.abs(X).max()
    terms = np.prod((X[:, None, :] / scales) ** exponents.T[:, :, None], axis=0)
    value = generator.normal(size=len(exponents)) @ terms
    assert np.abs(value @ outside).max() < 1e-11 * np.linalg.norm(value)
    other = generator.normal(size=n_rows)
    assert np.abs(other @ outside).max() > 1e-7 * np.linalg.norm(other)


def test_there_is_nothing_outside_of_as_many_monomials_as_rows() -> None:
    X = np.random.default_rng(0).uniform(0, 1, (2, 10))
    assert vectors_outside(X, 3).shape == (10, 0)


HOSTILE = {
    "noise": lambda X, noise: noise,
    "nearly a polynomial": lambda X, noise: X[:, 0] ** 2 * X[:, 1] + 1e-5 * noise,
    "huge": lambda X, noise: np.exp(50 * X[:, 0]) * (2 + np.sin(9 * X[:, 1] * noise)),
    "ten rows": lambda X, noise: (np.sin(X[:, 0]) + X[:, 1] ** 2 * noise)[:10],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_exact_by_chance(name: str) -> None:
    generator = np.random.default_rng(3)
    X = generator.uniform(0.2, 3, (60, 2))
    y = HOSTILE[name](X, generator.normal(size=60))
    limits = SemanticLimits(max_entries=3000, max_lookups=10_000, max_evaluations=300_000)
    _, result = search(X[: len(y)], y, limits)
    assert not result.is_exact.any()
    assert result.n_evaluations < 330_000
