"""Formulas: what the text of an expression looks like as mathematics."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dso.report.formula import MAX_LENGTH, to_mathml


def shown(node: list) -> str:
    """Return the nodes as plain text, fractions as a/b, powers as a^b."""
    tag, *children = node
    if children and isinstance(children[0], dict):
        children = children[1:]
    parts = [shown(child) if isinstance(child, list) else child for child in children]
    signs = {"mfrac": "/", "msup": "^", "msub": "_"}
    text = signs.get(tag, "").join(parts)
    text = text.replace("\u2062", "").replace("\u2061", "").replace("−", "-")
    return f"<{text}>" if tag in ("mfrac", "msup", "msqrt") else text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x1**4 + x1", "<x_1^4>+x_1"),
        ("x1 - (x2 - 1)", "x_1-(x_2-1)"),
        ("x1 - x2 - 1", "x_1-x_2-1"),
        ("(x1 + 1)*x12", "(x_1+1)x_12"),
        ("2*3", "2⋅3"),
        ("-x1*x2", "-x_1x_2"),
        ("(-x1)**2", "<(-x_1)^2>"),
        ("(x1*x2)**2", "<(x_1x_2)^2>"),
        ("(x1 + 1)/(x2*3)", "<x_1+1/x_2⋅3>"),
        ("x1/x2*x3", "<x_1/x_2>x_3"),
        ("exp(-x1)", "<e^-x_1>"),
        ("sqrt(x1 + 1)", "<x_1+1>"),
        ("x1**0.5", "<x_1>"),
        ("sin(x1)**2", "<sin(x_1)^2>"),
        ("asin(Abs(x1))", "arcsin(|x_1|)"),
        ("Max(x1, 2)", "max(x_1,2)"),
        ("pi*E", "πe"),
        ("1.26049170561598", "1.2605"),
        ("1.5e-12*x1", "1.5⋅<10^-12>x_1"),
        ("x1**1.5e-12", "<x_1^1.5⋅<10^-12>>"),
        ("Piecewise((x1, x1 < 0.5), (-1, True))", "{x_1x_1<0.5-1otherwise"),
        ("user_function(x1)", "user_function(x_1)"),
    ],
)
def test_formulas(text, expected):
    assert shown(to_mathml(text)) == expected


STRANGE = ["", "x1 +", "__import__('os').system('true')", "x1[0]", "lambda: 1", "f(a=1)", "\0"]
STRANGE += ["x1 if x2 else x3", "Piecewise(x1)", "nan" * 2000]
DEEP = ["(" * 300 + "x1" + ")" * 300, "-" * 4000 + "x1", "x1**" * 1000 + "x1"]


@pytest.mark.parametrize(
    "text",
    [*STRANGE, *DEEP],
)
def test_what_is_not_an_expression_stays_text(text):
    assert to_mathml(text) == ["mtext", text]


def test_long_sums_can_be_shown_or_stay_text():
    assert to_mathml("+".join(["x1"] * 100))[0] == "mrow"
    text = "+".join(["x1"] * MAX_LENGTH)
    assert to_mathml(text) == ["mtext", text]


@given(st.text("x1+-*/(),. <e{}'#\\\n\0é", max_size=40))
def test_any_text_becomes_nodes(text):
    node = to_mathml(text)
    assert isinstance(node[0], str)


def value_of(node: list, x: float) -> float:
    """Compute what a formula says as it is set, by a reading of the plain text."""
    tag, *rest = node
    if rest and isinstance(rest[0], dict):
        rest = rest[1:]
    if tag == "mn":
        return float(rest[0])
    if tag == "msub":
        return x
    if tag == "mfrac":
        return value_of(rest[0], x) / value_of(rest[1], x)
    if tag == "msup":
        return value_of(rest[0], x) ** value_of(rest[1], x)
    assert tag == "mrow"
    return row_value(rest, x)


def row_value(parts: list, x: float) -> float:
    """A row is (…), −a, or two operands with a sign between them."""
    signs = [
        part[-1] if part[0] == "mo" else "\u2062" if part[0] == "mspace" else "" for part in parts
    ]
    if signs[0] == "(":
        return value_of(parts[1], x)
    if signs[0] == "−":
        return -value_of(parts[1], x)
    first, second = value_of(parts[0], x), value_of(parts[2], x)
    return {"+": first + second, "−": first - second}.get(signs[1], first * second)


def test_the_shape_keeps_the_value():
    chance = random.Random(0)

    def text(depth: int) -> str:
        if depth == 0 or chance.random() < 0.15:
            return chance.choice(["x1", "2", "3.5"])
        if chance.random() < 0.15:
            return f"-({text(depth - 1)})"
        sign = chance.choice(["+", "-", "*", "/"])
        return f"({text(depth - 1)}) {sign} ({text(depth - 1)})"

    n_compared = 0
    for _ in range(200):
        formula = text(4)
        try:
            expected = eval(formula, {"x1": 1.7})
        except ZeroDivisionError:
            continue
        assert value_of(to_mathml(formula), 1.7) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        n_compared += 1
    assert n_compared > 100
