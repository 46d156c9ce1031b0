"""Programs of a smaller problem are put back into programs of the whole one."""

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.program import ProgramBatch, execute
from dso.reduction.formula import values
from dso.reduction.proposals import Factor, Pair, Scaling, Term
from dso.reduction.putting_back import Speller, formula_of, put_back
from dso.reduction.reduction import Reduction

X = np.random.default_rng(0).uniform(0.5, 2.0, (40, 4))
FUNCTIONS = {
    "all": ["add", "sub", "mul", "div", "n2", "n3", "sqrt", "sin", "const"],
    "few": ["add", "mul", "pow", "sin", "const"],
    "logarithms": ["add", "mul", "inv", "exp", "log", "sin", "const", 2.0],
}
REDUCTIONS = {
    "factors": [Factor(0.0, (0,), -2.0), Factor(0.0, (0,), 1.5)],
    "a distance": [Pair(0.0, (0, 1), ("n2", "sub", 0, 1), True), Term(0.0, (1,), 1.5)],
    "groups": [Scaling(0.0, (0.5, 0.0, -1.0, 0.0), ((1.0, -1.0, 0.0, 0.0), (0.0, 0.0, 3.0, 1.0)))],
}


@pytest.mark.parametrize("moves", REDUCTIONS.values(), ids=REDUCTIONS)
@pytest.mark.parametrize("functions", FUNCTIONS.values(), ids=FUNCTIONS)
def test_values_are_those_of_the_reduction(functions: list, moves: list) -> None:
    reduction = Reduction.none(list("abcd"))
    for move in moves:
        reduction = move.applied(reduction)
    small = Library(create_tokens(len(reduction.columns), functions))
    whole = Library(create_tokens(4, functions))
    programs = ProgramBatch.from_rows(
        [
            small.actionize("add,mul,const,sin,x1,const").tolist(),
            small.actionize("mul,x1,x2").tolist(),
        ]
    )
    numbers = np.array([[1.7, -0.3], [np.nan, np.nan]])
    programs = ProgramBatch(programs.tokens, programs.lengths, numbers)
    Z = reduction.inputs(X)
    slowly = [1.7 * np.sin(Z[:, 0]) - 0.3, Z[:, 0] * Z[:, 1]]
    back = put_back(reduction, whole, small.tokens, programs)
    values, _, _ = execute(whole, back, np.ascontiguousarray(X.T))
    wanted = [reduction.restored(X, t) for t in slowly]
    # Each once as it comes, and once more where that is shorter.
    said = [[np.allclose(row, y, rtol=1e-10, atol=0) for y in wanted] for row in values]
    assert np.all(np.sum(said, axis=1) == 1)
    assert np.all(np.sum(said, axis=0) >= 1)


def test_a_shorter_way_to_write_it_is_there_too() -> None:
    reduction = Scaling(0.0, (4.0, 0.0), ((-1.0, 1.0),)).applied(Reduction.none(["a", "b"]))
    functions = ["mul", "div", "n2"]
    small, whole = (Library(create_tokens(n, functions)) for n in (1, 2))
    programs = ProgramBatch.from_rows([small.actionize("mul,x1,mul,x1,mul,x1,x1").tolist()])
    back = put_back(reduction, whole, small.tokens, programs)
    assert [whole.names[token] for token in back.row(1)] == ["n2", "n2", "x2"]
    assert len(back) == 2


def test_what_cannot_be_said_is_left_out() -> None:
    reduction = Factor(0.0, (0,), 0.5).applied(Reduction.none(["a", "b"]))
    small, whole = (Library(create_tokens(n, ["add", "mul"])) for n in (1, 2))
    programs = ProgramBatch.from_rows([[small.index("x1")]])
    assert not len(put_back(reduction, whole, small.tokens, programs))


def test_polynomials_of_the_smaller_problem_are_left_out() -> None:
    reduction = Factor(0.0, (0,), 1.0).applied(Reduction.none(["a", "b"]))
    small, whole = (Library(create_tokens(n, ["mul", "poly"])) for n in (1, 2))
    programs = ProgramBatch.from_rows([[small.index("poly")], [small.index("x1")]])
    back = put_back(reduction, whole, small.tokens, programs)
    assert [whole.names[token] for token in back.row(0)] == ["mul", "x2", "x1"]
    assert len(back) == 1


def test_numbers_are_literals_where_there_are_some() -> None:
    speller = Speller(Library(create_tokens(1, ["mul", "const", 2.0])))
    assert [token for token, _ in speller.number(2.0) or []] == [speller.library.find_literal(2.0)]
    assert speller.number(3.0) == [(speller.library.const_token, 3.0)]


@pytest.mark.parametrize("functions", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_program_is_a_formula_and_back(functions: list) -> None:
    library = Library(create_tokens(4, functions))
    text = "add,mul,const,sin,x4,add,x2,const"
    if 2.0 in functions:
        text = f"mul,2.0,{text}"
    row, numbers = library.actionize(text), np.array([1.7, -0.3, np.nan])
    formula = formula_of(library.tokens, row, numbers)
    assert formula is not None
    programs = ProgramBatch.from_rows([row.tolist()])
    programs = ProgramBatch(programs.tokens, programs.lengths, numbers[None, :2])
    slowly = execute(library, programs, np.ascontiguousarray(X.T)).values[0]
    np.testing.assert_allclose(values(formula, X), slowly, rtol=1e-14)
    assert Speller(library).spell(formula) is not None


def test_a_polynomial_is_not_a_formula() -> None:
    library = Library(create_tokens(1, ["mul", "poly"]))
    assert formula_of(library.tokens, library.actionize("poly"), np.empty(0)) is None
