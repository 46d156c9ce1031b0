"""What equations may look like: arguments of the estimator, and programs that obey them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.config import load_config
from dso.core import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.memory import complexity_measure
from dso.prior import MaxSizeConstraint
from dso.prior.sizes import in_units, whole_sizes
from dso.program import ProgramBatch
from dso.regressor.limits import limit_shape
from dso.regressor.options import SEARCH
from dso.task.regression.dataset import from_arrays
from tests.reference_priors import depth, nodes, size, tree

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-2, 2, (40, 3))
Y = np.exp(np.sin(3 * X[:, 1]) * X[:, 0]) + X[:, 0] ** 2 - X[:, 2] + RANDOM.normal(0, 0.3, 40)

FUNCTIONS = ["add", "mul", "div", "sin", "exp", "const"]


def config_with(largest: int = 30, **given: Any) -> dict[str, Any]:
    config = load_config({**SEARCH, "task": {**SEARCH["task"], "function_set": FUNCTIONS}})
    config["experiment"]["logdir"] = None
    config["prior"]["length"]["max_"] = largest
    limit_shape(config, DeepSymbolicRegressor(**given), ["x1", "x2", "x3"])
    return config


def found(config: dict[str, Any], n_samples: int = 20_000) -> tuple[Any, ProgramBatch]:
    """Return the library and the best 500 programs of a search with sampling and breeding."""
    config["training"].update(n_samples=n_samples, batch_size=200, early_stopping=False)
    config["training"]["verbose"] = False
    config["logging"].update(hof=500, save_pareto_front=True)
    config["semantic"]["on"] = False
    config["gp_meld"]["train_n"] = 20
    model = DeepSymbolicOptimizer(config, from_arrays(X, Y))
    model.setup()
    while model.train_one_step() is None:
        pass
    programs = ProgramBatch.concatenate([model.hall_of_fame.programs, model.front.programs])
    return model, programs


@pytest.mark.slow
def test_none_of_500_programs_breaks_a_limit() -> None:
    model, programs = found(
        config_with(
            constraints={"/": (-1, 3), "sin": 4},
            nested_constraints={"sin": {"sin": 0, "exp": 0}, "exp": {"exp": 0, "sin": 1}},
            maxdepth=6,
            largest=20,
            occurrences={"x2": (1, 2), "exp": (0, 1)},
            every_input=True,
            complexity_of_operators={"/": 2, "exp": 3.5},
            complexity_of_constants=0.5,
            parsimony=0.001,
        )
    )
    library = model.library
    costs, arities = library.complexities.tolist(), library.arities
    index = library.names.index
    assert len(programs) > 500
    for b in range(len(programs)):
        root = tree(programs.row(b).tolist(), arities)
        tokens = programs.row(b).tolist()
        assert depth(root) <= 6
        assert size(root, costs) < 20.5
        assert 1 <= tokens.count(index("x2")) <= 2
        assert tokens.count(index("exp")) <= 1
        assert {index("x1"), index("x2"), index("x3")} <= set(tokens)
        for node in nodes(root):
            if node[0] == index("div"):
                assert size(node[2], costs) < 3.5
            if node[0] == index("sin"):
                assert size(node[1], costs) < 4.5
                below = [inner[0] for inner in nodes(node[1])]
                assert index("sin") not in below
                assert index("exp") not in below


@pytest.mark.slow
def test_an_estimator_returns_nothing_that_breaks_its_limits() -> None:
    model = DeepSymbolicRegressor(
        function_set=FUNCTIONS,
        maxdepth=4,
        every_input=True,
        nested_constraints={"exp": {"sin": 0}},
        n_samples=3000,
        random_state=0,
        verbosity=0,
        n_jobs=1,
    ).fit(X * [1e6, 1, 1e-6], Y)
    library = model._targets[0].library
    for found in (model._targets[0].front, model._targets[0].hall_of_fame):
        assert len(found)
        for b in range(len(found)):
            root = tree(found.programs.row(b).tolist(), library.arities)
            assert depth(root) <= 4
            names = {library.names[node[0]] for node in nodes(root)}
            assert {"x1", "x2", "x3"} <= names


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"constraints": {"cos": 5}}, r"unknown operator 'cos' in constraints"),
        ({"constraints": {"sinn": 5}}, r"unknown operator 'sinn'.* Did you mean 'sin'"),
        ({"constraints": {"/": (-1, 9, 9)}}, r"constraints\['/'\]: .* 3 bounds; '/' takes 2"),
        ({"constraints": {"sin": -2}}, r"constraints\['sin'\]: -2; expected a whole number >= -1"),
        ({"constraints": 5}, "constraints: 5; expected a dict"),
        ({"nested_constraints": {"sin": {"cos": 0}}}, "unknown operator 'cos'"),
        ({"nested_constraints": {"sin": 0}}, "expected a dict"),
        ({"maxdepth": 0}, "maxdepth: 0; expected a whole number >= 1"),
        ({"occurrences": {"x9": 1}}, "unknown name 'x9' in occurrences"),
        ({"occurrences": {"x1": (2, 1)}}, "the least count is above the greatest"),
        ({"occurrences": {"x1": (None, None)}}, "expected a number, or a pair"),
        ({"complexity_of_operators": {"+": -1}}, "expected a number >= 0"),
        ({"complexity_of_variables": [1, 2]}, "one for each of 3 inputs"),
        ({"warmup_maxsize_by": 2}, "expected a share"),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        config_with(**given)


def test_arguments_become_keys() -> None:
    config = config_with(
        constraints={"/": (-1, 9), "exp": 9},
        nested_constraints={"exp": {"*": 1}},
        maxdepth=10,
        largest=20,
        complexity_of_constants=2,
        complexity_of_variables=[1, 2, 3],
        occurrences={"x2": 1},
        warmup_maxsize_by=0.3,
        parsimony=0.01,
    )
    prior = config["prior"]
    assert prior["argument_size"] == {"on": True, "limits": {"div": [-1, 9], "exp": 9}}
    assert prior["nesting"] == {"on": True, "limits": {"exp": {"mul": 1}}}
    assert prior["max_depth"] == {"on": True, "max_": 10}
    assert prior["max_size"] == {"on": True, "max_": 20}
    assert prior["repeat"][1] == {"on": True, "tokens": ["x2"], "min_": 1, "max_": 1}
    assert config["training"]["complexity"] == "token"
    weights = {"others": 1, "const": 2.0, "x1": 1.0, "x2": 2.0, "x3": 3.0}
    assert config["task"]["complexities"] == weights
    assert (config["training"]["warmup"], config["training"]["parsimony"]) == (0.3, 0.01)


def test_without_arguments_nothing_changes() -> None:
    config = load_config({**SEARCH, "task": {**SEARCH["task"], "function_set": FUNCTIONS}})
    config["experiment"]["logdir"] = None
    assert config_with() == config


@pytest.mark.parametrize("bound", range(1, 12))
def test_sizes_that_are_not_whole_are_rounded_alike(bound: int) -> None:
    config = config_with(
        complexity_of_operators={"+": 0.5, "exp": 2.25}, complexity_of_constants=1.5
    )
    library = DeepSymbolicOptimizer(config, from_arrays(X, Y))
    library.setup()
    library = library.library
    sizes, q = whole_sizes(library)
    assert q == 4
    add, exp, const, x1 = (library.names.index(name) for name in ("add", "exp", "const", "x1"))
    rows = [
        [x1],
        [exp, x1],
        [add, x1, const],
        [add, x1, add, x1, x1],
        [exp, exp, exp, add, x1, const],
    ]
    programs = ProgramBatch.from_rows(rows)
    rounded = complexity_measure("token", library)(programs)
    exact = [sum(sizes[token] for token in row) for row in rows]
    assert [total <= in_units(bound, q) for total in exact] == (rounded <= bound).tolist()


def test_programs_grow_in_a_warm_up() -> None:
    config = config_with(warmup_maxsize_by=0.5)
    config["gp_meld"]["run_gp_meld"] = config["semantic"]["on"] = False
    config["training"].update(n_samples=4000, batch_size=400, early_stopping=False, verbose=False)
    model = DeepSymbolicOptimizer(config, from_arrays(X, Y))
    model.setup()
    longest = []
    while model.train_one_step() is None:
        longest.append(int(model.last.batch.programs.lengths.max()))
    # 3 + 27 * share / 0.5, with a tenth of the budget in each iteration.
    assert longest[0] <= 3
    assert all(n <= 3 + 27 * i / 5 for i, n in enumerate(longest[:5]))
    assert max(longest[5:]) > 14


@pytest.mark.parametrize("kind", ["policy", "gp"])
def test_parsimony_prefers_what_is_short(kind: str) -> None:
    lengths = []
    for parsimony in (0.0, 0.05):
        config = config_with(parsimony=parsimony)
        config["gp_meld"]["run_gp_meld"] = kind == "gp"
        config["gp_meld"].update(p_archive=0.0, train_n=20)
        config["semantic"]["on"] = False
        config["training"].update(
            n_samples=6000, batch_size=200, early_stopping=False, verbose=False
        )
        model = DeepSymbolicOptimizer(config, from_arrays(X, Y))
        model.setup()
        while model.train_one_step() is None:
            pass
        batch = model.last.batch
        part = batch.programs[~batch.on_policy] if kind == "gp" else batch.programs
        lengths.append(float(part.lengths.mean()))
    assert lengths[1] < 0.8 * lengths[0]


def test_a_limit_is_about_equations_of_y() -> None:
    model = DeepSymbolicRegressor(maxdepth=3, target_transform="log", verbosity=0)
    with pytest.raises(UserError, match="maxdepth is about equations of y"):
        model.fit(X, np.exp(Y))
    assert DeepSymbolicRegressor(maxdepth=3)._errors_of_y == "squared"
    assert DeepSymbolicRegressor()._errors_of_y == "auto"


def test_a_measure_of_ones_own_orders_what_is_shown() -> None:
    model = DeepSymbolicRegressor(
        function_set=FUNCTIONS,
        complexity_mapping=lambda program: 2 * len(program.tokens) + 0.5,
        maxsize=20,
        n_samples=1500,
        random_state=0,
        verbosity=0,
        n_jobs=1,
    ).fit(X, Y)
    table = model.equations_
    assert table["complexity"].max() <= 20
    assert (np.diff(table["complexity"]) > 0).all()
    front = model._targets[0].front
    np.testing.assert_array_equal(front.complexities, 2 * front.programs.lengths + 0.5)
    with pytest.raises(UserError, match=r"complexity_mapping: .* has 'many'; expected a number"):
        model.set_params(complexity_mapping=lambda program: "many", n_samples=1).fit(X, Y)


def test_a_limit_of_size_is_lifted_again() -> None:
    config = config_with()
    model = DeepSymbolicOptimizer(config, from_arrays(X, Y))
    model.setup()
    prior, library = model.prior, model.library
    long = ProgramBatch.from_rows([library.actionize("add,x1,add,x2,x3").tolist()])
    assert prior.allowed(long).all()
    prior.limit_size(4)
    assert not prior.allowed(long).any()
    prior.limit_size(None)
    assert prior.allowed(long).all()
    assert not any(isinstance(one, MaxSizeConstraint) for one in prior.priors)
