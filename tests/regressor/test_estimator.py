"""DeepSymbolicRegressor as its users meet it."""

from __future__ import annotations

import io
import os
import pickle
import re
import signal
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sympy
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dso import DeepSymbolicRegressor
from dso.errors import UserError
from dso.program import ProgramBatch
from dso.regressor.options import SEARCH
from dso.regressor.rows import CanonicalRows
from dso.regressor.search import Search


def inputs_and_targets() -> tuple[np.ndarray, np.ndarray]:
    """Return X (60, 3), and y, which is made of the first column, with noise."""
    random = np.random.default_rng(0)
    X = random.uniform(-2, 2, (60, 3))
    return X, 1.5 * X[:, 0] ** 2 + 0.3 * random.standard_normal(60)


X, Y = inputs_and_targets()
FRAME = pd.DataFrame(X, columns=["mass", "speed (km/h)", "θ"])


def small(**options: Any) -> DeepSymbolicRegressor:
    usual = {"n_samples": 1500, "random_state": 0, "n_jobs": 1, "verbosity": 0}
    if not {"function_set", "operators", "binary_operators", "config"} & set(options):
        usual["function_set"] = ["add", "sub", "mul", "sin", "const"]
    return DeepSymbolicRegressor(**{**usual, **options})


@pytest.fixture(scope="module")
def model() -> DeepSymbolicRegressor:
    return small().fit(FRAME, Y)


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def twice(a: np.ndarray) -> np.ndarray:
    """A token that only Python knows."""
    return 2 * a


# ------------------------------------------------------------------------------------------- fit


def test_lists_arrays_and_frames_are_the_same(model: DeepSymbolicRegressor) -> None:
    wanted = model.predict(FRAME)
    np.testing.assert_array_equal(small().fit(X, Y).predict(X), wanted)
    np.testing.assert_array_equal(small().fit(X.tolist(), Y.tolist()).predict(X.tolist()), wanted)
    np.testing.assert_array_equal(small().fit(X, Y[:, None]).predict(X), wanted)


def test_names_come_from_the_data_or_the_user(model: DeepSymbolicRegressor) -> None:
    assert model.feature_names_in_.tolist() == list(FRAME.columns)
    assert model.display_feature_names_in_.tolist() == ["mass", "speed_km_h", "θ"]
    assert {symbol.name for symbol in model.sympy().free_symbols} == {"mass"}
    other = small(n_samples=500).fit(X, Y, variable_names=["a", "b", "c"])
    assert not hasattr(other, "feature_names_in_")
    assert {symbol.name for symbol in other.sympy().free_symbols} <= {"a", "b", "c"}
    with pytest.raises(UserError, match="expected 3 names"):
        small().fit(X, Y, variable_names=["a"])


class Column(StrEnum):
    MASS = "mass"
    SPEED = "speed"
    LAMBDA = "lambda"


class Text(str):
    """Names as some data frames have them."""


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ([Column.MASS, Column.SPEED, Column.LAMBDA], ["mass", "speed", "lambda_input"]),
        ([Text("mass"), Text("n2"), Text("zeta")], ["mass", "n2_input", "zeta_input"]),
        ([0, 1, 2], ["x1", "x2", "x3"]),
        ([("m", "kg"), ("v", "m/s"), ("N", "")], ["m_kg", "v_m_s", "N"]),
        (["масса", "速度", "Q"], ["масса", "速度", "Q_input"]),
    ],
)
def test_names_of_any_kind_are_kept(columns: list, names: list[str]) -> None:
    if isinstance(columns[0], tuple):
        columns = pd.MultiIndex.from_tuples(columns)
    found = small(n_samples=300).fit(pd.DataFrame(X, columns=columns), X[:, 0] * X[:, 2])
    shown = found.display_feature_names_in_.tolist()
    assert shown[:2] == names[:2]
    symbols = {name: sympy.Symbol(name) for name in shown}
    assert found.sympy() == symbols[shown[0]] * symbols[shown[2]]
    assert sympy.sympify(found.get_best()["equation"]) == found.sympy()


def test_a_folder_in_the_config_is_not_dropped_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {**SEARCH, "experiment": {"logdir": str(tmp_path)}}
    small(config=config, n_samples=300, verbosity=1, progress=False).fit(X, Y)
    assert "experiment.logdir is ignored; output_directory says" in caplog.text
    assert not list(tmp_path.iterdir())


