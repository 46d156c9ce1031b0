"""Guesses: formulas as programs of a library."""

from __future__ import annotations

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.task.regression.guesses import read_guesses

LIBRARY = Library(create_tokens(3, ["add", "mul", "sin", "exp", 2.0, "const"]), ["a", "b", "v"])
BARE = Library(create_tokens(2, ["add", "mul", "sin"]))

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-2, 2, (60, 3))
FIRST = np.exp(np.sin(3 * X[:, 1]) * X[:, 0]) * X[:, 0] ** 2
Y = FIRST + 5 * np.sin(np.exp(X[:, 2] + 0.3 * X[:, 1])) + RANDOM.normal(0, 0.1, 60)


@pytest.mark.parametrize(
    ("text", "tokens", "constants"),
    [
        ("c1*sin(2*a)", "mul,const,sin,mul,2.0,x1", [np.nan]),
        ("c*a + c*b", "add,mul,const,x1,mul,const,x2", [np.nan, np.nan]),
        ("3.5*a", "mul,const,x1", [3.5]),
        ("a^2", "mul,x1,x1", []),
        ("exp(a) - v", "add,exp,x1,mul,const,x3", [-1.0]),
        ("c", "const", [np.nan]),
    ],
)
def test_a_guess_is_written_in_tokens(text: str, tokens: str, constants: list[float]) -> None:
    batch = read_guesses([text], LIBRARY, "task.guesses")
    assert ",".join(LIBRARY.names[token] for token in batch.row(0)) == tokens
    np.testing.assert_array_equal(batch.constants[0][: len(constants)], constants)


@pytest.mark.parametrize(
    ("text", "library", "words"),
    [
        ("c1*sinn(a)", LIBRARY, r"task\.guesses\[0\]: .* did you mean 'sin'"),
        ("q + a", LIBRARY, r"unknown input 'q' \(inputs: a, b, v\)"),
        ("a / b", LIBRARY, "cannot be written in the tokens x1, x2, x3, add"),
        ("c*x1", BARE, "free constant 'c', and the function set has no 'const'"),
        ("3*x1 + 0.5", BARE, "cannot be written"),
        ("x1 +", LIBRARY, "cannot read"),
    ],
)
def test_what_cannot_be_written_is_refused(text: str, library: Library, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_guesses([text], library, "task.guesses")


def estimator(**given: object) -> DeepSymbolicRegressor:
    usual = {"n_samples": 1, "random_state": 0, "verbosity": 0, "n_jobs": 1}
    return DeepSymbolicRegressor(operators=["+", "*", "sin", "exp"], **{**usual, **given})


@pytest.mark.slow
def test_a_guess_is_fitted_and_found() -> None:
    import sympy

    x1, x2 = sympy.symbols("x1 x2")
    x3 = sympy.Symbol("x3")
    guess = sympy.exp(sympy.sin(3 * x2) * x1) * x1**2 + 5 * sympy.sin(sympy.exp(x3 + 0.3 * x2))
    for guesses in (["exp(sin(3*x2)*x1)*x1^2 + c*sin(exp(x3 + 0.3*x2))"], [guess]):
        model = estimator(guesses=guesses).fit(X, Y)
        assert model.equations_["loss"].min() < 0.02
    assert estimator().fit(X, Y).equations_["loss"].min() > 1


@pytest.mark.parametrize(
    ("guesses", "limits", "words"),
    [
        (["sin(x1) + exp(sin(x2))"], {"nested_constraints": {"exp": {"sin": 0}}}, "nesting: sin"),
        (["sin(sin(x1))"], {}, "trig: "),
        ("sin(x1)", {}, "expected a list of formulas"),
        ([["x1"], ["x2"]], {}, "for each of 1 targets"),
    ],
)
def test_a_guess_that_is_not_allowed_is_refused(
    guesses: object, limits: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        estimator(guesses=guesses, **limits).fit(X, Y)
