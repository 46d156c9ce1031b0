"""Every form of a program predicts what the program predicts."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from dso.errors import UserError
from dso.export import c_source, identifiers, numpy_source
from dso.library import Library, Token, create_tokens
from dso.library.functions import OPERATORS
from dso.program import Program, from_str_tokens
from dso.program.execute import column_of
from dso.program.symbolic import to_sympy

NAMES = identifiers(["mass", "speed (km/h)", "θ"])
X = np.random.default_rng(0).uniform(-3, 3, (200, 3))
NOISE, CLEAR = 1e-13, 1e-9
"""Noise on every intermediate value, and the effect on the result above which a row is left out.

The noise is a hundred times the rounding errors in which forms may differ."""


def twice(a: np.ndarray) -> np.ndarray:
    """A token that only Python knows."""
    return 2 * a


def all_tokens() -> list[Token]:
    plain = create_tokens(3, ["const", 0.5, -2.0], decision_tree_threshold_set=[0.1, -1.0])
    rows = OPERATORS.values()
    return plain + [Token(row.numpy, row.name, row.arity, row.complexity) for row in rows]


LIBRARY = Library(all_tokens())


@st.composite
def programs(draw: st.DrawFn, least: int | None = None, depth: int = 4) -> Program:
    """Draw a random program; `least` is a token that stands at its root."""
    tokens: list[int] = []

    def grow(token: int, room: int) -> None:
        tokens.append(token)
        for _ in range(LIBRARY.arities[token]):
            choices = LIBRARY.terminal_tokens if room == 0 else np.arange(LIBRARY.L)
            grow(int(draw(st.sampled_from(choices.tolist()))), room - 1)

    first = draw(st.integers(0, LIBRARY.L - 1)) if least is None else least
    grow(first, depth)
    n_constants = sum(token == LIBRARY.const_token for token in tokens)
    number = st.floats(-4, 4, allow_subnormal=False)
    constants = draw(st.lists(number, min_size=n_constants, max_size=n_constants))
    return Program(LIBRARY, tokens, constants)


def noisy_values(program: Program, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values (N,) with a little noise on every node, and the plain rows, (N,) bool.

    In those every intermediate value is finite. `side`, 1 or -1, turns the noise round, so that a
    node at a jump or a pole lands on both sides of it.
    """
    random = np.random.default_rng(1)
    is_plain = np.ones(len(X), dtype=bool)
    stack: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for token in reversed(program.traversal):
            arguments = [stack.pop() for _ in range(token.arity)]
            number = float(getattr(token, "value", np.nan))
            column = column_of(token, arguments, X.T, number)
            is_plain &= np.isfinite(column)
            noise = side * NOISE * random.uniform(-1, 1, (2, len(X)))
            stack.append(column * (1 + noise[0]) + 0.01 * noise[1])
    return stack.pop(), is_plain


def agree(form: np.ndarray, program: Program, in_plain_rows: bool = False) -> None:
    """Compare predictions (N,) in all rows that rounding errors do not reach."""
    values = program.execute(X)
    rows = np.ones(len(X), dtype=bool)
    for side in (1, -1):
        noisy, is_plain = noisy_values(program, side)
        with np.errstate(all="ignore"):
            rows &= np.abs(noisy - values) <= CLEAR * np.abs(values)
        rows &= is_plain if in_plain_rows else np.isfinite(noisy)
    assert form.shape == values.shape
    np.testing.assert_allclose(form[rows], values[rows], rtol=1e-9, err_msg=repr(program))


def from_numpy(program: Program) -> np.ndarray:
    session: dict = {}
    exec(numpy_source(program.traversal, NAMES), session)
    return session["predict"](X)


def from_torch(program: Program) -> np.ndarray:
    import torch

    from dso.export.torch_module import TorchProgram

    with torch.no_grad():
        return TorchProgram(program.traversal)(torch.tensor(X)).numpy()