def test_every_form_shows_the_names(tmp_path: Path) -> None:
    model = small(output_directory=tmp_path, run_id="run", n_samples=3000)
    model.fit(FRAME, FRAME["speed (km/h)"] ** 2 + FRAME["θ"])
    name = "speed_km_h"
    assert model.get_best()["equation"] == "speed_km_h**2 + θ"
    assert {str(symbol) for symbol in model.sympy().free_symbols} == {name, "θ"}
    assert {str(symbol) for symbol in model.program_.sympy_expr.free_symbols} == {name, "θ"}
    forms = (model.latex(), model.latex_table(), str(model), model._repr_html_())
    for form in (*forms, model.program_.pretty()):
        assert "speed" in form
        assert "x2" not in form
    for form in (model.numpy_code(), model.c_code()):
        assert f"{name} = input_row" in form
    (file,) = (tmp_path / "run").glob("*_hof.csv")
    assert pd.read_csv(file)["expression"].str.contains(name).any()
    loaded = DeepSymbolicRegressor.from_file(tmp_path / "run")
    assert str(loaded.program_.sympy_expr) == str(model.program_.sympy_expr)


def test_protected_operators_are_exact_in_sympy_and_short_in_the_table() -> None:
    data = np.random.default_rng(0).uniform(-2, 2, (300, 1))
    data[:30] = np.linspace(-2e-3, 2e-3, 30)[:, None]  # on both sides of the guard
    y = np.where(np.abs(data) > 1e-3, 1e-3 / np.where(data == 0, 1, data), 1.0)[:, 0]
    task = {"task_type": "regression", "function_set": ["div", "mul", 0.001], "protected": True}
    config = {"task": task, "prior": {"length": {"on": True, "min_": 1, "max_": 5}}}
    model = small(config=config, n_samples=5000).fit(data, y)
    assert model.get_best()["equation"] == "0.001/x1"
    assert "0.001/x1" in str(model)
    expression = model.sympy()
    assert str(expression) == "Piecewise((0.001/x1, Abs(x1) > 0.001), (1, True))"
    shown = [float(expression.subs("x1", value)) for value in data[:, 0]]
    np.testing.assert_allclose(shown, model.predict(data), rtol=1e-9)
    assert r"\begin{cases}" in model.latex()


def test_weights_are_repeated_rows() -> None:
    random = np.random.default_rng(2)
    weights = random.integers(0, 4, 60)
    order = random.permutation(weights.sum())
    X_repeated, y_repeated = np.repeat(X, weights, axis=0)[order], np.repeat(Y, weights)[order]
    repeated = small().fit(X_repeated, y_repeated)
    for name in ("sample_weight", "weights"):
        weighted = small().fit(X, Y, **{name: weights})
        np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))
        assert weighted.equations_["loss"].tolist() == repeated.equations_["loss"].tolist()
    even = small().fit(X, Y, sample_weight=np.full(60, 0.1))
    np.testing.assert_array_equal(even.predict(X), small().fit(X, Y).predict(X))
    with pytest.raises(UserError, match="mean the same"):
        small().fit(X, Y, sample_weight=weights, weights=weights)


def test_losses_are_weighted() -> None:
    weights = np.where(np.arange(60) < 30, 1.0, 5.0)
    model = small().fit(X, Y, weights=weights)
    for i, loss in enumerate(model.equations_["loss"]):
        mean = np.average((model.predict(X, i) - Y) ** 2, weights=weights)
        assert loss == pytest.approx(mean, rel=1e-9)


def test_every_target_has_its_own_equations() -> None:
    targets = np.column_stack([Y, 2 * X[:, 1] + 1, np.full(60, 3.0)])
    model = small().fit(X, targets)
    assert model.nout_ == 3
    assert model.predict(X).shape == (60, 3)
    np.testing.assert_array_equal(model.predict(X)[:, 0], small().fit(X, Y).predict(X))
    assert str(model.sympy()[1]) == "2*x2 + 1"
    assert len(model.equations_) == len(model.program_) == len(model.latex()) == 3
    last = [len(frame) - 1 for frame in model.equations_]
    assert model.predict(X, last).shape == (60, 3)
    with pytest.raises(UserError, match="one row number for each of 3 targets"):
        model.predict(X, [0])
    assert model.latex_table().count(r"\toprule") == 3
    assert "y_{2} = 2 x_{2} + 1" in model.latex_table()


