"""Formulas in prefix order: their text means what they mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.library.expression import evaluate, parse
from dso.reduction.formula import (
    Formula,
    apply,
    arguments_of,
    as_text,
    check_formula,
    combination,
    divided,
    filled,
    power,
    product,
    values,
)

NAMES = ["a", "b", "c"]
X = np.random.default_rng(0).uniform(0.5, 2.0, (7, 3))
LEAVES = st.one_of(
    st.integers(0, 2).map(lambda j: (j,)),
    st.sampled_from([2.0, 0.5, -3.0]).map(lambda value: (value,)),
)
EXPONENTS = st.sampled_from([-3.0, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 2 / 3])


def _grown(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    binary = st.sampled_from(["add", "sub", "mul", "div"])
    unary = st.sampled_from(["n2", "n3", "sin", "neg"])
    return st.one_of(
        st.builds(apply, binary, inner, inner),
        st.builds(apply, unary, inner),
        st.builds(lambda base: apply("pow", base, (2.0,)), inner),
    )


FORMULAS = st.recursive(LEAVES, _grown, max_leaves=8)


@settings(deadline=None)
@given(FORMULAS)
def test_text_is_read_back_as_the_same_formula(formula: Formula) -> None:
    read = evaluate(parse(as_text(formula, NAMES), input_names=NAMES), X)
    np.testing.assert_allclose(read, values(formula, X), rtol=1e-12, atol=1e-12, equal_nan=True)


@settings(deadline=None)
@given(FORMULAS)
def test_a_formula_is_its_operator_with_its_arguments(formula: Formula) -> None:
    if isinstance(formula[0], str):
        assert apply(formula[0], *arguments_of(formula)) == formula


@settings(deadline=None)
@given(FORMULAS, st.lists(LEAVES, min_size=3, max_size=3))
def test_filling_in_is_evaluating_at_other_inputs(formula: Formula, inputs: list) -> None:
    columns = np.column_stack([values(part, X) for part in inputs])
    np.testing.assert_array_equal(values(filled(formula, inputs), X), values(formula, columns))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2).map(lambda j: (j,)), EXPONENTS), min_size=1, max_size=4)
)
def test_products_and_quotients_of_powers(powers: list) -> None:
    slowly = np.prod([values(base, X) ** exponent for base, exponent in powers], axis=0)
    np.testing.assert_allclose(values(product(powers), X), slowly, rtol=1e-12)
    for whole in [(0,), apply("div", (0,), (1,))]:
        quotient = values(divided(whole, powers), X)
        np.testing.assert_allclose(quotient, values(whole, X) / slowly, rtol=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-2.0, -1.0, 1.0, 0.5]), LEAVES), min_size=1, max_size=4))
def test_combinations(terms: list) -> None:
    slowly = np.sum([c * values(part, X) for c, part in terms], axis=0)
    np.testing.assert_allclose(values(combination(terms), X), slowly, rtol=1e-12, atol=1e-12)


def test_powers_are_as_plain_as_can_be() -> None:
    assert power((0,), 1.0) == (0,)
    assert as_text(power((0,), 2.0), NAMES) == "a**2"
    assert as_text(product([((0,), 1.0), ((1,), -1.0), ((2,), -2.0)]), NAMES) == "a/(b*c**2)"
    assert as_text(divided(("div", 0, 1), [((2,), -1.0)]), NAMES) == "a*c/b"


@settings(deadline=None)
@given(FORMULAS)
def test_whole_formulas_pass(formula: Formula) -> None:
    check_formula(formula, 3)


@pytest.mark.parametrize(
    "formula", [("add", 0), (0, 1), ("system", 0), (7,), (-1,), (True,), ("add", 0, None)]
)
def test_what_is_not_a_formula_is_refused(formula: Formula) -> None:
    with pytest.raises(ValueError, match=r"formula|input"):
        check_formula(formula, 3)