def from_jax(program: Program) -> np.ndarray:
    jax = pytest.importorskip("jax", reason="jax is an extra that is not installed")
    jax.config.update("jax_enable_x64", True)
    from dso.export.jax_callable import jax_program

    form = jax_program(program.traversal)
    return np.asarray(form["callable"](X, form["parameters"]))


def from_sympy(program: Program) -> np.ndarray:
    return values_of(to_sympy(program.traversal, NAMES), NAMES)


def values_of(expression: sympy.Expr, names: list[str]) -> np.ndarray:
    # Row by row: numpy's form of cases wants arrays where sympy has found that one always holds.
    named = {n: row.numpy for n, row in OPERATORS.items() if n != "sinc"}  # sympy's is without pi
    own = {**named, "harmonic": lambda a: digamma(a + 1) + np.euler_gamma}
    function = sympy.lambdify(list(map(sympy.Symbol, names)), expression, [own, "math"])

    def value(row: np.ndarray) -> float:
        try:
            return float(function(*row.tolist()))
        except (ArithmeticError, ValueError, TypeError):  # no real number
            return np.nan

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.array([value(row) for row in X])


FEW = settings(max_examples=2, deadline=None, derandomize=True, database=None)
EVERY_TOKEN = pytest.mark.parametrize("token", range(LIBRARY.L), ids=LIBRARY.names)


@EVERY_TOKEN
@FEW
@given(data=st.data())
def test_numpy_and_torch_agree_with_predictions(token: int, data: st.DataObject) -> None:
    program = data.draw(programs(token))
    agree(from_numpy(program), program)
    agree(from_torch(program), program)


@EVERY_TOKEN
@FEW
@given(data=st.data())
def test_sympy_agrees_with_predictions(token: int, data: st.DataObject) -> None:
    program = data.draw(programs(token, depth=2))
    # sympy cannot print infinities in code.
    assume(noisy_values(program, 1)[1].any() and np.isfinite(program.execute(X)).any())
    agree(from_sympy(program), program, in_plain_rows=True)


def guarded_rows(program: Program) -> np.ndarray:
    """Return the rows (N,) in which guards have no effect but those of constants."""
    rows = np.ones(len(X), dtype=bool)
    stack: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for token in reversed(program.traversal):
            arguments = [stack.pop() for _ in range(token.arity)]
            number = float(getattr(token, "value", np.nan))
            if token.operator is not None and token.operator.guard is not None:
                condition, _ = token.operator.guard(SimpleNamespace(Abs=np.abs), *arguments)
                rows &= condition | (np.ptp(arguments[-1]) == 0)
            stack.append(column_of(token, arguments, X.T, number))
    return rows


@EVERY_TOKEN
@settings(FEW, max_examples=1)
@given(data=st.data())
def test_texts_agree_with_predictions(token: int, data: st.DataObject) -> None:
    program = data.draw(programs(token, depth=2))
    symbols = {name: sympy.Symbol(name) for name in ("x1", "x2", "x3")}
    expression = sympy.sympify(
        program.expression, {**symbols, "harmonic": sympy.Function("harmonic")}
    )
    rows = guarded_rows(program)
    if not (rows & noisy_values(program, 1)[1]).any():
        return  # nothing to compare
    shown = np.where(rows, values_of(expression, list(symbols)), program.execute(X))
    agree(shown, program, in_plain_rows=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mul,x1,div,sub,x2,x2,sub,x1,x1", "x1"),
        ("mul,x2,div,x1,sub,x1,x1", "x2"),
        ("add,x1,log,sub,x1,x1", "x1"),
        ("mul,x1,exp,exp,5.0", "0"),
        ("exp,exp,exp,5.0", "1"),
        ("exp,exp,exp,exp,exp,5.0", "exp(E)"),
        ("div,x1,x2", "x1/x2"),
    ],
)
def test_guards_of_constants_are_decided(text: str, shown: str) -> None:
    library = Library(create_tokens(2, ["add", "sub", "mul", "div", "exp", "log", 5.0], True))
    program = from_str_tokens(text, library)
    program.protected = True
    assert program.expression == shown
    x1, x2 = sympy.symbols("x1 x2")
    function = sympy.lambdify([x1, x2], sympy.sympify(shown), "numpy")
    rows = np.abs(X[:, :2]).min(axis=1) > 0.01
    values = np.broadcast_to(function(*X[:, :2].T), len(X))
    np.testing.assert_allclose(values[rows], program.execute(X[:, :2])[rows])


