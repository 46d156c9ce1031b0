"""Formulas that are written shorter are the same functions of what is positive."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dso.library.expression import parse
from dso.reduction.formula import apply, arguments_of, as_text, values
from dso.reduction.shortening import shorter

NAMES = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a*(b/a)*(b/a)", "b**2/a"),
        ("(b/a)**2 + (b/a)*(b/a)*(b/a)", "(a + b)*(b/a)**2/a"),
        ("sqrt(a*b)*sqrt(a/b)*3", "3*a"),
        ("2*(c*(1/(4*a)))", "0.5*c/a"),
        ("a**5*b**4/c**5", "a*((a*b/c)**2)**2/c"),
        ("a - b*-2", "a + 2*b"),
        ("a*exp(b*b)/a", "exp(b**2)"),
        ("1 + 2", "3"),
        ("exp(d)*exp(3.0)", "exp(d)*exp(3)"),
        ("exp(3.0)*exp(d)", "exp(3)*exp(d)"),
    ],
)
def test_products_and_sums_are_merged(text, expected):
    shortest = shorter(parse(text, "formula", NAMES).nodes)[0]
    assert as_text(shortest, NAMES) == expected


def formulas():
    leaves = st.one_of(
        st.integers(0, 3).map(lambda j: (j,)), st.sampled_from([0.5, 2.0, 3.0]).map(lambda v: (v,))
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(apply, st.sampled_from(["add", "mul", "div", "sub"]), inner, inner),
            st.builds(apply, st.sampled_from(["n2", "n3", "sqrt", "exp", "inv", "neg"]), inner),
        ),
        max_leaves=8,
    )


def parts(formula):
    yield formula
    for argument in arguments_of(formula):
        yield from parts(argument)


def is_positive_under_roots(formula, X):
    """Rows on which roots are taken of positive factors alone, as it is supposed."""
    roots = [part for part in parts(formula) if part[0] == "sqrt"]
    return np.all([values(part, X) > 0 for root in roots for part in parts(root[1:])], axis=0)


@settings(max_examples=200, deadline=None)
@given(formulas())
@example(("add", "sub", 3, "exp", 3, "sub", 3, "exp", 3.0))
@example(("mul", "exp", 3.0, "exp", 3))
@example(("mul", "exp", 3, "exp", 3.0))
@example(("add", "mul", "exp", 3.0, 2, "mul", "exp", 3, 2))
def test_values_stay(formula):
    X = np.random.default_rng(0).uniform(0.5, 2, (20, 4))
    with np.errstate(all="ignore"):
        before = values(formula, X)
        size = np.abs(before).max()
        if not (np.isfinite(before).all() and 1e-6 < size < 1e6):
            return
        is_supposed = is_positive_under_roots(formula, X)
        for other in shorter(formula):
            after = values(other, X)
            is_known = is_supposed & np.isfinite(after)
            # A difference of nearly equal terms loses digits.
            np.testing.assert_allclose(
                after[is_known], before[is_known], rtol=1e-6, atol=1e-9 * size
            )
