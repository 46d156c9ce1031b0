"""PySR's interface: what each parameter becomes, and scripts of PySR's users."""

from __future__ import annotations

import ast
import inspect
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from dso import DeepSymbolicRegressor
from dso.errors import UserError
from dso.pysr import PySRRegressor, TensorBoardLoggerSpec
from dso.pysr.arguments import translated
from dso.pysr.conditions import read_condition
from dso.pysr.parameters import FIT_PARAMETERS, PARAMETERS, present_name
from dso.regressor.options import SEARCH

KNOWN = DeepSymbolicRegressor._get_param_names()

X = np.random.default_rng(0).uniform(-2, 2, (60, 3))
Y = X[:, 0] ** 2 + 2.5 * np.sin(X[:, 2])

OTHERS: dict[str, Any] = {
    "model_selection": "accuracy",
    "binary_operators": ["+", "*"],
    "unary_operators": ["sin"],
    "operators": {1: ["sin"], 2: ["+"]},
    "niterations": 7,
    "populations": 3,
    "population_size": 40,
    "max_evals": 1000,
    "maxsize": 12,
    "maxdepth": 5,
    "warmup_maxsize_by": 0.5,
    "timeout_in_seconds": 9.0,
    "constraints": {"*": (-1, 5)},
    "nested_constraints": {"+": {"*": 1}},
    "complexity_of_operators": {"*": 2},
    "complexity_of_constants": 2,
    "complexity_of_variables": 2,
    "complexity_mapping": len,
    "parsimony": 0.01,
    "early_stop_condition": "stop_if(loss, complexity) = loss < 1e-6",
    "ncycles_per_iteration": 760,
    "crossover_probability": 0.3,
    "migration": False,
    "tournament_selection_n": 7,
    "parallelism": "serial",
    "procs": 2,
    "loss_scale": "linear",
    "precision": 64,
    "batching": True,
    "batch_size": 30,
    "random_state": 3,
    "warm_start": True,
    "guesses": ["x0"],
    "verbosity": 0,
    "print_precision": 3,
    "progress": False,
    "logger_spec": TensorBoardLoggerSpec(log_interval=5),
    "run_id": "this",
    "output_directory": "there",
    "temp_equation_file": True,
    "output_jax_format": True,
    "output_torch_format": True,
    "denoise": True,
    "select_k_features": 2,
}
"""A value of each parameter other than its default, where it means something."""


def fitted(**parameters: Any) -> PySRRegressor:
    usual = {"max_evals": 1500, "random_state": 0, "verbosity": 0, "temp_equation_file": True}
    usual |= {"binary_operators": ["+", "*"], "unary_operators": ["sin"], "parallelism": "serial"}
    return PySRRegressor(**{**usual, **parameters}).fit(X, Y)


def all_parameters(**others: Any) -> dict[str, Any]:
    return {**PySRRegressor().get_params(), **others}


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_does_what_the_table_says(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    row = PARAMETERS[name]
    value = OTHERS.get(name, "something else")
    parameters = all_parameters(**{name: value})
    if name == "loss_scale":  # squared errors have one scale, no matter what is given
        parameters["elementwise_loss"] = "L1DistLoss()"
    if row.kind == "refused":
        with pytest.raises(UserError, match=f"^{name}: 'something else'"):
            translated(parameters, KNOWN)
        return
    before, after = translated(all_parameters(), KNOWN), translated(parameters, KNOWN)
    columns = name in ("output_jax_format", "output_torch_format")
    if row.kind == "argument":
        assert after[name] == value
        assert before[name] == (None if name == "loss_scale" else row.default)
    elif row.kind == "translated" and not columns:
        assert str(after) != str(before)
    else:
        assert str(after) == str(before)
    with caplog.at_level(logging.WARNING, "dso"):
        PySRRegressor(**{name: value})
    assert not caplog.records  # a constructor stores, and says nothing


def test_all_parameters_without_effect_are_named_in_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "dso"):
        fitted(turbo=True, weight_randomize=0.1, extra_sympy_mappings={}, verbosity=1, max_evals=1)
    assert [r.getMessage() for r in caplog.records if "effect" in r.getMessage()] == [
        "Without effect here: turbo, weight_randomize."
    ]


def test_a_parameter_that_is_an_argument_is_one() -> None:
    missing = {name for name, row in PARAMETERS.items() if row.kind == "argument"} - set(KNOWN)
    assert not missing