def test_towers_of_exponentials_cost_nothing() -> None:
    library = Library(create_tokens(1, ["add", "exp", "pow", 9.0]))
    for text in ("exp,exp,exp,exp,9.0", "add,x1,pow,9.0,pow,9.0,pow,9.0,9.0"):
        program = from_str_tokens(text, library)
        assert len(program.expression) < 50
        assert program.expression.count("9.0") == text.count("9.0")


@pytest.mark.slow
@FEW
@given(data=st.data())
def test_jax_agrees_with_predictions(data: st.DataObject) -> None:
    for token in range(LIBRARY.L):
        program = data.draw(programs(token, depth=2))
        agree(from_jax(program), program)


def test_sympy_has_both_cases_of_guards() -> None:
    """Rows on both sides of every guard, guards within guards too."""
    unary = ["div", "log", "exp", "n2", "n3", "n4", "inv", "logabs", "expneg", "sigmoid", "sqrt"]
    library = Library(create_tokens(1, [*unary, "sub"], protected=True))
    small = [0.0, 1e-4, -1e-4, 0.5, 1.0, -3.0, 99.0, -99.0, 101.0, -101.0]
    for outer in unary:
        for inner in ("log", "n2", "sub,x1"):
            # sympy writes 1 / (1 + exp(-x)) as it likes, and that may overflow.
            is_large = {"exp", "expneg", "sigmoid"}.isdisjoint((outer, inner))
            rows = np.array(small + [2e6, -2e6] * is_large)
            text = ",".join(name + ",x1" if name == "div" else name for name in (outer, inner))
            program = Program(library, library.actionize(f"{text},x1"))
            wanted = program.execute(rows[:, None])
            function = sympy.lambdify(sympy.Symbol("x1"), program.sympy_expr, ["scipy", "numpy"])
            with np.errstate(all="ignore"):
                shown = np.broadcast_to(function(rows), rows.shape)
            np.testing.assert_allclose(shown, wanted, rtol=1e-9, atol=1e-300, err_msg=text)
            assert "Piecewise" not in program.expression


def random_program(root: int, random: np.random.Generator) -> Program:
    """Draw a program without hypothesis, which would compile again for every smaller example."""
    tokens: list[int] = []

    def grow(token: int, room: int) -> None:
        tokens.append(token)
        for _ in range(LIBRARY.arities[token]):
            choices = LIBRARY.terminal_tokens if room == 0 else np.arange(LIBRARY.L)
            grow(int(random.choice(choices)), room - 1)

    grow(root, 3)
    return Program(LIBRARY, tokens, random.uniform(-4, 4, tokens.count(LIBRARY.const_token)))


def test_c_agrees_with_predictions(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    random = np.random.default_rng(2)
    drawn = [random_program(token, random) for token in range(LIBRARY.L)]
    files = []
    for i, program in enumerate(drawn):
        file = tmp_path / f"p{i}.c"
        code = c_source(program.traversal, NAMES)
        file.write_text(code.replace("double predict(", f"double predict_{i}("))
        files.append(str(file))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    made = tmp_path / "made.so"
    subprocess.run([compiler, *flags, "-o", str(made), *files, "-lm"], check=True)
    shared = ctypes.CDLL(str(made))
    for i, program in enumerate(drawn):
        function = shared[f"predict_{i}"]
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_void_p]
        agree(np.array([function(row.ctypes.data) for row in X]), program)


def test_a_users_token_has_no_source() -> None:
    library = Library([Token(None, "x1", 0, 1, input_var=0), Token(twice, "twice", 1, 1)])
    program = Program(library, [1, 0])
    from dso.export.torch_module import TorchProgram

    for form in (lambda tokens: numpy_source(tokens, ["x1"]), TorchProgram):
        with pytest.raises(UserError, match="'twice' is not an operator of dso"):
            form(program.traversal)


