"""Operators that are defined by a formula."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sympy

from dso.errors import UserError
from dso.export import c_source, numpy_source
from dso.library import DefinedToken, Library, Token, create_tokens
from dso.library.definition import defined_operator, is_definition, read_definition
from dso.native import _core
from dso.program import Program, ProgramBatch, execute, mean_squared_error, wanted_values

X = np.random.default_rng(0).uniform(0.5, 2, (2, 30))
TEXTS = {
    "special(x, y) = x^2 + y": lambda a, b: a**2 + b,
    "twice_read(x) = x*sin(x) + 2.5f0*x": lambda a: a * np.sin(a) + 2.5 * a,
    "case(x, y) = x > y ? log(x) : 1/y": lambda a, b: np.where(a > b, np.log(a), 1 / b),
    "either(x, y) = x < 1 && y < 1 || x > y ? x : -y": lambda a, b: np.where(
        ((a < 1) & (b < 1)) | (a > b), a, -b
    ),
    "typed(x::T) where {T<:Real} = x > T(1) ? 2x : T(-1e-1)": lambda a: np.where(
        a > 1, 2 * a, -0.1
    ),
    "ramp(x) = max(0.7, min(x, 1.3))": lambda a: np.clip(a, 0.7, 1.3),
    "between(x::T, low, high) = clamp(x, low, high)": lambda a, b, c: np.minimum(
        np.maximum(a, b), c
    ),
}


def twice(a: np.ndarray) -> np.ndarray:
    return 2 * a


def library_of(text: str, *others: object) -> Library:
    return Library(create_tokens(2, [text, "add", "mul", "const", *others]))


def only(library: Library, tokens: str, constants: list[float] | None = None) -> ProgramBatch:
    batch = ProgramBatch.from_rows([library.actionize(tokens).tolist()])
    given = np.array([constants or []], dtype=float)
    return ProgramBatch(batch.tokens, batch.lengths, given)


def call_of(text: str) -> str:
    row = defined_operator(text, "here")
    return ",".join([row.name, "x1", "x2", "x1"][: row.arity + 1])


@pytest.mark.parametrize("text", TEXTS)
def test_it_runs_natively_and_counts_as_one_token(text: str) -> None:
    library = library_of(text)
    program = only(library, call_of(text))
    assert not library.is_python.any()
    values, cause, _ = execute(library, program, X)
    n_arguments = len(call_of(text).split(",")) - 1
    expected = TEXTS[text](*[X[0], X[1], X[0]][:n_arguments])
    assert cause[0] == 0
    np.testing.assert_allclose(values[0], expected, rtol=1e-14)
    np.testing.assert_allclose(library.tokens[2](*[X[0], X[1], X[0]][:n_arguments]), expected)
    assert library.tokens[2].complexity == 1


@pytest.mark.parametrize("text", TEXTS)
def test_its_forms_agree(text: str) -> None:
    library = library_of(text)
    program = Program(library, library.actionize(call_of(text)), [])
    expected = program.execute(X.T)
    session: dict = {}
    exec(numpy_source(program.traversal, ["x1", "x2"]), session)
    np.testing.assert_allclose(session["predict"](X.T), expected, rtol=1e-14)
    assert "static double" in c_source(program.traversal, ["x1", "x2"])
    function = sympy.lambdify(sympy.symbols("x1 x2"), program.sympy_expr)
    np.testing.assert_allclose(function(*X), expected, rtol=1e-13)
    import torch

    from dso.export.torch_module import TorchProgram

    with torch.no_grad():
        found = TorchProgram(program.traversal)(torch.tensor(X.T)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("text", TEXTS)
def test_constants_are_derived_through_it(text: str) -> None:
    """A constant below an argument that is read several times, against differences."""
    library = library_of(text)
    n_arguments = len(call_of(text).split(",")) - 1
    below = ["mul,const,x1", "mul,const,x2", "const"][:n_arguments]
    tokens = ",".join(["add", library.names[2], *below, library.names[2], *below])
    constants = np.random.default_rng(1).uniform(0.7, 1.4, 2 * n_arguments)
    data = _core.Data(X, X[0])
    _, jacobian, is_valid = _core.derive(
        library.native, only(library, tokens, constants.tolist()).native, data
    )
    assert is_valid[0]
    for k in range(len(constants)):
        moved = [constants.copy(), constants.copy()]
        moved[0][k] -= 1e-6
        moved[1][k] += 1e-6
        low, high = (execute(library, only(library, tokens, c.tolist()), X)[0][0] for c in moved)
        np.testing.assert_allclose(jacobian[0, k], (high - low) / 2e-6, rtol=1e-6, atol=1e-7)


def test_only_its_result_has_to_be_finite() -> None:
    library = library_of("safe_log(x) = x > 1 ? log(x - 1) : 0")
    _, cause, _ = execute(library, only(library, "safe_log,x1"), X)
    assert cause[0] == 0


def test_an_argument_that_stands_once_can_be_solved_for() -> None:
    library = library_of("shifted(x, y) = exp(x) + 2*y", "sub")
    program = only(library, "shifted,x1,x2")
    y = np.exp(X[0]) + 2 * X[1]
    wanted = wanted_values(library, program, np.array([1]), X, y)
    np.testing.assert_allclose(wanted.values[0], X[0], rtol=1e-12)
    row = library.tokens[2].operator
    assert row is not None
    assert row.inverse[0] is not None
    twice_read = library_of("both(x) = x + sin(x)")
    assert not wanted_values(twice_read, only(twice_read, "both,x1"), np.array([1]), X, y).is_finite
    assert twice_read.tokens[2].operator.inverse == (None,)


def test_derivatives_follow_the_chain_rule() -> None:
    definition = read_definition("f(x, y) = exp(sin(x)*y)/x", "here")
    slope = definition.derivative(0)
    step = 1e-6
    low, high = definition(X[0] - step, X[1]), definition(X[0] + step, X[1])
    np.testing.assert_allclose(slope(X[0], X[1]), (high - low) / (2 * step), rtol=1e-6)


def test_a_definition_of_an_operator_of_the_table_is_that_operator() -> None:
    (token,) = create_tokens(0, ["inv(x) = 1/x"])
    assert token.operator.name == "inv"
    assert token.operator.definition is None


def test_functions_and_tokens_stand_for_themselves() -> None:
    own = Token(twice, "own", 1, 3)
    tokens = create_tokens(1, [twice, own, np.sin, np.hypot])
    assert [token.name for token in tokens] == ["x1", "twice", "own", "sin", "hypot"]
    assert tokens[3].operator.name == "sin"
    assert [token.arity for token in tokens[1:]] == [1, 1, 1, 2]


def test_what_can_be_stored() -> None:
    library = pickle.loads(pickle.dumps(library_of("special(x, y) = x^2 + y", twice)))
    assert isinstance(library.tokens[2], DefinedToken)
    values = execute(library, only(library, "special,x1,x2"), X)[0]
    np.testing.assert_allclose(values[0], X[0] ** 2 + X[1])
    nameless = Token(lambda a: a, "nameless", 1, 1)
    with pytest.raises(UserError, match=r"'nameless' cannot be stored.*top of a module"):
        pickle.dumps(nameless)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("f(x) = sni(x)", "did you mean 'sin'"),
        ("f(x, y) = x", "does not use its argument 'y'"),
        ("f(x) = z", "unknown input 'z'"),
        ("f(x, x) = x", "different names"),
        ("I(x) = x^2", "meaning of its own"),
        ("sin(x) = x^2", "operator of dso with another value"),
        ("x3(x) = x^2", "name of an input"),
        ("(x) -> x^2", "needs a name"),
        ("f(x) = x ? x", "cannot read"),
        ("clmp", "Did you mean 'clamp'"),
        (lambda a: a, "no name to be shown by"),
    ],
)
def test_bad_input_is_one_clear_error(item: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        create_tokens(2, [item])


def test_what_is_a_definition() -> None:
    assert is_definition("f(x) = 1/x")
    assert is_definition("(x, y) -> x*y")
    assert not is_definition("module:name")
    assert not is_definition("sin")
    assert not is_definition("x1 == 2")


def test_rewards_go_through_it() -> None:
    library = library_of("special(x, y) = x^2 + y")
    mse = mean_squared_error(library, only(library, "special,x1,x2"), X, X[0] ** 2 + X[1])
    assert mse.values[0] < 1e-25