def test_scikit_learn_sees_all_parameters() -> None:
    model = PySRRegressor("accuracy", maxsize=12, niterations=3)
    assert list(model.get_params()) == sorted(PARAMETERS)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(maxsize=9).maxsize == 9
    kinds = inspect.signature(PySRRegressor).parameters
    assert kinds["model_selection"].kind == inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert kinds["maxsize"].default == 30


@pytest.mark.parametrize(
    ("old", "value", "name", "wanted"),
    [
        ("npop", 50, "population_size", 50),
        ("ncyclesperiteration", 500, "ncycles_per_iteration", 500),
        ("loss", "L1DistLoss()", "elementwise_loss", "L1DistLoss()"),
        ("warmupMaxsize", 0, "warmup_maxsize_by", None),
        ("warmupMaxsizeBy", 0.5, "warmup_maxsize_by", 0.5),
        ("fractionReplacedHof", 0.1, "fraction_replaced_hof", 0.1),
        ("batchSize", 20, "batch_size", 20),
        ("multithreading", False, "parallelism", "serial"),
    ],
)
def test_old_names_are_understood(
    old: str, value: Any, name: str, wanted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dso"):
        assert getattr(PySRRegressor(**{old: value}), name) == wanted
    assert [r.getMessage() for r in caplog.records] == [f"{old} is called {name} now."]
    assert present_name(old) == name


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"max_size": 20}, "Did you mean 'maxsize'"),
        ({"weights": [1.0]}, "belongs to fit"),
        ({"parallelism": "cereal"}, "Did you mean 'serial'"),
        ({"logger_spec": "log"}, "expected a TensorBoardLoggerSpec"),
        ({"early_stop_condition": "f(l, c) = l +"}, "early_stop_condition: cannot read"),
        ({"cluster_manager": "slurm"}, "one machine"),
        ({"loss_scale": "logs"}, "unknown loss_scale .* Did you mean 'log'"),
        ({"precision": 65}, "unknown precision 65"),
        ({"procs": -1}, "procs: -1; expected a whole number >= 0"),
        ({"populations": 0}, "populations: 0; expected a whole number >= 1"),
        ({"population_size": 2.5}, "population_size: 2.5; expected a whole number"),
        ({"ncycles_per_iteration": "many"}, "ncycles_per_iteration: 'many'; expected"),
        ({"crossover_probability": 2}, "crossover_probability: 2; expected a number from 0 to 1"),
        ({"tournament_selection_n": 0}, "tournament_selection_n: 0; expected"),
        ({"expression_spec": "f(x0)"}, "expected a TemplateExpressionSpec"),
        ({"unary_operators": ["+"]}, r"unary_operators: '\+' takes 2 arguments, not 1"),
        ({"binary_operators": [np.sin]}, r"binary_operators: .*sin.* takes 1 argument, not 2"),
        ({"binary_operators": [], "unary_operators": []}, "no operator is given"),
    ],
)
def test_what_means_nothing_is_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        fitted(**parameters)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("stop_if(loss, complexity) = loss < 1e-6 && complexity < 10", [True, False, False]),
        ("(l, c) -> l < 1e-6 || c < 10", [True, True, True]),
        ("f(l, c) = !(l >= 1e-6)", [True, False, True]),
        ("f(l, c) = 1 < c^2 - 20 <= 100", [True, True, False]),
        ("f(l, c) = l == 0 || c != 5", [False, False, True]),
    ],
)
def test_conditions_are_read(text: str, wanted: list[bool]) -> None:
    condition = read_condition(text, "early_stop_condition")
    assert [condition(*pair) for pair in ((1e-7, 5), (1e-2, 5), (1e-7, 20))] == wanted


@pytest.mark.parametrize("text", ["loss < 1", "f(a) = a < 1", "f(a, b) = a", "f(a, b) = c < 1"])
def test_conditions_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="early_stop_condition: "):
        read_condition(text, "early_stop_condition")


@pytest.fixture(scope="module")
def model() -> PySRRegressor:
    return fitted(output_torch_format=True)