def test_torch_constants_are_trained() -> None:
    import torch

    from dso.export.torch_module import TorchProgram

    library = Library(create_tokens(1, ["mul", "add", "const", 2.0]))
    tokens = library.actionize("add,mul,const,x1,mul,2.0,const")
    module = TorchProgram(Program(library, tokens, [1.0, 1.0]).traversal)
    X1 = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    y = 3 * X1[:, 0] - 1
    optimizer = torch.optim.SGD(module.parameters(), 0.2)
    for _ in range(200):
        optimizer.zero_grad()
        ((module(X1) - y) ** 2).mean().backward()
        optimizer.step()
    np.testing.assert_allclose(module.constants.detach().numpy(), [3, -0.5], atol=1e-6)
    assert [name for name, _ in module.named_parameters()] == ["constants"]
    assert module(X1.float()).dtype == torch.float32


def test_derivatives_are_numbers_where_a_guard_holds() -> None:
    import torch

    from dso.export.torch_module import TorchProgram

    for name in ("div", "log", "exp", "n4", "inv", "logabs", "expneg", "sigmoid"):
        library = Library(create_tokens(2, [name, "const"], protected=True))
        last = ["const", "x1"] if name == "div" else ["x1"]
        program = Program(library, library.actionize([name, *last]), [1.0] * (name == "div"))
        rows = torch.tensor([[0.0, 0], [1e9, 0], [-1e9, 0]], dtype=torch.float64)
        rows.requires_grad_()
        TorchProgram(program.traversal)(rows).sum().backward()
        assert torch.isfinite(rows.grad).all(), name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sub,x1,sub,x2,x3", "x1 - (x2 - x3)"),
        ("sub,sub,x1,x2,x3", "x1 - x2 - x3"),
        ("div,x1,mul,x2,x3", "x1 / (x2 * x3)"),
        ("mul,add,x1,x2,neg,x3", "(x1 + x2) * -x3"),
        ("neg,neg,add,x1,-2.0", "-(-(x1 + -2.0))"),
        ("inv,inv,x1", "1.0 / (1.0 / x1)"),
        ("neg,-2.0", "-(-2.0)"),
    ],
)
def test_parentheses_stand_where_they_are_needed(text: str, code: str) -> None:
    program = Program(LIBRARY, LIBRARY.actionize(text))
    names = ["x1", "x2", "x3"]
    assert f"return {code};" in c_source(program.traversal, names)
    assert f"values = {code}\n" in numpy_source(program.traversal, names)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
@pytest.mark.parametrize("text", ["add,x1,sin,2.0", "sin,2.0", "max,2.0,x1", "mul,x2,exp,const"])
def test_a_traced_module_takes_any_number_of_rows(text: str) -> None:
    import torch

    from dso.export.torch_module import TorchProgram

    library = Library(create_tokens(2, ["add", "mul", "max", "sin", "exp", 2.0, "const"]))
    module = TorchProgram(from_str_tokens(text.replace("const", "0.5"), library).traversal)
    fifty, twenty = (torch.rand(n, 2, dtype=torch.float64) for n in (50, 20))
    torch.testing.assert_close(torch.jit.trace(module, fifty)(twenty), module(twenty))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["add,x1,sin,2.0", "sin,2.0"])
def test_an_exported_module_takes_any_number_of_rows(text: str) -> None:
    import torch

    from dso.export.torch_module import TorchProgram

    library = Library(create_tokens(2, ["add", "sin", 2.0]))
    module = TorchProgram(from_str_tokens(text, library).traversal)
    fifty, twenty = (torch.rand(n, 2, dtype=torch.float64) for n in (50, 20))
    exported = torch.export.export(
        module, (fifty,), dynamic_shapes=({0: torch.export.Dim("n_rows")},)
    )
    torch.testing.assert_close(exported.module()(twenty), module(twenty))
