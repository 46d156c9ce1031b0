"""One program as people read and use it."""

import numpy as np
import pytest
import sympy

from dso.errors import UserError
from dso.library import OPERATORS, Library, Token, create_tokens
from dso.program import (
    Program,
    ProgramBatch,
    execute,
    fraction_within,
    from_str_tokens,
    from_tokens,
    mean_squared_error,
    traversal_texts,
)
from dso.program.symbolic import to_text

PLAIN = [name for name in OPERATORS if not name.startswith("protected_")]
X = np.random.default_rng(0).uniform(0.2, 0.8, (20, 2))


def halve(a: np.ndarray) -> np.ndarray:
    return a / 2


def unhalve_below(a: np.ndarray) -> np.ndarray:
    return np.where(a < 0.1, np.inf, 2 * a)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(create_tokens(2, [*PLAIN, "const", 0.5], False, [0.5]))


def test_execute_and_text(library: Library) -> None:
    program = from_str_tokens("add,mul,x1,x1,sin,x2", library)
    np.testing.assert_allclose(program.execute(X), X[:, 0] ** 2 + np.sin(X[:, 1]), rtol=1e-14)
    assert repr(program) == "add,mul,x1,x1,sin,x2"
    assert program.complexity == 1 + 1 + 1 + 1 + 3 + 1
    assert len(program) == 6
    assert [token.name for token in program.traversal] == repr(program).split(",")
    assert not program.invalid
    same = from_tokens(program.tokens, library)
    np.testing.assert_array_equal(same.execute(X), program.execute(X))


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("pow,1.0,x1", "1", "1"),
        ("mul,1.0,x1", "x1", "x1"),
        ("mul,-1.0,exp,mul,-1.0,x1", "-exp(-x1)", "-exp(-x1)"),
        ("pow,add,x1,x2,1.0", "x1 + x2", "x1 + x2"),
        ("pow,x1,0.0", "1", "1"),
        ("div,1.0,x1", "1/x1", "1/x1"),
        ("mul,1.00000001,x1", "1.00000001*x1", "x1"),
        ("pow,add,x1,x2,0.99999999", "(x1 + x2)**0.99999999", "x1 + x2"),
        ("pow,1.00000001,x1", "1.00000001**x1", "1"),
        ("add,1.0,x1", "x1 + 1.0", "x1 + 1.0"),
        ("mul,2.0,x1", "2.0*x1", "2.0*x1"),
    ],
)
def test_numbers_that_do_nothing_are_not_shown(text: str, full: str, short: str) -> None:
    library = Library(create_tokens(2, ["add", "mul", "div", "pow", "exp", "const"]))
    program = from_str_tokens(text, library)
    assert program.expression == full
    assert to_text(program.traversal, digits=5) == short


def test_texts_of_a_batch_are_those_of_its_programs(library: Library) -> None:
    programs = [
        from_str_tokens(text, library) for text in ("add,x1,const", "x2", "mul,0.5,1.25", "sin,x1")
    ]
    with_numbers = ProgramBatch.concatenate([program.batch for program in programs])
    texts = ["add,x1,const", "x2", "mul,0.5,1.25", "sin,x1"]
    assert traversal_texts(library, with_numbers) == [repr(p) for p in programs] == texts
    without = ProgramBatch.from_arrays(with_numbers.tokens, with_numbers.lengths)
    assert traversal_texts(library, without)[2] == "mul,0.5,const"
    assert traversal_texts(library, without)[3] == "sin,x1"