def test_a_constant_target_is_answered_by_the_constant() -> None:
    model = small().fit(X, np.full(60, 2.5))
    np.testing.assert_array_equal(model.predict(X), np.full(60, 2.5))
    assert model.equations_[["complexity", "loss", "equation"]].to_numpy().tolist() == [
        [1, 0.0, "2.5"]
    ]
    assert model.stop_reason_ == "y is constant"
    assert small().fit(X[:1], Y[:1]).predict(X[:1]) == Y[:1]


def test_the_simplest_equations_are_on_the_front(model: DeepSymbolicRegressor) -> None:
    first = model.equations_.iloc[0]
    assert first["complexity"] == 1
    assert first["loss"] == pytest.approx(np.var(Y))
    line = small(n_samples=500).fit(X, 3 * X[:, 2] - 1)
    assert line._searches[0].standing.iteration == 1
    assert str(line.sympy()) == "3*x3 - 1"


def test_the_front_is_that_of_the_search(model: DeepSymbolicRegressor) -> None:
    table = model.equations_
    assert (np.diff(table["complexity"]) > 0).all()
    assert (np.diff(table["loss"]) < 0).all()
    for i, row in table.iterrows():
        predictions = model.predict(FRAME, i)
        assert row["loss"] == pytest.approx(np.mean((predictions - Y) ** 2), rel=1e-9)
        np.testing.assert_array_equal(row["lambda_format"](FRAME), predictions)
    hall = model.hall_of_fame_
    assert hall["loss"].min() == pytest.approx(table["loss"].min(), rel=1e-6)
    assert list(hall.columns) == ["complexity", "loss", "equation", "traversal"]


def test_the_front_has_the_shortest_forms_that_sympy_knows() -> None:
    search = small(n_samples=500).fit(X, Y)._searches[0]
    library, trainer = search.optimizer.library, search.optimizer.trainer
    rows = [library.actionize(text) for text in ("add,sub,mul,x1,x1,x2,add,x2,sin,x3", "add,x1,x1")]
    y = X[:, 0] ** 2 + np.sin(X[:, 2])
    search = Search(search.config, CanonicalRows.of(X, y, None), search.names, search.names)
    search.optimizer.setup()
    library, trainer = search.optimizer.library, search.optimizer.trainer
    trainer.offer(ProgramBatch.from_rows([row.tolist() for row in rows]))
    assert search.equations().front.complexities.tolist() == [3, 10]
    search._offer_shorter_ones()
    assert search.equations().texts[-1] == "x1**2 + sin(x3)"
    assert search.equations().front.complexities.tolist() == [3, 6]


def test_options_reach_the_search() -> None:
    model = small(operators={2: ["+", "*"], 1: ["square"]}, maxsize=7).fit(X, Y)
    optimizer = model._searches[0].optimizer
    assert optimizer.library.names == ["x1", "x2", "x3", "add", "mul", "n2", "const"]
    assert model.equations_["complexity"].max() <= 7
    two = small(niterations=2, n_samples=None).fit(X, Y)
    assert two._searches[0].standing.iteration == 2
    assert two.stop_reason_ == "niterations are done"
    # The last part that begins within the budget is finished: a batch, or a generation.
    assert 900 <= small(max_evals=900, n_samples=9000).fit(X, Y).n_evaluations_ < 900 + 500
    short = small(timeout_in_seconds=1e-9, n_samples=10**5).fit(X, Y)
    assert short.stop_reason_ == "max_seconds = 1e-09 are over"
    pysr = small(binary_operators=["+", "*"], unary_operators=["cos"]).fit(X, Y)
    assert pysr._searches[0].optimizer.library.names[3:] == ["add", "mul", "cos", "const"]


