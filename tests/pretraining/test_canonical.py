"""Canonical forms: equal expressions are one tree, and a tree has the values of what it is of."""

import numpy as np
import pytest

from dso.pretraining.canonical import (
    FREE,
    INPUT,
    UndefinedError,
    exponents,
    inputs,
    map_inputs,
    map_numbers,
    multiply,
    number,
    numbers,
    up_to_affine,
)
from dso.pretraining.distribution import Distribution
from dso.pretraining.spelling import Speller, UnspellableError, tree_of
from dso.pretraining.trees import TreeSampler, Uniforms
from dso.pretraining.vocabulary import Vocabulary
from dso.program import ProgramBatch, execute
from tests.support.pretraining import tree


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x1 + x2 + x3", "x3 + (x2 + x1)"),
        ("x1*(x2*x3)", "x3*x1*x2"),
        ("x1 - x2", "-x2 + x1"),
        ("x1 + x1", "2*x1"),
        ("x1*x1*x1", "x1**3"),
        ("x1/x2/x3", "x1/(x2*x3)"),
        ("n4(x1)", "x1*x1*x1**2"),
        ("sqrt(x1*x2)", "sqrt(x1)*sqrt(x2)"),
        ("sqrt(x1**2)", "abs(x1)"),
        ("exp(x1)*exp(x2)", "exp(x1 + x2)"),
        ("1/exp(x1)", "exp(-x1)"),
        ("exp(x2*log(x1))", "x1**x2"),
        ("exp(2*log(x1))", "x1**2"),
        ("log(exp(x1))", "x1"),
        ("log(x1**3)", "3*log(x1)"),
        ("log(1/x1)", "-log(x1)"),
        ("sin(-x1)", "-sin(x1)"),
        ("cos(x1 - x2)", "cos(x2 - x1)"),
        ("abs(-x1*x2)", "abs(x1)*abs(x2)"),
        ("2*(x1 + x2)", "2*x1 + 2*x2"),
        ("(2*x1 + 2*x2)*x3", "2*(x1 + x2)*x3"),
        ("cosh(x1)", "(exp(x1) + exp(-x1))/2"),
        ("77*77*x1 + 77", "77 + 77*x1"),
        ("77*(x1 + 77)", "77*x1 + 77"),
        ("77*(77*x1 + x2)*x3", "77*(x1 + 77*x2)*x3"),
        ("log(77*x1)", "log(x1) + 77"),
        ("exp(x1 + 77)", "77*exp(x1)"),
        ("(77*x1)**2", "77*x1**2"),
        ("sqrt(77*x1)", "77*sqrt(x1)"),
        ("cos(x1 + 77)", "sin(x1 + 77)"),
        ("sin(77)", "77"),
    ],
)
def test_equal_expressions_are_one_tree(one: str, other: str) -> None:
    assert tree(one) == tree(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x1 - x2", "x2 - x1"),
        ("abs(x1)", "x1"),
        ("77*(x1 + x2)", "77*x1 + 77*x2"),
        ("77*(x1 + x2 + 1)", "77*x1 + 77*x2 + 77"),
        ("log(x1*x2)", "log(x1/x2)"),
        ("sqrt(x1)", "sqrt(-x1)"),
        ("77*x1 + x2", "x1 + x2"),
    ],
)
def test_different_expressions_are_different_trees(one: str, other: str) -> None:
    assert tree(one) != tree(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3*x1 + 5", "x1"),
        ("-x1/2", "x1"),
        ("x1 - x2 + 1", "3*x2 - 3*x1"),
        ("77*x1 + 77*x2 + 77", "x1 + 77*x2"),
        ("77*x1 + x2", "x1 + 77*x2"),
        ("77*(x1 + x2)", "x1 + x2 - 1"),
        ("x1**77", "77*x1**77 + 77"),
    ],
)
def test_up_to_a_factor_and_a_summand(one: str, other: str) -> None:
    assert up_to_affine(tree(one)) == up_to_affine(tree(other))


@pytest.mark.parametrize("text", ["1/(x1 - x1)", "log(x1 - x1 - 1)", "(x1 - x1)**(-2)"])
def test_what_is_nowhere_defined_is_refused(text: str) -> None:
    with pytest.raises(UndefinedError):
        tree(text)


def test_numbers_inputs_and_exponents_are_listed() -> None:
    found = tree("2.5*x1**2*sin(x3 + 77) + 1/x3 - 4")
    assert sorted(numbers(found)) == [-4, 2.5, FREE]
    assert inputs(found) == {0, 2}
    assert sorted(exponents(found)) == [-1, 1, 2]


def test_inputs_and_numbers_are_replaced() -> None:
    found = tree("3*x1*exp(x2)")
    swapped = map_inputs(found, [multiply(number(2.0), (INPUT, 1)), (INPUT, 0)])
    assert swapped == tree("6*x2*exp(x1)")
    assert map_numbers(found, lambda value: value + 1) == tree("4*x1*exp(x2)")


def test_a_tree_has_the_values_of_its_program(
    distribution: Distribution, vocabulary: Vocabulary
) -> None:
    sampler = TreeSampler(distribution, vocabulary)
    uniforms = Uniforms(np.random.default_rng(1))
    few = ["add", "mul", "div", "neg", "sqrt", "exp", "log", "sin", "cos", "tan", "abs", "const"]
    spellers = [
        Speller.whole(vocabulary),
        Speller(vocabulary, [*few, "tanh", "arcsin", "arctan"]),
    ]
    X = np.random.default_rng(2).uniform(0.3, 1.7, (3, 12))
    n_compared = 0
    for _ in range(400):
        row = sampler(uniforms)
        values = np.array([1.3, 0.7, 2.1])[: row.count(vocabulary.const)]
        wanted, found = _values(vocabulary, row, values, X), []
        try:
            built = tree_of(row, vocabulary, values.tolist())
            for speller in spellers:
                spelled = speller.spell(built)
                numbers_ = [v for token, v in spelled if token == vocabulary.const]
                found.append(_values(vocabulary, [t for t, _ in spelled], numbers_, X))
        except (UndefinedError, UnspellableError):
            continue
        for other in found:
            # Of positive inputs the domain may be larger, never smaller: log(x y) is log x + log y.
            known = np.isfinite(wanted) & (np.abs(wanted) < 1e8)
            np.testing.assert_allclose(other[known], wanted[known], rtol=1e-6, atol=1e-6)
            n_compared += np.count_nonzero(known)
    assert n_compared > 3000


def _values(vocabulary: Vocabulary, row: list[int], constants, X: np.ndarray) -> np.ndarray:
    program = ProgramBatch.from_rows([row])
    program = ProgramBatch(program.tokens, program.lengths, np.array([constants], dtype=float))
    return execute(vocabulary.library, program, X, protected=True).values[0]
