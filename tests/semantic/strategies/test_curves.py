"""Constants inside functions: what is left of a curve tells where it meets y."""

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.prior import make_joint_prior
from dso.program import FitData, execute
from dso.semantic import SemanticLimits, SemanticSearch
from dso.semantic.strategies.curves import CurveSearch

NAMES = ["add", "sub", "mul", "div", "sqrt", "square", "exp", "log", "sin", "cos", "tanh", "const"]
TARGETS = {
    "Planck": (3, lambda a, b, c: 0.77 * a**3 / (np.exp(0.43 * a * b / c) - 1)),
    "Fermi": (2, lambda a, b: 1.9 * b / (1 + np.exp(-2.6 * a / b))),
    "frequency": (3, lambda a, b, c: np.sin(6.283 * a * b / c) ** 2),
    "wave": (2, lambda a, b: 0.4 - 3.7 * np.cos(4.1 * a * b)),
    "root": (2, lambda a, b: a * np.sqrt(np.tanh(0.37 * b / a))),
    "logarithm": (2, lambda a, b: a**2 * np.log(7.3 * b)),
    "saturation": (2, lambda a, b: 2.5 - 1.1 * np.exp(-0.8 * a * b)),
}


def search(n_inputs: int, X: np.ndarray, y: np.ndarray, **limits: int) -> tuple:
    library = Library(create_tokens(n_inputs, NAMES))
    result = SemanticSearch(
        make_joint_prior({"const": {"on": True}}, library, max_length=40),
        FitData.of_rows(library, X, y),
        limits=SemanticLimits(max_entries=500, max_lookups=1_000_000, **limits),
        strategies=(CurveSearch,),
    ).run()
    return library, result


@pytest.mark.parametrize(("n_inputs", "target"), TARGETS.values(), ids=TARGETS)
def test_a_constant_inside_is_found(n_inputs: int, target) -> None:
    generator = np.random.default_rng(3)
    X, fresh = (generator.uniform(0.6, 3, (n, n_inputs)) for n in (80, 300))
    library, result = search(n_inputs, X, target(*X.T))
    assert result.is_exact[0]
    values, cause, _ = execute(library, result.programs[:1], np.ascontiguousarray(fresh.T))
    assert cause[0] == 0
    np.testing.assert_allclose(values[0], target(*fresh.T), rtol=1e-6, atol=1e-9)


def test_points_of_curves_are_evaluations() -> None:
    generator = np.random.default_rng(4)
    X, y = generator.uniform(0.6, 3, (80, 2)), generator.normal(size=80)
    _, whole = search(2, X, y)
    _, cut = search(2, X, y, max_vectors=8000)
    assert not whole.is_exact.any()
    assert cut.n_vectors < 10_000 < whole.n_vectors
