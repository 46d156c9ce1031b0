"""The text parser: what it reads, what it computes, and what it refuses."""

import math

import numpy as np
import pytest

from dso.errors import UserError
from dso.library.expression import MAX_DEPTH, MAX_LENGTH, evaluate, parse

X = np.array([[0.5, 2.0], [1.5, -3.0], [-0.25, 0.75]])
x1, x2 = X.T


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x1 + x2*3", x1 + x2 * 3),
        ("-x1**2", -(x1**2)),
        ("(-x1)**2", x1**2),
        ("x2**-2", x2**-2.0),
        ("2**x1/x2 - 1e-3", 2**x1 / x2 - 1e-3),
        ("+x1 - -x2", x1 + x2),
        ("pow(x2, 3)", x2**3),
        ("div(1, 3)*x1", x1 / 3),
        ("1/3", np.full(3, 1 / 3)),
        ("sin(pi*x1) + exp(cos(x2))", np.sin(np.pi * x1) + np.exp(np.cos(x2))),
        (" ln(abs(x2)) ", np.log(np.abs(x2))),
        ("2x1 + 1.5f0x2", 2 * x1 + 1.5 * x2),
        ("2(x1 + 1)^2 - 2e1x2", 2 * (x1 + 1) ** 2 - 20 * x2),
        ("2exp(x1) + 1e-3", 2 * np.exp(x1) + 1e-3),
        ("sin(2π*x1)", np.sin(2 * np.pi * x1)),
        ("Float32(x1) + zero(x1) + one(x2) + convert(typeof(x1), 3)", x1 + 4),
    ],
)
def test_value(text, expected):
    np.testing.assert_allclose(evaluate(parse(text), X), expected, rtol=1e-15)


def test_prefix_form():
    assert parse("x2 - 2*ln(x1)").nodes == ("sub", 1, "mul", 2.0, "log", 0)
    assert parse("-4").nodes == (-4.0,)
    assert parse("x1*x12").n_inputs == 12


def test_undefined_values_are_not_finite_and_raise_no_warning():
    values = evaluate(parse("log(x2) + 1/(x1 - 0.5)"), X)
    assert math.isinf(values[0])
    assert math.isnan(values[1])


def test_result_is_not_a_view_of_the_data():
    data = X.copy()
    evaluate(parse("x1"), data)[:] = 0
    np.testing.assert_array_equal(data, X)


def test_own_input_names():
    expression = parse("height*x1", input_names=["x1", "height"])
    assert expression.nodes == ("mul", 1, 0)
    with pytest.raises(UserError, match="did you mean 'height'"):
        parse("heigth", input_names=["x1", "height"])


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "x1.__class__",
        "(lambda: x1)()",
        "[x1 for x1 in x2]",
        "x1 ? x2",
        "x1 < x2 < x1",
        "x1 is x2",
        "x1, x2",
        "x1[0]",
        "'x1'",
        "f'{x1}'",
        "True",
        "1j",
        "1e999",
        "9" * 400,
        "x0",
        "y",
        "x1 // 2",
        "sin(x=x1)",
        "sin(x1, x=x1)",
        "sin(*x1)",
        "sin()",
        "sin(x1, x2)",
        "sin",
        "pow(x1)",
        "x1 :=",
        "(x1 := 2)",
        "import os",
        "x1; x2",
        "",
        "x1\x00",
        "...",
    ],
)
def test_refuses(text):
    with pytest.raises(UserError, match="cannot read"):
        parse(text, "task.dataset")


def test_hints():
    with pytest.raises(UserError, match=r"did you mean 'sqrt'"):
        parse("sqr(x1)")


def test_length_and_depth_are_bounded():
    assert len(parse("+".join(["x1"] * MAX_DEPTH)).nodes) == 2 * MAX_DEPTH - 1
    with pytest.raises(UserError, match="nested"):
        parse("+".join(["x1"] * (MAX_DEPTH + 2)))
    with pytest.raises(UserError, match="longer"):
        parse("x1" + " " * MAX_LENGTH)
    for text in (
        "-" * 9000 + "x1",
        "(" * 4000 + "x1" + ")" * 4000,
        "sin(" * 1000 + "x1" + ")" * 1000,
    ):
        with pytest.raises(UserError, match=r"cannot read"):
            parse(text)