def test_a_fit_answers_as_pysr_does(model: PySRRegressor) -> None:
    assert str(model.sympy()) == "x0**2 + 2.5*sin(x2)"  # inputs count from 0
    assert str(model).startswith("PySRRegressor.equations_ = [")
    columns = ["complexity", "loss", "equation", "score", "sympy_format", "lambda_format"]
    assert list(model.equations_.columns[:6]) == columns
    module = model.equations_["torch_format"].iloc[-1]
    import torch

    np.testing.assert_allclose(module(torch.tensor(X)).detach().numpy(), Y)
    np.testing.assert_allclose(model.predict(X), Y)
    best = model.get_best()
    assert best["complexity"] == 8
    assert model.set_params(model_selection="accuracy").get_best()["loss"] <= best["loss"]
    assert model.n_features_in_ == 3
    assert model.equations["loss"].equals(model.equations_["loss"])  # an old name
    assert model.display_feature_names_in_.tolist() == ["x0", "x1", "x2"]


def test_names_of_a_data_frame_stay() -> None:
    names = ["mass", "speed", "angle"]
    model = PySRRegressor(max_evals=500, verbosity=0, temp_equation_file=True, random_state=0)
    model.fit(pd.DataFrame(X, columns=names), Y)
    assert model.display_feature_names_in_.tolist() == names


def test_files_are_where_pysr_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = fitted(temp_equation_file=False, run_id="first")
    lines = (tmp_path / "outputs/first/hall_of_fame.csv").read_text().splitlines()
    assert lines[0] == "Complexity,Loss,Equation"
    again = PySRRegressor.from_file(run_directory="outputs/first", model_selection="accuracy")
    assert isinstance(again, PySRRegressor)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert len(again.equations_) == len(model.equations_)


@pytest.mark.parametrize("name", ["hall_of_fame.2022-08-10_100832.281.pkl", "hall_of_fame.csv"])
def test_a_file_of_pysr_is_answered_by_what_to_give_instead(name: str) -> None:
    with pytest.raises(UserError, match="run_directory='outputs/<run_id>'"):
        PySRRegressor.from_file(name)


@pytest.mark.slow
def test_a_warm_start_goes_on() -> None:
    random = np.random.default_rng(1)
    y = Y + random.normal(0, 0.3, len(Y))
    model = PySRRegressor(
        max_evals=600, random_state=0, verbosity=0, temp_equation_file=True, warm_start=True
    )
    first = model.fit(X, y).n_evaluations_
    losses = model.equations_["loss"].min()
    assert model.fit(X, y).n_evaluations_ > first
    assert model.equations_["loss"].min() <= losses


def test_operators_by_arity_are_of_that_arity() -> None:
    arities = {"binary_operators": None, "unary_operators": None}
    with pytest.raises(UserError, match=r"operators\[1\]: 'f\(x, y\) = x\+y' takes 2 arguments"):
        fitted(operators={1: ["f(x, y) = x+y"]}, **arities)
    with pytest.raises(UserError, match="operators: 'two'; expected a whole number"):
        fitted(operators={"two": ["+"]}, **arities)


def test_losses_of_any_sign_have_no_score() -> None:
    model = fitted(loss_scale="linear", max_evals=500)
    assert "score" not in model.equations_
    assert model.get_best()["loss"] == model.equations_["loss"].min()


def test_reset_forgets_a_fit() -> None:
    model = fitted(max_evals=1, warm_start=True)
    model.reset()
    assert not hasattr(model, "run_id_")
    assert model.fit(X, Y).n_evaluations_ == fitted(max_evals=1).n_evaluations_


def test_fit_takes_what_pysr_takes() -> None:
    known = set(inspect.signature(DeepSymbolicRegressor.fit).parameters)
    units = {"X_units", "y_units"} - known
    with pytest.raises(UserError, match=r"unknown argument 'weihgts' in fit\. Did you mean"):
        PySRRegressor(verbosity=0).fit(X, Y, weihgts=np.ones(60))
    assert set(FIT_PARAMETERS) - known == {"complexity_of_variables", *units}
    model = PySRRegressor(
        max_evals=500, random_state=0, verbosity=0, temp_equation_file=True, denoise=True
    )
    model.fit(
        X, Y, Xresampled=X[:20], variable_names=["a", "b", "c"], complexity_of_variables=[1] * 3
    )
    assert model.display_feature_names_in_.tolist() == ["a", "b", "c"]


def test_defaults_are_ours_where_pysr_has_no_word_for_them() -> None:
    config = translated(all_parameters(), KNOWN)["config"]
    assert config == {**SEARCH, "prior": {**SEARCH["prior"], "trig": {"on": False}}}


def test_no_text_is_evaluated() -> None:
    source = Path(inspect.getfile(read_condition)).read_text()
    calls = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert not calls & {"eval", "exec", "compile"}
