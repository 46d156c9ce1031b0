"""The rule of units of each operator, against how its values change with the size of units."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dso.errors import UserError
from dso.library import create_tokens
from dso.library.definition import read_definition
from dso.library.functions import OPERATORS
from dso.library.unit_rules import FREE, LIKE_VALUE, LinearRule, linear_rule
from tests.support.units import rescaled

PURE = [name for name, row in OPERATORS.items() if row.units == "pure"]
LAWS = [name for name, row in OPERATORS.items() if row.units not in ("pure", "power")]


@pytest.mark.parametrize("name", LAWS)
def test_values_change_as_units_do(name):
    row = OPERATORS[name]
    rule = linear_rule(row.units, row.arity, name)
    random = np.random.default_rng(0)
    arguments = random.uniform(0.3, 0.8, (row.arity, 50)) * random.choice([-1, 1], (row.arity, 50))
    after, factor = rescaled(rule, arguments, random)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            row.numpy(*after), factor * row.numpy(*arguments), rtol=1e-12, atol=1e-12
        )


def test_a_power_changes_as_its_base_does():
    a, b = np.random.default_rng(0).uniform(0.3, 0.8, (2, 50))
    assert OPERATORS["pow"].units == "power"
    np.testing.assert_allclose((1.7 * a) ** b, 1.7**b * a**b)


@pytest.mark.parametrize("name", PURE)
def test_no_other_rule_holds_for_pure_operators(name):
    row = OPERATORS[name]
    assert row.arity == 1
    a = np.linspace(0.3, 5, 200)  # arcsin and arccosh are each defined on a part of it
    with np.errstate(all="ignore"):
        ratios = row.numpy(1.1 * a) / row.numpy(a)
    assert np.ptp(ratios[np.isfinite(ratios)]) > 1e-9


@pytest.mark.parametrize("name", [name for name in LAWS if OPERATORS[name].arity == 2])
def test_one_argument_alone_may_change_its_unit_just_where_the_rule_says_so(name):
    row = OPERATORS[name]
    random = np.random.default_rng(0)
    a, b = random.uniform(0.3, 0.8, (2, 200)) * random.choice([-1, 1], (2, 200))
    with np.errstate(all="ignore"):
        ratios = row.numpy(1.7 * a, b) / row.numpy(a, b)
    is_law = np.ptp(ratios[np.isfinite(ratios)]) < 1e-9
    assert is_law == isinstance(row.units, tuple)


@pytest.mark.parametrize("row", [row for row in OPERATORS.values() if row.protected])
def test_protected_operators_have_the_same_rule(row):
    assert OPERATORS[row.protected].units == row.units


# ---- formulas

SAME2 = LinearRule("ratios", (1, 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f(x) = 1/x^2", LinearRule("products", (-2,))),
        ("f(x) = sqrt(x)*2", LinearRule("products", (0.5,))),
        ("f(x) = x^1.5", LinearRule("products", (1.5,))),
        ("f(x) = x + 1", LinearRule("ratios", (0,), 0)),
        ("f(x) = max(x, 0)", LinearRule("products", (1,))),
        ("f(x) = exp(-x^2)", LinearRule("ratios", (0,), 0)),
        ("f(x) = x + 1/x", LinearRule("ratios", (0,), 0)),
        ("f(x) = x/x", LinearRule("ratios", (FREE,), 0)),
        ("f(x, y) = (x + y)/2", SAME2),
        ("f(x, y) = sqrt(x^2 + y^2)", SAME2),
        ("f(x, y) = x^2 + y", LinearRule("ratios", (0.5, 1))),
        ("f(x, y) = x/(x + y)", LinearRule("ratios", (1, 1), 0)),
        ("f(x, y) = log(x^2/y)", LinearRule("ratios", (1, 2), 0)),
        ("f(x, y) = x*y^2", LinearRule("products", (1, 2))),
        ("f(x, y) = x*exp(-y)", LinearRule("products", (1, 0))),
        ("f(x, y) = sign(x)*y", LinearRule("products", (FREE, 1))),
        ("f(x, y) = x > y", LinearRule("ratios", (1, 1), 0)),
        ("f(x, y) = x^y", LinearRule("ratios", (0, 0), 0)),
        ("f(x, y, z) = x*y + z", LinearRule("products", (1, 1, LIKE_VALUE))),
        ("f(x, y, z) = x*y/z", LinearRule("products", (1, 1, -1))),
        ("f(x, y, z) = z*x + (1 - z)*y", LinearRule("ratios", (1, 1, 0))),
        ("f(x, low, high) = min(max(x, low), high)", LinearRule("ratios", (1, 1, 1))),
        ("f(x, y, z) = sin(x/y)*z", None),
        ("f(a, b, c, d) = a*b + c*d", None),
    ],
)
def test_the_rule_of_a_formula(text, expected):
    definition = read_definition(text, "here")
    assert definition.units == expected


NAMES = ["x", "y", "z"]
LEAVES = st.sampled_from([*NAMES, "2", "0.5"])
FORMULAS = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from("+-*/"), part).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(st.sampled_from(["sqrt", "exp", "abs", "sign", "tanh"]), part).map(
            lambda p: f"{p[0]}({p[1]})"
        ),
        part.map(lambda p: f"({p})^2"),
        st.tuples(part, part).map(lambda p: f"max({p[0]}, {p[1]})"),
    ),
    max_leaves=6,
)


@given(FORMULAS, st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_values_of_formulas_change_as_units_do(formula, seed):
    used = [name for name in NAMES if name in formula.replace("exp", "").replace("max", "")]
    assume(used)
    definition = read_definition(f"f({', '.join(used)}) = {formula}", "here")
    rule = definition.units
    assume(rule is not None)
    random = np.random.default_rng(seed)
    arguments = random.uniform(0.3, 2.0, (len(used), 20))
    after, factor = rescaled(rule, arguments, random)
    before = definition(*arguments)
    # What cancels has lost its digits.
    np.testing.assert_allclose(definition(*after), factor * before, rtol=1e-6, atol=1e-9)


def test_a_rule_that_is_none_is_refused():
    (token,) = create_tokens(0, ["add"])
    for rule in ("some", (1,), (1, 2, 3), LinearRule("ratios", (1,))):
        with pytest.raises(UserError, match=r"token 'add': units .* expected 'pure', 'same'"):
            linear_rule(rule, token.arity, token.name)
