"""Contexts: what is wanted in a hole is what a program solved for it wants there."""

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.native import _core
from dso.prior import make_joint_prior
from dso.program import FitData, ProgramBatch, execute, wanted_values
from dso.semantic import SemanticLimits, ValueLibrary
from dso.semantic.budget import Budget
from dso.semantic.contexts import contexts_on_rows
from dso.semantic.problem import Problem
from dso.semantic.strategies.joins import make_joins

FUNCTION_SETS = {
    "Koza": ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"],
    "long inverses": ["add", "mul", "pow", "n4", "tanh", "expneg", "sigmoid", "cosh"],
}


def test_transforms_of_y_are_told_once() -> None:
    library = Library(create_tokens(2, [*FUNCTION_SETS["Koza"], "const"]))
    generator = np.random.default_rng(0)
    X, y = generator.uniform(0.3, 2, (20, 2)), generator.uniform(0.5, 0.9, 20)
    data, prior = FitData.of_rows(library, X, y), make_joint_prior({}, library, max_length=30)
    values = ValueLibrary(library, prior, data.columns, np.arange(4), max_entries=500)
    problem = Problem.of(prior, data, seed=0, max_programs=1)
    joins = make_joins(problem, values, Budget.of(SemanticLimits()), max_contexts=2000)
    columns = execute(library, values.programs(np.arange(200)), data.columns).values
    contexts = contexts_on_rows(joins, values.forms, 2000, columns, y)
    chosen = contexts.transforms(8)
    assert chosen == sorted(chosen)
    assert len(chosen) == 8
    correlations = np.corrcoef(contexts.values[chosen]) - np.eye(8)
    assert np.abs(correlations).max() < 1 - 1e-9
    assert contexts.is_transform[chosen].all()
    assert chosen[0] == 0
    for wanted in (y, 1 / y, np.log(y), np.exp(y)):
        assert any(abs(np.corrcoef(wanted, contexts.values[i])[0, 1]) > 1 - 1e-12 for i in chosen)
    assert len(contexts.transforms(3)) == 3


@pytest.mark.parametrize("names", FUNCTION_SETS.values(), ids=FUNCTION_SETS)
def test_the_values_wanted_are_those_of_the_program_solved(names: list) -> None:
    library = Library(create_tokens(2, names))
    generator = np.random.default_rng(0)
    X, y = generator.uniform(0.3, 2, (20, 2)), generator.uniform(0.1, 0.9, 20)
    data, prior = FitData.of_rows(library, X, y), make_joint_prior({}, library, max_length=30)
    values = ValueLibrary(library, prior, data.columns, np.arange(4), max_entries=500)
    problem = Problem.of(prior, data, seed=0, max_programs=1)
    joins = make_joins(problem, values, Budget.of(SemanticLimits()), max_contexts=400)
    columns = execute(library, values.programs(np.arange(200)), data.columns).values
    contexts = contexts_on_rows(joins, values.forms, 400, columns, y)
    frames = ProgramBatch.from_arrays(*joins.contexts(contexts.numbers))
    is_hole = frames.tokens == _core.HOLE
    once = is_hole.sum(axis=1) == 1
    assert once.sum() > 100
    tokens = np.where(is_hole, library.input_tokens[0], frames.tokens)[once]
    programs = ProgramBatch.from_arrays(tokens, frames.lengths[once])
    expected = wanted_values(library, programs, np.argmax(is_hole[once], axis=1), data.columns, y)
    assert expected.is_finite.all()
    np.testing.assert_allclose(contexts.values[once], expected.values, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(
        contexts.values[:, :4], joins.context_values[contexts.numbers], rtol=1e-7, atol=1e-12
    )