def test_a_config_is_taken_as_it_is(tmp_path: Path) -> None:
    config = {
        "task": {"task_type": "regression", "function_set": ["add", "mul", "const"]},
        "training": {"n_samples": 400, "batch_size": 200, "complexity": "token"},
        "experiment": {"seed": 5},
    }
    model = DeepSymbolicRegressor(config, verbosity=0).fit(X, Y)
    again = DeepSymbolicRegressor(config, verbosity=0).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    assert model.n_evaluations_ == 400
    assert config["task"]["function_set"] == ["add", "mul", "const"]
    with pytest.raises(UserError, match="must be 'regression'"):
        DeepSymbolicRegressor({"task": {"task_type": "control"}}).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_selection": "bets"}, "unknown model_selection 'bets'.*Did you mean 'best'"),
        ({"function_set": ["add", "sinus"]}, "unknown token 'sinus'.*Did you mean 'sin'"),
        ({"function_set": "add"}, "expected a list"),
        ({"function_set": ["add"], "operators": ["+"]}, "function_set and operators mean the same"),
        ({"maxsize": 0}, "maxsize: 0; expected a whole number >= 1"),
        ({"n_samples": 1.5}, "n_samples: 1.5; expected a whole number"),
        ({"n_jobs": 0}, "n_jobs: 0"),
        ({"early_stop_condition": "1"}, "early_stop_condition: '1'; expected a number > 0 or a"),
        ({"timeout_in_seconds": -1}, "timeout_in_seconds: -1; expected a number > 0"),
        ({"callback": 3}, "callback: 3 cannot be called"),
        ({"config": "no_such.json"}, "no_such.json"),
        ({"config": {"training": {"n_sample": 3}}}, "n_samples"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options).fit(X, Y)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y[:5]), "inconsistent numbers of samples"),
        ((np.where(X > 1.9, np.nan, X), Y), "X contains NaN"),
        ((X, np.where(Y > 1, np.inf, Y)), "y contains infinity"),
        ((X[:0], Y[:0]), "0 sample"),
        ((X[:, :0], Y), r"0 feature\(s\)"),
        ((X[0], Y), "Expected 2D array, got 1D array instead"),
        ((X, None), "requires y to be passed"),
        ((X + 1j, Y), "Complex data not supported"),
        ((X, np.zeros(60), -np.ones(60)), "Negative values"),
        ((X, Y, np.zeros(60)), "zero"),
        ((X, 1e200 * Y), "beyond double precision"),
        ((X, 1e-200 * Y), "beyond double precision"),
    ],
)
def test_data_that_cannot_be_used_are_refused(data: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(*data)


# --------------------------------------------------------------------------------------- results


def test_selection_can_be_changed_after_the_fit(model: DeepSymbolicRegressor) -> None:
    other = pickle.loads(pickle.dumps(model))
    losses = other.equations_["loss"].to_numpy()
    other.model_selection = "accuracy"
    assert other.get_best()["loss"] == losses.min()
    other.set_params(model_selection="score")
    assert other.get_best()["score"] == other.equations_["score"].max()
    chosen = other.get_best().name
    np.testing.assert_array_equal(other.predict(FRAME), other.predict(FRAME, chosen))
    other.model_selection = "worst"
    with pytest.raises(UserError, match="unknown model_selection"):
        other.predict(FRAME)


def test_every_export_is_the_prediction(model: DeepSymbolicRegressor) -> None:
    import sympy
    import torch

    for i in range(len(model.equations_)):
        wanted = model.predict(FRAME, i)
        session: dict = {}
        exec(model.numpy_code(i), session)
        np.testing.assert_allclose(session["predict"](X), wanted, rtol=1e-9)
        with torch.no_grad():
            np.testing.assert_allclose(model.pytorch(i)(torch.tensor(X)), wanted, rtol=1e-9)
        symbols = [sympy.Symbol(name) for name in model.display_feature_names_in_]
        function = sympy.lambdify(symbols, model.sympy(i))
        np.testing.assert_allclose(np.broadcast_to(function(*X.T), 60), wanted, rtol=1e-9)
        assert "double predict(const double *input_row)" in model.c_code(i)
    try:
        import jax  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="extra 'jax'"):
            model.jax()
    assert model.program_.pretty()
    assert r"\mathrm" not in model.latex()


def test_constants_have_errors(model: DeepSymbolicRegressor) -> None:
    tables = [model.constants(i) for i in range(len(model.equations_))]
    i = next(i for i, one in enumerate(tables) if {"mass", "c1"} <= words(one.attrs["equation"]))
    table = tables[i]
    assert list(table.columns) == ["value", "standard_error", "lower", "upper", "identifiable"]
    assert (table["lower"] < table["value"]).all()
    assert "c1" in table.attrs["equation"]
    wide = model.constants(i, level=0.999)
    assert (wide["upper"] > table["upper"]).all()
    with pytest.raises(UserError, match="level: 95"):
        model.constants(level=95)


