"""Names from data become identifiers, and LaTeX holds."""

import keyword
import re
import unicodedata

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.export import LatexRow, identifiers, latex, latex_table
from dso.library.identifiers import RESERVED, ascii_identifiers


def test_names_stay_recognisable() -> None:
    names = ["mass", "speed (km/h)", "θ", "Größe", "2nd", "lambda", "x", "x", "sin", "", "ΔT"]
    assert identifiers(names) == [
        "mass",
        "speed_km_h",
        "θ",
        "Größe",
        "x_2nd",
        "lambda_input",
        "x",
        "x_2",
        "sin_input",
        "x_3",
        "ΔT",
    ]


def test_other_alphabets_are_spelt_where_they_have_to_be() -> None:
    names = ["масса", "Щит", "θ", "Größe", "质量", "质子", "x", "speed_2"]
    assert ascii_identifiers(names) == [
        *("massa", "Shchit", "theta", "Grosse", "u8d28u91cf", "u8d28u5b50", "x", "speed_2")
    ]
    assert ascii_identifiers(["θ", "theta"]) == ["theta", "theta_2"]


@pytest.mark.parametrize("name", ["N", "S", "O", "Q", "beta", "zeta", "degree", "id"])
def test_no_name_is_something_else_to_sympy(name: str) -> None:
    found = identifiers([name])
    assert found == [f"{name}_input"]
    assert sympy.sympify(f"2*{found[0]}").free_symbols == {sympy.Symbol(found[0])}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_text_becomes_a_different_identifier(names: list[str]) -> None:
    found = identifiers(names)
    assert len(set(found)) == len(names)
    assert sympy.sympify("+".join(found) or "0") == sum(map(sympy.Symbol, found))
    for name in found:
        assert name.isidentifier()
        assert name == unicodedata.normalize("NFKC", name)  # as Python reads it
        assert not keyword.iskeyword(name)
        assert name.lower() not in RESERVED
        text = latex(sympy.Symbol(name))
        assert text.isascii()
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
