"""Equations in shorter forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.finishing.shorter import shorter_forms
from dso.library import Library, create_tokens
from dso.program import Program, from_str_tokens

NAMES = ["add", "sub", "mul", "div", "sin", "exp", "log", "n2", "sqrt", "max", "const"]
LIBRARY = Library(create_tokens(3, NAMES))
X = np.random.default_rng(0).uniform(0.5, 2, (50, 3))


def forms(library: Library, program: Program) -> list[Program]:
    return [Program(library, tokens, numbers) for tokens, numbers in shorter_forms(program)]


@pytest.mark.parametrize(
    ("functions", "text", "shortest"),
    [
        (NAMES, "mul,x1,add,x1,div,x2,x1", "add,n2,x1,x2"),
        (NAMES, "sub,add,x1,x2,x2", "x1"),
        (NAMES, "div,mul,x1,x2,mul,x3,x1", "div,x2,x3"),
        (NAMES, "exp,log,mul,x1,x1", "n2,x1"),
        (["add", "mul", "sub"], "mul,x1,add,x2,sub,x1,x2", "mul,x1,x1"),
        (["add", "mul", "sub"], "mul,x1,add,x2,x1", None),
        (["sub", "sin"], "sub,x1,sub,x1,sub,x2,sin,x3", "sub,x2,sin,x3"),
        (["sub", "sin"], "sub,x1,sub,x2,sin,x3", None),
        (["add", "mul", "sub"], "add,x1,add,x1,sub,x2,x2", "add,x1,x1"),
        (["add", "mul", "sub", "neg"], "sub,sub,x1,x1,x2", "neg,x2"),
        (["add", "mul", "sub", 2.0], "add,add,x1,x2,add,x1,x2", "mul,2.0,add,x1,x2"),
        (["mul", "inv"], "mul,mul,inv,x1,inv,x2,x1", "inv,x2"),
        (["add", "mul", "sub"], "add,x1,sub,mul,x1,add,x2,x3,mul,x1,x3", "add,mul,x1,x2,x1"),
    ],
)
def test_the_shortest_form(functions: list, text: str, shortest: str | None) -> None:
    library = Library(create_tokens(3, functions))
    program = from_str_tokens(text, library)
    found = {repr(form): len(form) for form in forms(library, program)}
    if shortest is None:
        assert not found
    else:
        assert len(from_str_tokens(shortest, library)) == min(found.values())
        assert shortest in found


def test_constants_are_joined() -> None:
    tokens = LIBRARY.actionize("add,mul,const,x1,add,mul,const,x1,const")
    (form,) = {
        repr(f): f for f in forms(LIBRARY, Program(LIBRARY, tokens, [1.5, 2.0, -0.5]))
    }.values()
    assert repr(form) == "sub,mul,3.5,x1,0.5"


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("exp,mul,-0.65,add,x1,x1", "exp,mul,-1.3,x1"),
        ("exp,mul,0.65,add,x1,x1", "exp,mul,1.3,x1"),
        ("mul,2.0,sin,mul,1.7e-12,div,mul,x1,x2,x2", "mul,2.0,sin,mul,1.7e-12,x1"),
        ("div,sub,mul,x1,x1,mul,x2,x2,sub,x1,x2", "add,x1,x2"),
        ("pow,mul,pow,2.0,x1,pow,3.0,x2,2.0", "mul,pow,4.0,x1,pow,9.0,x2"),
        ("pow,4.0,mul,0.5,x1", "pow,2.0,x1"),
        ("div,3.0,add,div,1.0,n2,x1,x2", "div,3.0,add,x2,pow,x1,-2.0"),
        ("pow,2.0,mul,1e-08,x1", "exp,mul,6.931471805599453e-09,x1"),
        ("mul,2.0,sin,add,mul,0.0017,x1,1.5707963267948966", "mul,2.0,cos,mul,0.0017,x1"),
    ],
)
def test_numbers_are_folded(text: str, shortest: str) -> None:
    library = Library(create_tokens(2, [*NAMES, "cos", "pow"]))
    found = forms(library, from_str_tokens(text, library))
    assert shortest in {repr(form) for form in found}


@st.composite
def programs(draw: st.DrawFn) -> Program:
    tokens: list[int] = []

    def grow(room: int) -> None:
        choices = LIBRARY.terminal_tokens if room == 0 else np.arange(LIBRARY.L)
        tokens.append(int(draw(st.sampled_from(choices.tolist()))))
        for _ in range(LIBRARY.arities[tokens[-1]]):
            grow(room - 1)

    grow(4)
    n_constants = tokens.count(LIBRARY.const_token)
    numbers = st.sampled_from([0.5, -1.25, 2.0, 3.14159, -1.0])
    return Program(
        LIBRARY, tokens, draw(st.lists(numbers, min_size=n_constants, max_size=n_constants))
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs())
def test_shorter_forms_have_the_same_values(program: Program) -> None:
    with np.errstate(all="ignore"):
        wanted = program.execute(X)
        for form in forms(LIBRARY, program):
            assert len(form) < len(program)
            values = form.execute(X)
            rows = np.isfinite(wanted) & (np.abs(wanted) < 1e6)
            np.testing.assert_allclose(values[rows], wanted[rows], rtol=1e-6, atol=1e-6)