def test_shown(model: DeepSymbolicRegressor) -> None:
    text = str(model)
    assert text == repr(model)
    assert text.startswith("DeepSymbolicRegressor.equations_ = [")
    assert text.count(">>>>") == 1
    assert "<table>" in model._repr_html_()
    assert repr(DeepSymbolicRegressor(maxsize=9)) == "DeepSymbolicRegressor(maxsize=9)"
    assert "DeepSymbolicRegressor" in DeepSymbolicRegressor()._repr_html_()


def test_what_needs_a_fit_says_so() -> None:
    model = DeepSymbolicRegressor()
    for ask in (lambda: model.equations_, lambda: model.predict(X), model.sympy, model.plot):
        with pytest.raises(NotFittedError):
            ask()
    assert not hasattr(model, "equations_")


def test_plots(model: DeepSymbolicRegressor) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is an extra that is not installed")
    assert len(model.plot()) == 3
    assert len(model.plot(FRAME[:5], Y[:5], index=0)) == 3
    loaded = pickle.loads(pickle.dumps(model))
    assert len(loaded.plot()) == 1
    drawn = loaded.plot(FRAME, Y)
    titles = ["Pareto front", "Predictions", "Residuals"]
    assert [axes.get_title() for axes in drawn] == titles
    drawn[0].figure.savefig(io.BytesIO())
    with pytest.raises(UserError, match="both X and y"):
        model.plot(X)


def test_plots_in_axes_that_are_given(model: DeepSymbolicRegressor) -> None:
    figures = pytest.importorskip("matplotlib.figure", reason="needs the extra 'plots'")
    panels = figures.Figure().subplots(1, 4)
    assert model.plot(ax=panels[0])[0] is panels[0]
    model.plot(ax=panels[1:])
    titles = ["Pareto front", "Pareto front", "Predictions", "Residuals"]
    assert [axes.get_title() for axes in panels] == titles
    with pytest.raises(UserError, match="2 axes"):
        model.plot(ax=panels[:2])


def test_undefined_predictions_are_nan_with_a_warning() -> None:
    inside = np.abs(X) + 0.1
    model = small(function_set=["log"], maxsize=3).fit(inside, np.log(inside[:, 0]))
    with pytest.warns(RuntimeWarning, match=r"log\(x1\) is not defined for 1 of 2 rows"):
        values = model.predict([[1.0, 1, 1], [-1.0, 1, 1]])
    assert values[0] == 0
    assert np.isnan(values[1])


# ----------------------------------------------------------------------------------- scikit-learn


def test_pipeline_search_and_clone(model: DeepSymbolicRegressor) -> None:
    pipeline = make_pipeline(StandardScaler(), small(n_samples=500))
    search = GridSearchCV(pipeline, {"deepsymbolicregressor__maxsize": [3, 9]}, cv=3)
    search.fit(X, Y)
    assert search.best_score_ > 0.5
    assert search.best_estimator_[-1].maxsize == 9
    copy = clone(model)
    assert not hasattr(copy, "nout_")
    assert copy.get_params() == model.get_params()


def test_pickle_and_joblib(model: DeepSymbolicRegressor, tmp_path: Path) -> None:
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(copy.predict(FRAME), model.predict(FRAME))
        assert str(copy) == str(model)
        pd.testing.assert_frame_equal(copy.constants(), model.constants())
        assert copy.equations_["equation"].tolist() == model.equations_["equation"].tolist()


# ------------------------------------------------------------------------------------ persistence


def test_a_run_folder_holds_the_model(tmp_path: Path) -> None:
    targets = np.column_stack([Y, X[:, 1] * X[:, 2], np.full(60, 3.0)])
    model = small(output_directory=tmp_path, run_id="run", maxsize=9).fit(FRAME, targets)
    folder = tmp_path / "run"
    lines = (folder / "hall_of_fame_output1.csv").read_text().splitlines()
    table = model.equations_[0]
    assert lines[0] == "Complexity,Loss,Equation"
    assert lines[1:] == [
        f'{row.complexity},{row.loss!r},"{row.equation}"' for row in table.itertuples()
    ]
    assert len(list(folder.glob("output1/*_pf.csv"))) == 1
    loaded = DeepSymbolicRegressor.from_file(folder, model_selection="accuracy")
    assert loaded.maxsize == 9
    assert loaded.model_selection == "accuracy"
    model.model_selection = "accuracy"
    np.testing.assert_array_equal(loaded.predict(FRAME), model.predict(FRAME))
    for one, other in zip(loaded.constants(), model.constants(), strict=True):
        pd.testing.assert_frame_equal(one, other)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(FRAME.rename(columns={"mass": "weight"}))


