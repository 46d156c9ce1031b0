"""Derivatives in constants against differences of whole programs."""

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.program import ProgramBatch, execute
from dso.program.derivatives import derivatives_in_constants

X = np.random.default_rng(0).uniform(0.2, 2.0, (2, 30))


def blend(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A token that only Python knows."""
    return a * np.sqrt(1 + b**2)


@pytest.fixture(scope="module")
def library() -> Library:
    names = ["add", "mul", "div", "sin", "exp", "pow", "const", f"{__name__}:blend"]
    return Library(create_tokens(2, names, decision_tree_threshold_set=[1.0]))


@pytest.mark.parametrize(
    "text",
    [
        "add,const,blend,mul,const,x1,sin,const",
        "blend,div,const,x2,exp,blend,const,x1",
        "pow,blend,x1,x2,add,const,mul,const,x2",
        "x1 < 1.0,blend,const,x1,mul,const,blend,x1,const",
        "blend,x1,x2",
    ],
)
def test_derivatives_are_those_of_the_values(library: Library, text: str) -> None:
    names = list(library.names)
    row = np.array([names.index(name) for name in text.split(",")])
    constants = np.array([0.7, 1.3, -0.4, np.nan])
    n_used = text.count("const")

    def values(trial: np.ndarray) -> np.ndarray:
        batch = ProgramBatch.from_rows([row])
        programs = ProgramBatch(batch.tokens, batch.lengths, trial[None, :n_used])
        return execute(library, programs, X).values[0]

    slopes = derivatives_in_constants(library, row, constants, X)
    assert slopes.shape == (30, 4)
    for k in range(n_used):
        step = np.zeros(4)
        step[k] = 1e-5
        difference = (values(constants + step) - values(constants - step)) / 2e-5
        np.testing.assert_allclose(slopes[:, k], difference, rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(slopes[:, n_used:], 0)