def test_numbers_become_constants(library: Library) -> None:
    program = from_str_tokens("add,1.25,mul,x1,0.5", library)
    assert program.tokens.tolist() == library.actionize("add,const,mul,x1,0.5").tolist()
    assert repr(program) == "add,1.25,mul,x1,0.5"
    np.testing.assert_allclose(program.execute(X), 1.25 + X[:, 0] / 2)
    assert repr(from_str_tokens(["mul", 3, "x1"], library)) == "mul,3.0,x1"
    unset = from_str_tokens("mul,const,x1", library)
    assert repr(unset) == "mul,const,x1"
    np.testing.assert_array_equal(unset.execute(X), X[:, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("add,x1", "not one complete expression"),
        ("x1,x1", "not one complete expression"),
        ("", "unknown token"),
        ("ad,x1,x1", "Did you mean 'add'"),
        ("mul,2.5,x1", "needs the token 'const'"),
    ],
)
def test_bad_texts(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_str_tokens(text, Library(create_tokens(1, ["add", "mul"])))


def test_invalid_says_why(library: Library) -> None:
    program = from_str_tokens("log,sub,x1,x1", library)
    assert np.isneginf(program.execute(X)).all()
    assert (program.invalid, program.error_type, program.error_node) == (True, "divide", "log")


def test_reward_comes_from_a_scorer(library: Library) -> None:
    class Answers:
        def reward(self, program: Program) -> float:
            return float(len(program))

        def test(self, program: Program) -> dict:
            return {"success": True}

    program = Program(library, [0], scorer=Answers())
    assert program.r == 1.0
    assert program.evaluate == {"success": True}
    with pytest.raises(UserError, match="scorer"):
        _ = Program(library, [0]).r


@pytest.mark.parametrize("name", PLAIN)
def test_sympy_form_of_every_token(library: Library, name: str) -> None:
    """The symbolic form has the numbers of the execution."""
    program = from_str_tokens([name, "x1", "x2"][: OPERATORS[name].arity + 1], library)
    symbols = sympy.symbols("x1 x2")
    expected = program.execute(X)
    for row, value in zip(X[:4], expected, strict=False):
        number = program.sympy_expr.subs(dict(zip(symbols, row, strict=True)))
        real = float(number) if number.is_real else np.nan
        assert real == pytest.approx(value, rel=1e-12, nan_ok=True)


def test_symbolic_output(library: Library) -> None:
    assert from_str_tokens("mul,x1,sub,x1,x1", library).sympy_expr == 0
    program = from_str_tokens("div,sin,x1,x2", library)
    assert str(program.sympy_expr) == "sin(x1)/x2"
    assert program.latex() == r"\frac{\sin{\left(x_{1} \right)}}{x_{2}}"
    assert program.pretty().count("\n") == 2
    tree = from_str_tokens("x2 < 0.5,add,const,x1,mul,2.5,const", library).sympy_expr
    x1, x2, c1, c2 = sympy.symbols("x1 x2 c1 c2")
    assert tree == sympy.Piecewise((c1 + x1, x2 < 0.5), (2.5 * c2, True))


def test_custom_token_runs_in_whole_columns() -> None:
    tokens = create_tokens(2, ["add", "div", "log", "const"], False, [0.5])
    user = [Token(halve, "halve", 1, 1), Token(unhalve_below, "unhalve_below", 1, 1)]
    library = Library([*tokens, *user, Token(lambda: np.array([3.0]), "three", 0, 1)])
    texts = ["halve,x1", "add,x1,x2", "div,halve,x1,log,x2", "add,unhalve_below,x1,log,x2",
             "x1 < 0.5,halve,x2,const", "log,halve,three"]  # fmt: skip
    batch = ProgramBatch.from_rows([library.actionize(text) for text in texts])
    batch = ProgramBatch(batch.tokens, batch.lengths, np.full((6, 1), 4.0))
    columns = np.ascontiguousarray(X.T)
    a, b = columns
    expected = [a / 2, a + b, a / 2 / np.log(b), 2 * a + np.log(b), np.where(a < 0.5, b / 2, 4.0),
                np.full(20, np.log(1.5))]  # fmt: skip
    result = execute(library, batch, columns)
    np.testing.assert_allclose(result.values, expected, rtol=1e-14)
    assert not result.cause.any()
    alone = execute(library, batch[[0, 2]], columns)  # no row for the native lane
    np.testing.assert_array_equal(alone.values, result.values[[0, 2]])
    mse = mean_squared_error(library, batch, columns, a).values
    np.testing.assert_allclose(mse, np.mean((expected - a) ** 2, axis=1), rtol=1e-13)
    share = fraction_within(library, batch, columns, a, 0.5, 0.1).values
    within = np.abs(expected - a) < 0.5 * a + 0.1
    np.testing.assert_allclose(share, within.mean(axis=1))

    columns[0, 7] = 0.01
    result = execute(library, batch, columns)
    assert result.cause.tolist() == [0, 0, 0, 2, 0, 0]
    assert result.node.tolist() == [-1, -1, -1, 1, -1, -1]
    assert np.isnan(mean_squared_error(library, batch, columns, a).values[3])
    columns[1, 7] = 1.0
    result = execute(library, batch, columns)
    assert result.cause.tolist() == [0, 0, 1, 2, 0, 0]
    assert result.node.tolist() == [-1, -1, 0, 1, -1, -1]
    assert execute(library, batch, columns, protected=True).node.tolist() == [-1, -1, 0, 0, -1, -1]


def test_custom_token_of_wrong_shape_is_named() -> None:
    library = Library([*create_tokens(1, ["add"]), Token(lambda a: a[:2], "cut", 1, 1)])
    batch = ProgramBatch.from_rows([library.actionize("cut,x1")])
    with pytest.raises(UserError, match=r"'cut' returned an array of shape \(2,\)"):
        execute(library, batch, np.ones((1, 5)))


def test_a_custom_token_that_fails_is_named() -> None:
    def cut(a: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("by nothing")

    library = Library([*create_tokens(2, ["add"]), Token(cut, "cut", 1, 1)])
    with pytest.raises(UserError, match="token 'cut' failed: ZeroDivisionError: by nothing"):
        from_str_tokens("cut,x1", library).execute(X)


def test_what_sympy_cannot_compare_is_written_all_the_same() -> None:
    library = Library(create_tokens(2, ["max", "min", "arccos", 5.0, "div", "sub"], protected=True))
    program = from_str_tokens("max,x1,arccos,5.0", library)
    assert str(program.sympy_expr) == program.expression == "Max(x1, 2.29243166956118*I)"
    zero = "sub,x1,x1"
    program = from_str_tokens(f"min,x2,div,{zero},{zero}", library)
    assert "Min(" in program.expression


def test_a_program_has_as_many_constants_as_it_has_room_for() -> None:
    library = Library(create_tokens(2, ["add", "const"]))
    tokens = library.actionize("add,const,x1")
    assert Program(library, tokens, [2.5, np.nan, np.nan]).constants.tolist() == [2.5]
    assert Program(library, library.actionize("add,x1,x2"), [np.nan]).constants.size == 0
    plain = Library(create_tokens(1, ["add"]))
    assert Program(plain, plain.actionize("x1"), [1.0]).constants.size == 0


def test_a_task_may_call_a_program_invalid(library: Library) -> None:
    program = from_str_tokens("add,x1,x2", library)
    program.invalid = True
    assert (program.invalid, program.error_type, program.error_node) == (True, "invalid", None)
    program.invalid = False
    assert not program.invalid


def test_other_constants_leave_all_else() -> None:
    library = Library(create_tokens(1, ["mul", "const"]))
    program = from_str_tokens("mul,3.0,x1", library)
    other = program.with_constants(np.array([2.0]))
    assert (program.expression, other.expression) == ("3.0*x1", "2.0*x1")
    np.testing.assert_array_equal(other.execute(X[:, :1]), 2 * X[:, 0])


def test_complex_values_of_a_token_are_refused() -> None:
    root = Token(np.lib.scimath.sqrt, "root", 1, 1)
    program = from_str_tokens("root,x1", Library([*create_tokens(1, []), root]))
    np.testing.assert_allclose(program.execute(X[:, :1]), np.sqrt(X[:, 0]))
    with pytest.raises(UserError, match="token 'root' returned complex numbers"):
        program.execute(-X[:, :1])
