"""Weights of rows: integer weights are repeated rows, wherever rows are counted."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.config.task_sections import METRIC_PARAMETERS
from dso.errors import UserError
from dso.evaluation import Evaluator
from dso.fitting import make_fitter
from dso.program import ProgramBatch, from_str_tokens
from dso.task import make_task
from dso.task.regression import load_dataset

FUNCTIONS = ["add", "mul", "sin", "div", "const", f"{__name__}:doubled"]
TEXTS = ("x1", "add,x1,x2", "mul,x1,x1", "sin,div,x1,x2", "add,const,mul,const,x1", "doubled,x2")
PARAMS = {"fraction": [0.3, 0.1]}


def doubled(x: np.ndarray) -> np.ndarray:
    return x + x


def weighted_mean_error(y, predictions, weights=None):
    return -float(np.average(np.abs(y - predictions), weights=weights))


def blind(y, predictions):
    return 0.0


def params_of(metric):
    return PARAMS.get(metric, [1.0] * METRIC_PARAMETERS.get(metric, 0))


def task_of(X, y, weights=None, metric="inv_nrmse", **options):
    data = (X, y) if weights is None else (X, y, weights)
    return make_task(
        "regression",
        dataset=data,
        function_set=FUNCTIONS,
        metric=metric,
        metric_params=params_of(metric),
        **options,
    )


def programs_of(task):
    return ProgramBatch.from_rows([from_str_tokens(t, task.library).tokens for t in TEXTS])


@st.composite
def weighted_rows(draw):
    n = draw(st.integers(4, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = random.uniform(-2, 2, (n, 2)).round(1) + 0.05  # ties, and no pole
    y = (X[:, 0] * X[:, 1] + random.normal(0, 0.3, n)).round(1)
    weights = np.array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    weights[:3] = 1, 2, 3
    y[:3] = -1, 0, 2
    return X, y, weights


def evaluator_of(task):
    return Evaluator(task, task.library, fitter=make_fitter(task, "lm", {}))


@pytest.mark.parametrize("metric", [*METRIC_PARAMETERS, f"{__name__}:weighted_mean_error"])
@settings(max_examples=8, deadline=None)
@given(rows=weighted_rows())
def test_integer_weights_are_repeated_rows(metric, rows) -> None:
    X, y, weights = rows
    extra = {"extra_metric_test": metric, "extra_metric_test_params": params_of(metric)}
    weighted = task_of(X, y, weights, metric, **extra)
    repeated = task_of(X.repeat(weights, 0), y.repeat(weights), None, metric, **extra)
    programs = programs_of(weighted)
    ours, theirs = weighted.rewards(programs), repeated.rewards(programs)
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(ours.cause, theirs.cause)
    assert weighted.invalid_reward == pytest.approx(repeated.invalid_reward)
    for text in TEXTS:
        judged = weighted.evaluate(from_str_tokens(text, weighted.library))
        expected = repeated.evaluate(from_str_tokens(text, repeated.library))
        for key in expected:
            assert judged[key] == pytest.approx(expected[key], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", ["lm", "scipy"])
@settings(max_examples=5, deadline=None)
@given(rows=weighted_rows())
def test_constants_fit_weighted_rows_as_repeated_ones(kind, rows) -> None:
    X, y, weights = rows
    tasks = task_of(X, y, weights), task_of(X.repeat(weights, 0), y.repeat(weights))
    fitted = []
    for task in tasks:
        fitter = make_fitter(task, kind, {"method": "BFGS"} if kind == "scipy" else {})
        text = "add,const,mul,const,x1"
        program = ProgramBatch.from_rows([from_str_tokens(text, task.library).tokens])
        fitted.append(fitter.fit(program).constants[0])
    np.testing.assert_allclose(*fitted, rtol=1e-3, atol=1e-3)
    # Weighted least squares by hand.
    A = np.column_stack([np.ones(len(y)), X[:, 0]]) * np.sqrt(weights)[:, None]
    exact = np.linalg.lstsq(A, y * np.sqrt(weights), rcond=None)[0]
    np.testing.assert_allclose(fitted[0], exact, rtol=1e-3, atol=1e-3)


def test_a_pole_in_a_row_that_does_not_count_is_none() -> None:
    X, y = np.array([[0.0, 0.0], [1, 2], [2, 1], [3, 3]]), np.array([9.0, 1, 2, 3])
    program = "div,x1,x2"
    for weights, cause in (([1, 1, 1, 1], 3), ([0, 1, 1, 1], 0)):
        task = task_of(X, y, weights)
        batch = ProgramBatch.from_rows([from_str_tokens(program, task.library).tokens])
        assert task.rewards(batch).cause[0] == cause
    assert len(task.y_train) == 3


def test_noise_on_predictions_is_in_units_of_the_weighted_targets() -> None:
    X, y = np.array([[1.0, 1], [2, 2], [3, 4]]), np.array([1.0, 2, 100])
    noise = {"reward_noise": 0.1, "reward_noise_type": "y_hat"}
    changes = []
    for weights in ([1, 1, 1e-9], [1, 1, 1]):
        tasks = [task_of(X, y, weights, "neg_mse", **options) for options in (noise, {})]
        noisy, plain = (task.rewards(programs_of(task)[:1]).values[0] for task in tasks)
        changes.append(abs(noisy - plain))
    assert changes[0] < 1 < changes[1]


X3, Y3 = [[1.0], [2], [3]], [1.0, 2, 4]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -2, 1], "weights: row 1 (counting from 0) has the weight -2"),
        ([1, np.nan, 1], "weights: row 1 (counting from 0) holds nan"),
        ([1, 1, "a"], "weights: row 0 (counting from 0) holds '1'"),
        ([0, 0, 0], "weights: every weight is zero"),
        ([1e308, 1e308, 1], "scale them"),
        ([1e-250, 1e-320, 0], "weights: the greatest weight is 1e-250"),
        ([1, 1], "weights has 2 rows, but y has 3"),
        ([[1, 1]] * 3, "weights has the shape (3, 2)"),
        ([0, 0, 1], "y where the weight is not 0 has 1 row(s)"),
        ("w", "'w' is the name of a column, which only a CSV file has"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights, message) -> None:
    with pytest.raises(UserError) as refused:
        load_dataset((X3, Y3), weights=weights)
    assert message in str(refused.value)


def test_weights_are_given_once_and_with_data_of_ones_own() -> None:
    with pytest.raises(UserError, match="has weights already"):
        load_dataset((X3, Y3, [1, 1, 1]), weights=[1, 1, 1])
    with pytest.raises(
        UserError, match=r"task\.weights: .*only the rows of a CSV file or of arrays"
    ):
        load_dataset("Nguyen-1", weights=[1, 1])


def test_weights_in_a_column_of_a_csv(tmp_path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,sigma,b,y\n1,1,2,3\n\n4,0,5,6\n7,2.5,8,9\n")
    data = load_dataset(path, weights="sigma")
    assert data.input_names == ("a", "b")
    np.testing.assert_array_equal(data.X_train, [[1, 2], [7, 8]])
    np.testing.assert_array_equal(data.y_train, [3, 9])
    np.testing.assert_array_equal(data.weights_train, [1, 2.5])
    assert data.weights_test is data.weights_train
    last = load_dataset(path, weights="y")  # the last of the others is the target
    np.testing.assert_array_equal(last.y_train, [2, 5, 8])
    for text, name, message in (
        ("a,w,y\n1,1,2\n\n2,-3,3\n", "w", "column 'w': row 4 has the weight -3"),
        ("a,w,y\n1,1,2\n2,3,3\n", "v", "Unknown column 'v'"),
        ("1,1,2\n2,3,3\n", "w", "no header"),
        ("w,y\n1,2\n2,3\n", "w", "has no input"),
        ("a,w,y\n1,1,2\n2,3,3\n", [1, 2], "the name of a column"),
    ):
        path.write_text(text)
        with pytest.raises(UserError) as refused:
            load_dataset(path, weights=name)
        assert message.lower() in str(refused.value).lower()


def test_a_metric_that_takes_no_weights_is_refused_where_rows_have_some() -> None:
    task_of(np.eye(3), Y3, None, f"{__name__}:blind")
    with pytest.raises(UserError, match="has no argument 'weights'"):
        task_of(np.eye(3), Y3, [1, 2, 3], f"{__name__}:blind")


def test_equal_weights_change_no_bit() -> None:
    random = np.random.default_rng(0)
    X = random.uniform(1, 2, (40, 2))
    y = X[:, 0] * X[:, 1]
    tasks = task_of(X, y), task_of(X, y, np.ones(40))
    rewards = [task.rewards(programs_of(task)).values for task in tasks]
    np.testing.assert_array_equal(*rewards)


def test_it_is_said_that_rows_are_left_out(caplog) -> None:
    with caplog.at_level(logging.INFO, "dso"):
        load_dataset((X3, Y3, [1, 0, 2]))
    assert "1 of 3 rows" in caplog.text


@pytest.mark.parametrize(
    ("regressor", "params"),
    [
        ("dso_least_squares", {}),
        ("linear_regression", {}),
        ("ridge", {"alpha": 1.0}),
        ("lasso", {"alpha": 0.05}),
        ("dso_lasso", {"gamma": 0.5, "comp_tol": 1e-9, "rtrn_constrnd_ls": False}),
    ],
)
def test_polynomials_fit_weighted_rows_as_repeated_ones(regressor, params) -> None:
    random = np.random.default_rng(0)
    X = random.uniform(-2, 2, (40, 2))
    y = np.sin(X[:, 0]) + X[:, 1] ** 2
    weights = random.integers(1, 4, 40)
    rows = np.repeat(np.arange(40), weights)
    options = {"degree": 2, "regressor": regressor, "regressor_params": params}
    rewards = []
    for data in ((X, y, weights), (X[rows], y[rows])):
        task = make_task(
            "regression", dataset=data, function_set=["add", "poly"], poly_optimizer_params=options
        )
        rewards.append(task.rewards(from_str_tokens("poly", task.library).batch).values[0])
    assert rewards[0] == pytest.approx(rewards[1], rel=1e-9)
