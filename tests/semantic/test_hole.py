"""A template with one hole: what ought to stand in it, and whole formulas of what does."""

from __future__ import annotations

import numpy as np
import pytest

from dso.build.race import can_race
from dso.config import load_config
from dso.core import DeepSymbolicOptimizer
from dso.library import Library, create_tokens
from dso.library.template import Template, read_template, with_tokens_of
from dso.program import FitData, ProgramBatch, execute
from dso.regressor.options import SEARCH
from dso.semantic import OnlyHole
from dso.task.regression.dataset import from_arrays

NAMES = ["x1", "x2", "x3"]
X = np.random.default_rng(0).uniform(0.3, 2, (40, 3))
FUNCTIONS = ["add", "mul", "sin", "div", "const"]


def read(combine: str, expressions: list[str], **parameters: int) -> tuple[Template, Library]:
    template = read_template(combine, expressions, parameters, NAMES, X)
    return template, Library(create_tokens(3, with_tokens_of(template, FUNCTIONS)))


@pytest.mark.parametrize(
    "combine", ["f(x1, x2)", "exp(f(x1, x2)) + x3", "2*f(x1, x2)*x3", "x3 - f(x1, x2)/x1"]
)
def test_what_is_wanted_is_what_stood_there(combine: str) -> None:
    template, library = read(combine, ["f"])
    rows = ["sin,x1", "add,x1,mul,x2,x2", "x2", "mul,const,x1"]
    bodies = ProgramBatch.from_rows(
        [library.actionize(row).tolist() for row in rows], [[], [], [], [0.7]]
    )
    columns = np.ascontiguousarray(X.T)
    hole = OnlyHole.of(template, library, FitData.of_rows(library, X, X[:, 2] + 3))
    assert hole is not None
    wholes = hole.whole(bodies)
    assert wholes.lengths.tolist() == [len(template.steps) - 1 + n for n in bodies.lengths]
    y = execute(library, wholes, columns).values
    wanted = [hole.wanted(FitData.of_rows(library, X, row)).y for row in y]
    np.testing.assert_allclose(wanted, execute(library, bodies, columns).values, rtol=1e-9)


@pytest.mark.parametrize(
    ("combine", "expressions", "parameters"),
    [
        ("f(x1) + g(x2)", ["f", "g"], {}),
        ("p[1]*f(x1)", ["f"], {"p": 1}),
        ("floor(f(x1))", ["f"], {}),
        ("sin(f(x1)) + 9", ["f"], {}),  # y is never that large
    ],
)
def test_what_cannot_be_solved_has_no_only_hole(
    combine: str, expressions: list[str], parameters: dict[str, int]
) -> None:
    template, library = read(combine, expressions, **parameters)
    assert OnlyHole.of(template, library, FitData.of_rows(library, X, X[:, 0])) is None


def optimizer_of(combine: str, expressions: list[str], y: np.ndarray) -> DeepSymbolicOptimizer:
    config = load_config({**SEARCH, "task": {**SEARCH["task"], "function_set": FUNCTIONS}})
    config["task"]["template"] = {"combine": combine, "expressions": expressions}
    config["experiment"]["logdir"] = None
    config["training"].update(n_samples=20_000, batch_size=100, verbose=False)
    model = DeepSymbolicOptimizer(config, from_arrays(X, y))
    model.setup()
    return model


INNER = X[:, 0] / (X[:, 1] + 0.5) + np.sin(X[:, 0] * X[:, 1])


@pytest.fixture(scope="module")
def model() -> DeepSymbolicOptimizer:
    return optimizer_of("exp(f(x1, x2)) + x3", ["f"], np.exp(INNER) + X[:, 2])


def test_reductions_are_of_what_stands_in_the_hole(model: DeepSymbolicOptimizer) -> None:
    library, race = model.library, model.race
    np.testing.assert_allclose(race.y, INNER)
    body = ProgramBatch.from_rows([library.actionize("sin,x1").tolist()])
    whole = library.actionize("add,exp,sin,x1,x3").tolist()
    assert race.translate(body).row(0).tolist() == whole


@pytest.mark.slow
def test_the_search_by_values_looks_into_the_hole(model: DeepSymbolicOptimizer) -> None:
    model.train_one_step()
    best = model.front[len(model.front) - 1 :]
    assert best.rewards[0] > 1 - 1e-9
    head = model.library.actionize("add,exp,x1,x3").tolist()[:2]
    assert best.programs.row(0).tolist()[:2] == head


def test_of_several_holes_there_are_no_reductions() -> None:
    model = optimizer_of("f(x1) + g(x2, x3)", ["f", "g"], X[:, 0])
    assert model.race is None
    assert not can_race(model.config, model.task)
