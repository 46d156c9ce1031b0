"""A fitted polynomial: values, and the three forms in which it is shown."""

import numpy as np
import pytest
import sympy

from dso.errors import UserError
from dso.library import FittedPolynomial, Library, Polynomial, create_tokens
from dso.program import Program, from_str_tokens

POLYNOMIAL = FittedPolynomial(
    np.array([[0, 0, 0], [1, 1, 0], [0, 0, 3]], dtype=np.int32), np.array([1.3, 12.0, -0.05])
)
EMPTY = FittedPolynomial(np.zeros((0, 3), dtype=np.int32), np.zeros(0))
X = np.random.default_rng(0).normal(0, 1, (3, 70))
LIBRARY = Library(create_tokens(3, ["add", "mul", "exp", "poly", "const"]))


def test_values() -> None:
    expected = 1.3 + 12 * X[0] * X[1] - 0.05 * X[2] ** 3
    np.testing.assert_allclose(POLYNOMIAL.values(X), expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(EMPTY.values(X), np.zeros(70))


def test_the_formula_has_six_digits() -> None:
    assert str(POLYNOMIAL) == "1.3+12.0*x1*x2-0.05*x3**3"
    assert str(EMPTY) == "0.0"
    many = FittedPolynomial(np.array([[1], [2]], dtype=np.int32), np.array([-1 / 3, 1e20]))
    assert str(many) == "-0.333333*x1+1e+20*x1**2"


def test_its_tokens_are_the_same_polynomial() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        exponents = random.integers(0, 4, (random.integers(0, 6), 3)).astype(np.int32)
        polynomial = FittedPolynomial(exponents, random.normal(0, 5, len(exponents)))
        program = from_str_tokens(Polynomial(polynomial).to_str_tokens(), LIBRARY)
        np.testing.assert_allclose(program.execute(X.T), polynomial.values(X), atol=1e-8)
    assert EMPTY.to_str_tokens() == ["0.0"]
    assert POLYNOMIAL.to_str_tokens()[:6] == ["add", "1.3", "add", "mul", "12.0", "mul"]
    with pytest.raises(UserError, match="not fitted"):
        Polynomial().to_str_tokens()


def test_a_program_shows_and_executes_it() -> None:
    tokens = LIBRARY.actionize("add,x1,exp,poly")
    program = Program(LIBRARY, tokens, polynomial=POLYNOMIAL)
    assert repr(program) == "add,x1,exp,1.3+12.0*x1*x2-0.05*x3**3"
    shown = sympy.lambdify(sympy.symbols("x1 x2 x3"), program.sympy_expr)
    np.testing.assert_allclose(shown(*X), program.execute(X.T), rtol=1e-12)
    assert "12.0*x1*x2" in program.expression
    assert "x_{1}" in program.latex()
    assert "x₁" in program.pretty() or "x1" in program.pretty()
    assert program.complexity == 1 + 1 + 4 + 3
    np.testing.assert_allclose(program.execute(X.T), X[0] + np.exp(POLYNOMIAL.values(X)))
    np.testing.assert_array_equal(
        Program(LIBRARY, LIBRARY.actionize("poly"), polynomial=EMPTY).execute(X.T), np.zeros(70)
    )
    unfitted = Program(LIBRARY, tokens)
    assert repr(unfitted) == "add,x1,exp,poly"
    assert unfitted.expression == "x1 + exp(poly)"
    with pytest.raises(UserError, match="before its polynomial is fitted"):
        unfitted.execute(X.T)


def test_exponents_have_a_limit() -> None:
    """Each takes a column of the data."""
    high = FittedPolynomial(np.array([[1000]], dtype=np.int32), np.ones(1))
    assert high.values(np.ones((1, 3))).tolist() == [1.0, 1.0, 1.0]
    for exponent in (1001, -1):
        beyond = FittedPolynomial(np.array([[exponent]], dtype=np.int32), np.ones(1))
        with pytest.raises(ValueError, match="0 to 1000"):
            beyond.values(np.ones((1, 3)))
