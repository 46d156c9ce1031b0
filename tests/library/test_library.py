"""Tokens, the operator table and the groups of a library."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dso.errors import UserError
from dso.functions import create_tokens as create_tokens_of_the_original
from dso.library import (
    OPERATORS,
    HardCodedConstant,
    Library,
    PlaceholderConstant,
    Polynomial,
    StateChecker,
    Token,
    TokenNotFoundError,
    create_tokens,
)
from dso.library.functions import BY_FUNCTION, NAMES, Interval, solve
from dso.prior.poly import NOT_ABOVE_POLY
from dso.program import Program
from tests.support.function_sets import KOZA


def double_plus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 2 * a + b


LOGISTIC_MAP = Token(lambda a: a * (1 - a), "logistic_map", 1, 5)


def check_inverse(inverse: tuple) -> None:
    """Check that an inverse is made of operators with as many operands as they take."""
    name, *operands = inverse
    assert callable(name) or len(operands) == OPERATORS[name].arity
    for operand in operands:
        if isinstance(operand, tuple):
            check_inverse(operand)
        else:
            assert operand in ("y", "a", "b") or isinstance(operand, float)


def test_operator_table_is_consistent() -> None:
    assert len(BY_FUNCTION) == len(OPERATORS)  # a function tells its row
    assert len(NAMES) == len(OPERATORS) + sum(len(row.aliases) for row in OPERATORS.values())
    for name, row in OPERATORS.items():
        assert row.name == name
        assert row.domain in ((), row.domain[: row.arity])
        assert len(row.inverse) in (0, row.arity)
        for solution in row.inverse:
            check_inverse(solution)
        if row.protected:
            guarded = OPERATORS[row.protected]
            assert (guarded.shown, guarded.arity, guarded.complexity) == (
                name,
                row.arity,
                row.complexity,
            )


@pytest.mark.parametrize("name", [n for n, row in OPERATORS.items() if row.inverse])
def test_inverses_solve_for_their_argument(name: str) -> None:
    row = OPERATORS[name]
    first = np.array([1.3, 1.9]) if name == "arccosh" else np.array([0.3, 0.9])
    values = {"a": first, "b": np.array([0.7, 0.2])}
    operands = [values["a"], values["b"]][: row.arity]
    values["y"] = row.numpy(*operands)
    for argument, inverse in zip(operands, row.inverse, strict=True):
        np.testing.assert_allclose(solve(inverse, values), argument, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_domain_and_range_hold(name: str) -> None:
    row = OPERATORS[name]
    generator = np.random.default_rng(0)
    columns = [generator.uniform(-6, 6, 2000) for _ in range(row.arity)]
    with np.errstate(all="ignore"):
        inside = np.ones(2000, dtype=bool)
        for column, domain in zip(columns, row.domain, strict=False):
            inside &= np.array([domain.covers(value, value) for value in column])
        values = row.numpy(*columns)
        assert np.isfinite(values[inside]).all()
        if row.domain and name not in ("harmonic", "pow", "gamma"):
            assert inside.all() or not np.isfinite(values[~inside]).any()
    assert all(row.range.covers(value, value) for value in values[inside])


@pytest.mark.parametrize("name", OPERATORS)
def test_parity_symmetry_and_period_hold(name: str) -> None:
    """Where a row says nothing of a symmetry, it has none."""
    row = OPERATORS[name]
    a, b = np.random.default_rng(0).uniform(-3, 3, (2, 200))
    a = np.concatenate([a, [0.0005, 2e6]])  # where protected ones take their other branch
    b = np.concatenate([b, [0.5, 1.0]])
    with np.errstate(all="ignore"):
        if row.arity == 2:
            values, swapped = row.numpy(a, b), row.numpy(b, a)
            assert row.symmetry == symmetry_of(values, swapped)
            return
        values = row.numpy(a)
        assert row.parity == symmetry_of(values, row.numpy(-a))
        if row.period:
            np.testing.assert_allclose(row.numpy(a[:200] + row.period), values[:200], rtol=1e-9)
            assert not np.allclose(row.numpy(a + row.period / 2), values)


def symmetry_of(values: np.ndarray, mirrored: np.ndarray) -> str:
    """Return the name of a symmetry."""
    for name, sign in (("even", 1), ("odd", -1)):
        if np.allclose(sign * values, mirrored, rtol=1e-12, atol=0, equal_nan=True):
            return name
    return ""


@pytest.mark.parametrize("name", OPERATORS)
def test_a_poly_stands_below_what_a_row_allows(name: str) -> None:
    row = OPERATORS[name]
    assert (row.shown in NOT_ABOVE_POLY) == (not row.above_poly)


def test_interval() -> None:
    assert Interval(0, 1).covers(0, 1)
    assert not Interval(0, 1).covers(-0.1, 0.5)
    assert not Interval(excluded=(0.0,)).covers(-1, 1)
    assert Interval(excluded=(0.0,)).covers(0.1, 1)


def test_complexities_of_the_original() -> None:
    expected = {"add": 1, "sub": 1, "mul": 1, "div": 2, "sin": 3, "cos": 3, "tan": 4, "exp": 4,
                "log": 4, "sqrt": 4, "n2": 2, "n3": 3, "n4": 3, "neg": 1, "abs": 2, "max": 4,
                "min": 4, "tanh": 4, "inv": 2, "logabs": 4, "expneg": 4, "sigmoid": 4,
                "harmonic": 4}  # fmt: skip
    assert {name: OPERATORS[name].complexity for name in expected} == expected


def test_order_and_names() -> None:
    tokens = create_tokens(2, ["mul", "1", 0.1, "const", "poly", "square"], False, [1, 2.5])
    assert [token.name for token in tokens] == [
        "x1", "x2", "mul", "1.0", "0.1", "const", "poly", "n2",
        "x1 < 1", "x1 < 2.5", "x2 < 1", "x2 < 2.5",
    ]  # fmt: skip
    kinds = [type(token) for token in tokens[3:9]]
    assert kinds == [
        HardCodedConstant, HardCodedConstant, PlaceholderConstant, Polynomial, Token, StateChecker
    ]  # fmt: skip
    assert create_tokens_of_the_original is create_tokens


def test_thresholds_per_input() -> None:
    tokens = create_tokens(2, ["add"], False, [[1.0], [2.0, 3.0]])
    assert [token.name for token in tokens[3:]] == ["x1 < 1.0", "x2 < 2.0", "x2 < 3.0"]


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [([[1.0]], "one list per input"), (["a"], "'a' is not a number"), ([1.0, [2.0]], "mixes")],
)
def test_bad_thresholds(thresholds: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        create_tokens(2, ["add"], False, thresholds)


@pytest.mark.parametrize(
    ("function_set", "message"),
    [
        (["ad"], "Did you mean 'add'"),
        (["nan"], "not finite"),
        ([True], "neither a name nor a number"),
        (["dso.library:NoSuch"], "no attribute"),
        (["tests.support.function_sets:KOZA"], "neither a Token nor a function"),
    ],
)
def test_bad_function_sets(function_set: list, message: str) -> None:
    with pytest.raises(UserError, match=message):
        create_tokens(1, function_set)


def test_duplicate_and_empty_libraries() -> None:
    add = Token(np.add, "add", 2, 1)
    with pytest.raises(UserError, match="'add' twice"):
        Library([*create_tokens(1, ["add"]), add])
    with pytest.raises(UserError, match="'f' twice"):
        Library(create_tokens(1, [Token(np.add, "f", 2, 1), Token(np.sin, "f", 1, 1)]))
    with pytest.raises(UserError, match="at least one"):
        Library([])


def test_what_is_given_twice_counts_once(caplog: pytest.LogCaptureFixture) -> None:
    own = Token(np.hypot, "hypot", 2, 1)
    names = ["add", 1, "const", "+", own, "1.0", "sin", own, "Const"]
    tokens = create_tokens(1, names, decision_tree_threshold_set=[0.5, 0.5])
    assert list(map(str, tokens)) == ["x1", "add", "1.0", "const", "hypot", "sin", "x1 < 0.5"]
    assert len(caplog.records) == 5
    assert "'add' is given twice; it counts once" in caplog.text
    few = create_tokens(1, [1, 1.0, "+", "add"], decision_tree_threshold_set=[0.0, 0, 0.5])
    assert list(map(str, few)) == ["x1", "1.0", "add", "x1 < 0.0", "x1 < 0.5"]


def test_protected_swaps_what_has_a_protected_form() -> None:
    tokens = create_tokens(1, ["add", "div", "log"], protected=True)
    assert [token.name for token in tokens] == ["x1", "add", "div", "log"]
    with np.errstate(divide="ignore"):
        assert tokens[2](np.array([1.0]), np.array([0.0])) == 1.0
    (explicit,) = create_tokens(0, ["protected_div"])
    assert explicit.function is tokens[2].function


def test_custom_tokens_by_reference() -> None:
    names = ["tests.library.test_library:double_plus", "tests.library.test_library:LOGISTIC_MAP"]
    function, token = create_tokens(0, [*names])
    assert (function.name, function.arity) == ("double_plus", 2)
    assert token is LOGISTIC_MAP
    library = Library(create_tokens(1, ["add", *names]))
    assert library.is_python.tolist() == [False, False, True, True]


def test_groups() -> None:
    library = Library(
        create_tokens(2, [*KOZA, "inv", "neg", "sqrt", "n2", "arctan", "const", "1.0"], False, [0])
    )
    named = [library.names.index(name) for name in ("sin", "cos", "arctan")]
    assert library.L == len(library) == 19
    assert library.input_tokens.tolist() == [0, 1]
    assert [library.names[i] for i in library.float_tokens] == ["const", "1.0"]
    assert library.trig_tokens.tolist() == named
    assert [library.names[i] for i in library.binary_tokens] == [*KOZA[:4], "x1 < 0", "x2 < 0"]
    assert len(library.unary_tokens) == 9
    assert len(library.terminal_tokens) == 4
    assert library.state_checker_tokens.tolist() == [17, 18]
    assert library.names[library.const_token] == "const"
    assert library.poly_token is None
    pairs = {library.names[i]: library.names[j] for i, j in library.inverse_tokens.items()}
    assert pairs == {"inv": "inv", "neg": "neg", "exp": "log", "log": "exp", "sqrt": "n2",
                     "n2": "sqrt"}  # fmt: skip
    assert library.parent_adjust.tolist() == [-1, -1, *range(13), -1, -1, 13, 14]
    assert library.n_parents == 15
    assert (library.EMPTY_ACTION, library.EMPTY_PARENT, library.EMPTY_SIBLING) == (19, 15, 19)


def test_lookup() -> None:
    library = Library(create_tokens(2, [*KOZA, "n2"]))
    assert library["add"].name == library[2].name == library["plus"].name == "add"
    assert library["SQUARE"].name == "n2"
    assert library.actionize("add, x1,x2").tolist() == [2, 0, 1]
    assert [t.name for t in library.tokenize(np.array([2, 0, 1]))] == ["add", "x1", "x2"]
    assert library.actionize([library[2], "x1", 1]).tolist() == [2, 0, 1]
    with pytest.raises(TokenNotFoundError, match="Did you mean 'add'"):
        library["ad"]
    with pytest.raises(TokenNotFoundError, match="no index 40"):
        library[40]


def test_pickling_rebuilds_the_native_part() -> None:
    library = Library(create_tokens(1, [*KOZA, 0.5, "const"], True, [1.0]))
    copy = pickle.loads(pickle.dumps(library))
    assert copy.names == library.names
    assert not copy.is_python.any()
    assert len(copy.native) == library.L


def test_more_tokens_than_programs_can_name_are_refused() -> None:
    with pytest.raises(UserError, match="40000 tokens; at most 32767"):
        Library(create_tokens(40_000, []))


def test_tokens_check_their_use() -> None:
    with pytest.raises(UserError, match="takes 2 arguments"):
        create_tokens(0, ["add"])[0](np.ones(1))
    with pytest.raises(UserError, match="no value yet"):
        PlaceholderConstant()()
    with pytest.raises(UserError, match="no function"):
        Polynomial()()
    with pytest.raises(UserError, match="neither function nor children"):
        Token(np.sin, "x1", 1, 1, input_var=0)


def test_import_leaves_slow_packages_alone() -> None:
    code = (
        "import sys, dso.evaluation, dso.program;"
        "assert not {'scipy', 'sympy', 'torch', 'pandas', 'joblib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_inputs_are_called_as_their_tokens() -> None:
    inputs = [Token(None, "price ($)", 0, 1, input_var=1), Token(None, "x1", 0, 1, input_var=0)]
    library = Library([*inputs, *create_tokens(0, ["mul"])])
    assert library.input_names == ["x1", "price"]
    assert Program(library, library.actionize("mul,x1,price ($)")).expression == "price*x1"
    assert Library(create_tokens(2, ["mul"])).input_names is None


def test_tokens_of_a_file_can_be_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from dso.library import Token\n"
        "def double(a):\n    return 2 * a\n"
        'triple = Token(lambda a: 3 * a, "triple", 1, 2)\n'
    )
    monkeypatch.chdir(tmp_path)
    library = Library(create_tokens(1, ["./mine.py:double", f"{file}:triple"]))
    monkeypatch.chdir("/")
    copy = pickle.loads(pickle.dumps(library))
    assert copy.names == ["x1", "double", "triple"]
    assert copy["double"](np.ones(1)) == 2
    assert copy["triple"](np.ones(1)) == 3
    assert copy["triple"].complexity == 2
