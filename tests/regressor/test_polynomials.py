"""DeepSymbolicRegressor with the token `poly`: what is found bears its polynomial everywhere."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import sympy
import torch

from dso import DeepSymbolicRegressor

X = np.random.default_rng(0).uniform(-1, 1, (80, 2))
FRAME = pd.DataFrame(X, columns=["mass", "speed (km/h)"])
Y = np.exp(X[:, 0] ** 2 + 2 * X[:, 0] * X[:, 1] - 0.5)
CONFIG = {
    "task": {"task_type": "regression", "function_set": ["add", "mul", "exp", "poly"]},
    "training": {"n_samples": 300, "batch_size": 100},
    "logging": {"hof": 5},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> DeepSymbolicRegressor:
    folder = tmp_path_factory.mktemp("fit")
    model = DeepSymbolicRegressor(
        CONFIG, random_state=0, n_jobs=1, verbosity=0, output_directory=folder, run_id="poly"
    )
    return model.fit(FRAME, Y)


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("poly", lambda p: p),
        ("exp,poly", np.exp),
        ("log,poly", lambda p: np.log(p + 3)),
        ("sqrt,poly", lambda p: np.sqrt(p + 3)),
        ("inv,poly", lambda p: 1 / (p + 3)),
    ],
)
def test_a_polynomial_and_functions_of_one_are_on_the_front(text, law) -> None:
    p = 1.3 * X[:, 0] ** 2 - 0.7 * X[:, 0] * X[:, 1] + 0.2 * X[:, 1] + 0.9
    model = DeepSymbolicRegressor(
        function_set=["add", "mul", "exp", "log", "sqrt", "sin", "inv", "poly"],
        n_samples=500,
        random_state=0,
        n_jobs=1,
        verbosity=0,
    ).fit(X, law(p))
    equations = model._targets[0]
    rows = equations.front.programs
    names = [[equations.library.names[t] for t in rows.row(i)] for i in range(len(rows))]
    shown = {",".join(row): i for i, row in enumerate(names)}
    assert text in shown
    assert equations.front.losses[shown[text]] < 1e-20 * np.var(law(p))
    assert equations.front.complexities[shown[text]] == text.count(",") + 1


def test_predictions(model) -> None:
    assert model.program_.polynomial is not None
    assert model.score(FRAME, Y) > 0.99
    for i, loss in enumerate(model.equations_["loss"]):
        np.testing.assert_allclose(np.mean((model.predict(FRAME, i) - Y) ** 2), loss, atol=1e-12)


def test_symbols_are_the_names_of_the_columns(model) -> None:
    expression = model.sympy()
    assert {str(symbol) for symbol in expression.free_symbols} <= {*model.display_feature_names_in_}
    values = sympy.lambdify(sympy.symbols([*model.display_feature_names_in_]), expression)
    np.testing.assert_allclose(values(*X.T), model.predict(FRAME), rtol=1e-9)


def test_other_languages(model) -> None:
    module: dict = {}
    exec(model.numpy_code(), module)
    np.testing.assert_allclose(module["predict"](X), model.predict(FRAME), rtol=1e-12)
    values = model.pytorch()(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(values, model.predict(FRAME), rtol=1e-12)
    assert "return" in model.c_code()
    assert "mass" in model.latex()


def test_stored(model) -> None:
    folder = f"{model.output_directory_}/{model.run_id_}"
    for other in (pickle.loads(pickle.dumps(model)), DeepSymbolicRegressor.from_file(folder)):
        np.testing.assert_array_equal(other.predict(FRAME), model.predict(FRAME))
        assert other.sympy() == model.sympy()
        assert list(other.hall_of_fame_["equation"]) == list(model.hall_of_fame_["equation"])


def test_together_with_constants() -> None:
    functions = ["add", "mul", "exp", "const", "poly"]
    config = {**CONFIG, "task": {**CONFIG["task"], "function_set": functions}}
    model = DeepSymbolicRegressor(config, random_state=0, n_jobs=1, verbosity=0).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    for i in range(len(model.equations_)):
        assert (model.constants(i)["value"].notna()).all()
        np.testing.assert_allclose(
            np.mean((model.predict(X, i) - Y) ** 2), model.equations_["loss"][i], atol=1e-12
        )
