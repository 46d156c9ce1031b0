"""Names from data become identifiers, and LaTeX holds."""

import keyword
import re

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.export import LatexRow, identifiers, latex, latex_table
from dso.library.identifiers import RESERVED


def test_names_stay_recognisable() -> None:
    names = ["mass", "speed (km/h)", "θ", "Größe", "2nd", "lambda", "x", "x", "sin", "", "ΔT"]
    assert identifiers(names) == [
        "mass",
        "speed_km_h",
        "theta",
        "Grosse",
        "x_2nd",
        "lambda_input",
        "x",
        "x_2",
        "sin_input",
        "x_3",
        "DeltaT",
    ]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_text_becomes_a_different_identifier(names: list[str]) -> None:
    found = identifiers(names)
    assert len(set(found)) == len(names)
    for name in found:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        assert not keyword.iskeyword(name)
        assert name.lower() not in RESERVED
        text = latex(sympy.Symbol(name))
        assert text.count("{") == text.count("}")
        # An underscore without a brace would be a subscript of one letter only.
        assert not re.search(r"[_^](?!\{)", text)


def test_numbers_in_latex_are_short() -> None:
    x = sympy.Symbol("x")
    assert latex(x * 2.53821 + 1.0e-7, 3) == r"2.54 x + 1.0 \cdot 10^{-7}"
    assert latex(x * 2.53821, None) == "2.53821 x"


def test_a_table() -> None:
    x = sympy.Symbol("x")
    long = sum(sympy.sin(k * x) for k in range(1, 9))
    rows = [LatexRow(2.53821 * x, 3, 0.0123456, 0.0), LatexRow(long, 21, 1.5e-12, np.inf)]
    table = latex_table(rows, columns=("complexity", "equation", "loss", "score"))
    lines = table.splitlines()
    assert r"\begin{tabular}{@{}clcc@{}}" in lines
    assert r"$3$ & $y = 2.54 x$ & $0.0123$ & $0$ \\" in lines
    assert r"\begin{dmath*} y = " in table
    assert r"$1.5 \cdot 10^{-12}$ & $\infty$ \\" in table


@pytest.mark.parametrize("name", ["np", "predict", "input_row", "Const", "double", "None", "E"])
def test_words_with_a_meaning_are_changed(name: str) -> None:
    assert identifiers([name]) == [f"{name.strip('_')}_input"]