def test_a_run_folder_can_be_read_while_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dso.regressor.search.SECONDS_BETWEEN_FILES", -1.0)
    seen: list[DeepSymbolicRegressor] = []

    def look(standing: Any) -> None:
        if standing.iteration == 1:
            seen.append(DeepSymbolicRegressor.from_file(tmp_path / "run"))

    small(output_directory=tmp_path, run_id="run", callback=look).fit(X, Y)
    assert np.isfinite(seen[0].predict(X)).all()
    assert (tmp_path / "run" / "hall_of_fame.csv").is_file()
    with pytest.raises(UserError, match="before a search has ended"):
        seen[0].constants()


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run and no fit"):
        DeepSymbolicRegressor.from_file(tmp_path)
    (tmp_path / "estimator.json").write_text("[")
    with pytest.raises(UserError, match="not a file of dso"):
        DeepSymbolicRegressor.from_file(tmp_path)
    (tmp_path / "estimator.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="format 99"):
        DeepSymbolicRegressor.from_file(tmp_path)


def test_a_token_of_ones_own_comes_back_from_its_reference(tmp_path: Path) -> None:
    model = small(
        function_set=[f"{__name__}:twice"], maxsize=3, output_directory=tmp_path, run_id="run"
    )
    model.fit(X, 2 * X[:, 0])
    with pytest.raises(UserError, match=f"names code that would be run: '{__name__}:twice'"):
        DeepSymbolicRegressor.from_file(tmp_path / "run")
    loaded = DeepSymbolicRegressor.from_file(tmp_path / "run", allow_code=[__name__])
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    named = {"function_set": [f"{__name__}:twice"]}
    DeepSymbolicRegressor.from_file(tmp_path / "run", **named)
    assert str(model.sympy()) == "twice(x1)"


def test_warm_start_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = {
        "task": {"task_type": "regression", "function_set": ["add", "mul", "sin", "const"]},
        "training": {"n_samples": 10**6, "batch_size": 100},
        "gp_meld": {"run_gp_meld": True, "generations": 3, "keep_population": True, "train_n": 10},
    }
    folder = {"output_directory": tmp_path, "run_id": "run"}
    usual = {"config": config, "random_state": 0, "n_jobs": 1, "verbosity": 0}
    whole = DeepSymbolicRegressor(niterations=4, **usual).fit(X, Y)
    parts = DeepSymbolicRegressor(niterations=2, warm_start=True, **usual, **folder).fit(X, Y)
    evaluator = parts._searches[0].optimizer.evaluator
    parts.fit(X, Y)
    assert parts._searches[0].optimizer.evaluator is evaluator
    assert parts.n_evaluations_ == whole.n_evaluations_
    assert parts.equations_["loss"].tolist() == whole.equations_["loss"].tolist()
    (log,) = (tmp_path / "run").glob("dso_regression_*[0-9].csv")
    assert len(pd.read_csv(log)) == 4
    with caplog.at_level("WARNING", "dso"):
        parts.set_params(verbosity=1, progress=False).fit(X, Y + 1)
    assert "the search starts again" in caplog.text
    assert parts._searches[0].optimizer.evaluator is not evaluator


def test_warm_start_sees_that_gp_meld_is_turned_on(caplog: pytest.LogCaptureFixture) -> None:
    config = {
        "task": {"task_type": "regression", "function_set": ["add", "mul"]},
        "training": {"n_samples": 200, "batch_size": 100},
    }
    model = DeepSymbolicRegressor(config, warm_start=True, random_state=0, n_jobs=1, progress=False)
    model.fit(X, Y)
    gp_meld = {"run_gp_meld": True, "generations": 2}
    with caplog.at_level("WARNING", "dso"):
        model.set_params(config={**config, "gp_meld": gp_meld}).fit(X, Y)
    assert "the search starts again" in caplog.text
    assert model._searches[0].optimizer.trainer.sources["gp"]


def test_warm_start_takes_over_what_ends_it_and_names_what_it_cannot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def config(**training: Any) -> dict:
        return {
            "task": {"task_type": "regression", "function_set": ["add", "mul"]},
            "training": {"n_samples": 200, "batch_size": 100, **training},
        }

    model = DeepSymbolicRegressor(
        config(), warm_start=True, random_state=0, n_jobs=1, progress=False
    )
    model.fit(X, Y)
    search = model._searches[0]
    with caplog.at_level("WARNING", "dso"):
        model.set_params(config=config(reward_threshold=-1.0), n_jobs=2).fit(X, Y)
    assert model._searches[0] is search
    assert "reward_threshold = -1" in model.stop_reason_
    assert model.n_evaluations_ == 300
    assert not caplog.text
    with caplog.at_level("WARNING", "dso"):
        model.set_params(config=config(epsilon=0.3, alpha=0.1), maxsize=9).fit(X, Y + 1)
    changed = "the data, training.epsilon, training.alpha, prior.length, prior.soft_length"
    assert f"other than in the last fit: {changed}; the search starts again" in caplog.text
    assert model._searches[0] is not search


# ------------------------------------------------------------------------------- stopping by hand


def test_ctrl_c_keeps_the_model() -> None:
    def interrupt(standing: Any) -> None:
        if standing.iteration == 2:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    model = small(n_samples=10**6, callback=interrupt).fit(X, np.column_stack([Y, Y + X[:, 1]]))
    assert model.interrupted_
    assert [search.standing.iteration for search in model._searches] == [2, 1]
    assert model._searches[0].standing.n_offspring > 0
    assert model.predict(X).shape == (60, 2)
    assert signal.getsignal(signal.SIGINT) is before


def test_q_and_enter_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = os.openpty()
    with os.fdopen(follower) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)

        def type_q(standing: Any) -> None:
            if standing.iteration == 1:
                os.write(leader, b"something\n")
            if standing.iteration == 2:
                os.write(leader, b"q\n")

        model = small(n_samples=10**6, callback=type_q).fit(X, Y)
    os.close(leader)
    assert model.stop_reason_ == "q was typed"
    assert model._searches[0].standing.iteration == 3
    assert not model.interrupted_


def test_early_stop_condition() -> None:
    calls: list[tuple[float, float]] = []

    def good_enough(loss: float, complexity: float) -> bool:
        calls.append((loss, complexity))
        return loss < 0.5 * np.var(Y) and complexity < 6

    for condition in (good_enough, 0.5 * np.var(Y)):
        model = small(n_samples=10**6, early_stop_condition=condition).fit(X, Y)
        assert model.stop_reason_ == "early_stop_condition is met"
        assert model.equations_["loss"].min() < 0.5 * np.var(Y)
    assert len(calls) >= 2
    assert min(complexity for _, complexity in calls) == 1


def test_early_stop_condition_ends_a_meld() -> None:
    config = {**SEARCH, "gp_meld": {**SEARCH["gp_meld"], "generations": 2000}}
    config["semantic"] = config["reduce"] = {"on": False}
    model = small(config=config, n_samples=10**6, early_stop_condition=0.5 * np.var(Y)).fit(X, Y)
    assert model.stop_reason_ == "early_stop_condition is met"
    assert model._searches[0].standing.iteration == 1
    assert model.n_evaluations_ < 20_000


def test_a_callback_is_told_what_was_found() -> None:
    seen = []

    def look(so_far: Any) -> None:
        seen.append((so_far.iteration, so_far.expression, so_far.loss, so_far.front))

    model = small(callback=look).fit(X, Y)
    iteration, expression, loss, front = seen[-1]
    assert [one[0] for one in seen] == list(range(1, iteration + 1))
    assert expression in front["equation"].tolist()
    assert loss == front["loss"][front["equation"].tolist().index(expression)]
    assert loss >= model.equations_["loss"].min()


def test_a_callback_ends_the_search() -> None:
    model = small(n_samples=10**6, callback=lambda standing: standing.iteration == 2).fit(X, Y)
    assert model._searches[0].standing.iteration == 2
    assert model.stop_reason_ == "the callback asked for it"


def test_progress_is_shown_when_wanted(capsys: pytest.CaptureFixture) -> None:
    small(verbosity=1, n_samples=500).fit(X, Y)
    assert "of 500 samples" in capsys.readouterr().out
    for quiet in ({"verbosity": 0}, {"verbosity": 1, "progress": False}):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            small(**quiet, n_samples=500).fit(X, Y)
        shown = capsys.readouterr()
        assert shown.out == shown.err == ""
