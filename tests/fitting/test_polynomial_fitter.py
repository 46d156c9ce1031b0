"""Polynomials are fitted natively as slow and obvious ways would."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from dso.errors import UserError
from dso.evaluation import Evaluator
from dso.fitting import make_fitter
from dso.fitting.polynomial_basis import exponents_up_to
from dso.fitting.polynomial_fitter import PolynomialFitter, PolynomialOptions
from dso.fitting.regressors import pruned
from dso.library import Library, Token, create_tokens
from dso.program import FitData, Program, ProgramBatch, execute, from_str_tokens
from dso.program.batch import Batch
from dso.task import RegressionTask
from dso.task.regression.dataset import load_dataset
from dso.task.regression.reward_noise import RECOVERED
from tests.reference import random_programs

NAMES = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "sqrt", "n2", "n4", "neg", "max"]
NAMES += ["abs", "tanh", "inv", "expneg", "sigmoid", "harmonic", "poly", "const"]
LIBRARY = Library(create_tokens(2, NAMES, decision_tree_threshold_set=[0.8]))
X = np.random.default_rng(0).uniform(0.1, 2, (2, 100))
P0 = 1.3 + 0.5 * X[0] * X[1] - 0.2 * X[0] ** 3
REGRESSORS = [
    ("dso_least_squares", {}),
    ("linear_regression", {"fit_intercept": False}),
    ("linear_regression", {}),
    ("ridge", {"alpha": 1e-10}),
    ("lasso", {"alpha": 1e-8}),
    ("dso_lasso", {"gamma": 1e-5, "comp_tol": 1e-6, "rtrn_constrnd_ls": True}),
]


def half(column: np.ndarray) -> np.ndarray:
    return column / 2


def batch(library: Library, *texts: str) -> ProgramBatch:
    return ProgramBatch.concatenate([from_str_tokens(text, library).batch for text in texts])


def fitter(y: np.ndarray, library: Library = LIBRARY, data: np.ndarray = X, **options):
    weights, protected = options.pop("weights", None), options.pop("protected", False)
    return PolynomialFitter(
        FitData(library, data, y, weights, protected), PolynomialOptions(**options)
    )


def nmse(y: np.ndarray, text: str, **options) -> float:
    made = fitter(y, **options)
    return float(made.fit(batch(made.library, text)).mse[0] / np.var(y))


@pytest.mark.parametrize(("regressor", "params"), REGRESSORS)
def test_random_polynomials_are_found(regressor: str, params: dict) -> None:
    library = Library(create_tokens(3, ["add", "poly"]))
    random = np.random.default_rng(1)
    data = random.uniform(-1, 1, (3, 500))
    exponents = exponents_up_to(3, 5)
    for _ in range(3):
        truth = np.where(random.uniform(size=56) < 0.3, random.normal(0, 3, 56), 0)
        monomials = np.prod(data.T[:, None] ** exponents, axis=2)
        made = fitter(monomials @ truth, library, data, degree=5, regressor=regressor,
                      regressor_params=params)  # fmt: skip
        found = made.fit(batch(library, "poly")).coefficients[0]
        assert np.linalg.norm(found - truth) < 1e-4 * np.linalg.norm(truth)


@pytest.mark.parametrize(("regressor", "params"), REGRESSORS)
def test_the_polynomial_inside_poly_4(regressor: str, params: dict) -> None:
    task = RegressionTask(
        dataset="Poly-4", poly_optimizer_params={"regressor": regressor, "regressor_params": params}
    )
    program = from_str_tokens("div,sin,x4,mul,sqrt,poly,exp,x7", task.library)
    assert task.rewards(program.batch).values[0] == pytest.approx(1, abs=1e-5)
    found = task.polynomials.polynomials(program.batch)[0]
    assert str(found) == "1.3+12.0*x1*x2-0.05*x3*x6*x10"
    assert task.evaluate(program)["nmse_test"] < 1e-10


INVERTIBLE = {
    "add,poly,x1": P0 + X[0],
    "sub,x2,poly": X[1] - P0,
    "div,x1,neg,poly": -X[0] / P0,
    "mul,exp,x1,poly": np.exp(X[0]) * P0,
    "exp,poly": np.exp(P0),
    "log,add,poly,x1": np.log(P0 + X[0] + 3),
    "sqrt,poly": np.sqrt(P0 + 3),
    "n4,poly": (P0 + 3) ** 4,
    "tanh,inv,poly": np.tanh(1 / (P0 + 3)),
    "sigmoid,poly": 1 / (1 + np.exp(-P0)),
    "expneg,mul,x1,poly": np.exp(-X[0] * P0),
}
OTHERS = {
    "x1 < 0.8,x2,poly": np.where(X[0] < 0.8, X[1], P0),
    "x1 < 0.8,exp,poly,x2": np.where(X[0] < 0.8, np.exp(P0), X[1]),
    "harmonic,exp,poly": None,
    "max,poly,x2": np.maximum(P0, X[1]),
    "n2,poly": P0**2,  # of both signs
    "add,x1,abs,poly": X[0] + np.abs(P0),
    "sin,poly": np.sin(P0 / 2),
}


@pytest.mark.parametrize("text", INVERTIBLE)
def test_through_everything_that_can_be_inverted(text: str) -> None:
    assert nmse(INVERTIBLE[text], text) < 1e-24


@pytest.mark.parametrize("text", ["x1 < 0.8,x2,poly", "x1 < 0.8,exp,poly,x2", "harmonic,exp,poly"])
def test_through_what_cannot(text: str) -> None:
    y = OTHERS[text]
    if y is None:
        made = fitter(X[0])
        library = made.library
        y = execute(library, batch(library, "harmonic,exp,x1"), X).values[0]
    assert nmse(y, text) < 1e-12


def dense_search(y: np.ndarray, text: str) -> float:
    """Return the least squared error that SciPy finds from where the native fit ended."""
    made = fitter(y, coef_tol=0.0)
    program = batch(LIBRARY, text)
    fits = made.fit(program)

    def errors(coefficients: np.ndarray) -> np.ndarray:
        polynomial = made._polynomial(coefficients)
        values, cause, _ = execute(LIBRARY, program, X, polynomials=[polynomial])
        return np.where(cause[0] == 0, values[0] - y, 1e3)

    found = least_squares(errors, fits.coefficients[0], x_scale="jac", max_nfev=20)
    return float(np.mean(errors(found.x) ** 2)), float(fits.mse[0])


@pytest.mark.parametrize("text", ["exp,poly", "div,x1,poly", "sqrt,poly", "x1 < 0.8,exp,poly,poly"])
def test_the_fit_is_best_in_the_space_of_y(text: str) -> None:
    """Inversion alone minimises another error."""
    text = text.replace("poly,poly", "poly,x2")
    y = 2 + np.sin(5 * X[0]) * np.exp(X[1] / 3)
    best, found = dense_search(y, text)
    assert found <= 1.01 * best


def test_constants_are_fitted_with_it() -> None:
    y = P0 + 2 * np.exp(1.7 * X[0])
    task = RegressionTask(dataset=(X.T, y), function_set=NAMES)
    evaluator = Evaluator(task, task.library, fitter=make_fitter(task, "lm", {}))
    texts = "add,poly,mul,const,exp,mul,const,x1", "mul,const,x1", "poly"
    scores = evaluator.evaluate(Batch(batch(task.library, *texts), np.ones(3, bool)), 0)
    assert scores.rewards[0] > 1 - 1e-9
    np.testing.assert_allclose(scores.programs.constants[0], [2, 1.7], rtol=1e-5)
    assert np.isnan(scores.programs.constants[2]).all()
    assert scores.rewards[2] < scores.rewards[0]
    fixed = from_str_tokens("add,poly,mul,2.0,exp,mul,1.7,x1", task.library)
    assert evaluator.reward(fixed) > 1 - 1e-9
    bounded = make_fitter(task, "lm", {"bounds": [-1.5, 1.5]}).fit(
        batch(task.library, "add,poly,mul,const,exp,mul,const,x1")
    )
    assert np.abs(bounded.constants).max() <= 1.5
    assert bounded.constants[0, 1] == pytest.approx(1.5)


def test_it_depends_on_nothing_but_the_program() -> None:
    drawn = random_programs(LIBRARY, 3000, np.random.default_rng(2))
    programs = drawn[(drawn.tokens == LIBRARY.poly_token).sum(axis=1) == 1]
    assert len(programs) > 300
    made = fitter(np.sin(3 * X[0]) + X[1])
    together = made.fit(programs, n_threads=3)
    assert (together.cause == 0).mean() > 0.3
    assert np.isfinite(together.mse[together.cause == 0]).all()
    for rows in (slice(0, 1), slice(5, 100), np.arange(len(programs))[::-7]):
        part = made.fit(programs[rows])
        for one, other in zip(part, together, strict=True):
            np.testing.assert_array_equal(one, other[rows])


def test_results_show_what_was_rewarded() -> None:
    task = RegressionTask(dataset=(X.T, np.exp(P0) + X[0]), function_set=NAMES)
    evaluator = Evaluator(task, task.library)
    programs = batch(task.library, "add,x1,exp,poly", "mul,x2,poly", "log,poly")
    scores = evaluator.evaluate(Batch(programs, np.ones(3, bool)), 0)
    for b, polynomial in enumerate(task.polynomials.polynomials(programs)):
        program = Program(task.library, programs.row(b), polynomial=polynomial)
        predicted = program.execute(X.T)
        rewards = task.metric.from_predictions(task.y_train, predicted[None])
        assert rewards[0] == pytest.approx(scores.rewards[b], rel=1e-12)
        assert task.evaluate(program)["nmse_test"] == pytest.approx(
            np.mean((predicted - task.y_train) ** 2) / np.var(task.y_train)
        )
    assert repr(Program(task.library, programs.row(0), polynomial=task.polynomials.polynomials(
        programs[:1])[0])) == "add,x1,exp,1.3+0.5*x1*x2-0.2*x1**3"  # fmt: skip


def test_complexity_counts_the_terms() -> None:
    made = fitter(P0 + 0.1)
    programs = batch(LIBRARY, "poly", "x1", "exp,poly")
    more = made.n_more_terms(programs)
    np.testing.assert_array_equal(more[:2], [2, 0])
    assert more[2] > 2
    made._n_terms.clear()
    np.testing.assert_array_equal(made.n_more_terms(programs), more)


@pytest.mark.parametrize("seed", range(5))
def test_ten_rows_are_not_solved_by_a_cubic(seed: int) -> None:
    """All ten cubic monomials of two inputs would go through any ten rows."""
    random = np.random.default_rng(seed)
    inputs = random.uniform(-1, 1, (10, 2))
    y = np.sin(inputs[:, 0]) + inputs[:, 1] ** 2
    task = RegressionTask(dataset=(inputs, y), function_set=["add", "sub", "mul", "sin", "poly"])
    drawn = random_programs(task.library, 3000, random, max_length=9)
    programs = drawn[(drawn.tokens == task.library.poly_token).sum(axis=1) == 1]
    programs = ProgramBatch.concatenate([batch(task.library, "poly"), programs])
    rewards = task.rewards(programs).values
    assert rewards[0] < 0.999
    fresh = random.uniform(-1, 1, (200, 2))
    truth = np.sin(fresh[:, 0]) + fresh[:, 1] ** 2
    for b in np.argsort(-rewards)[:20]:
        polynomial = task.polynomials.polynomials(programs[[b]])[0]
        program = Program(task.library, programs.row(b), polynomial=polynomial)
        if task.evaluate(program)["success"]:
            np.testing.assert_allclose(program.execute(fresh), truth, atol=1e-9)
    true = from_str_tokens("add,sin,x1,poly", task.library)
    assert task.evaluate(true)["success"]  # x2^2: one term


def test_constants_that_interpolate_are_not_a_success() -> None:
    inputs = np.array([[0.3], [1.1], [2.0]])
    task = RegressionTask(
        dataset=(inputs, np.array([1.0, -2.0, 0.7])), function_set=["add", "mul", "const"]
    )
    parabola = "add,{},mul,x1,add,{},mul,x1,{}"
    numbers = np.polyfit(inputs[:, 0], task.y_train, 2)[::-1]
    program = from_str_tokens(parabola.format(*numbers), task.library)
    assert not task.evaluate(program)["success"]
    assert task.rewards(program.batch).values[0] < 1 - 1e-7
    assert task.evaluate(program)["nmse_test"] < 1e-20


def test_weights_of_rows_count() -> None:
    weights = np.where(X[0] < 1, 1.0, 0.0)
    y = np.where(X[0] < 1, P0, 50.0)
    assert nmse(y, "poly", weights=weights) < 1e-24
    weights = np.random.default_rng(0).uniform(0, 1, 100)
    y = np.sin(4 * X[0])
    made = fitter(y, weights=weights, coef_tol=0.0)
    fits = made.fit(batch(LIBRARY, "poly"))
    roots = np.sqrt(weights)
    expected = np.linalg.lstsq(roots[:, None] * made.basis.monomials, roots * y, rcond=None)[0]
    np.testing.assert_allclose(fits.coefficients[0], expected, rtol=1e-8, atol=1e-10)
    error = np.average((made.basis.monomials @ expected - y) ** 2, weights=weights)
    assert fits.mse[0] == pytest.approx(error)


def test_protected_operators_are_fitted_through() -> None:
    library = Library(create_tokens(2, NAMES, protected=True))
    assert nmse(np.exp(P0), "exp,poly", library=library, protected=True) < 1e-24
    assert nmse(np.log(np.abs(P0 + 2)), "log,poly", library=library, protected=True) < 1e-20
    mixed = np.where(np.abs(X[0] - 1) > 0.001, X[1] / (X[0] - 1), 1)
    assert nmse(mixed, "div,x2,poly", library=library, protected=True) < 1e-20


def test_a_token_of_ones_own() -> None:
    tokens = [*create_tokens(2, NAMES), Token(half, "half", 1, 1)]
    library = Library(tokens)
    assert nmse(X[0] / 2 + np.exp(P0), "add,half,x1,exp,poly", library=library) < 1e-20
    assert nmse(np.exp(P0) / 2, "half,exp,poly", library=library) < 1e-15
    programs = batch(library, "half,exp,poly", "exp,poly", "add,poly,half,const")
    fits = fitter(np.exp(P0) / 2, library).fit(programs)
    assert (fits.cause == 0).all()
    assert (fits.mse[:2] < 1e-15).all()
    assert 0 < fits.mse[2] < np.var(np.exp(P0) / 2)


def test_no_terms_are_zero() -> None:
    y = X[0] + 1e-9 * X[1]
    made = fitter(y)
    fits = made.fit(batch(LIBRARY, "add,x1,poly"))
    assert not fits.coefficients.any()
    assert str(made._polynomial(fits.coefficients[0])) == "0.0"
    assert fits.mse[0] == pytest.approx(np.mean((y - X[0]) ** 2))


def test_pruning_keeps_what_is_significant() -> None:
    random = np.random.default_rng(3)
    y = P0 + random.normal(0, 0.01, 100)
    params = {"cutoff_p_value": 0.001, "n_max_terms": None, "coef_tol": 1e-6}
    found = fitter(y, regressor_params=params).polynomials(batch(LIBRARY, "poly"))[0]
    assert found.n_terms <= 5
    params = {"cutoff_p_value": 1.0, "n_max_terms": 3}
    made = fitter(y, regressor_params=params)
    assert made.polynomials(batch(LIBRARY, "poly"))[0].n_terms <= 3
    for bad in ({"cutoff_p_value": 0}, {"cutoff_p_value": "x"}, {"n_max_terms": 1}):
        with pytest.raises(UserError, match=next(iter(bad))):
            fitter(y, regressor_params=bad)
    with pytest.raises(UserError, match="regressor_params"):
        fitter(y, regressor="lasso", regressor_params={"gamma": 1})


def test_p_values_are_those_of_a_t_test() -> None:
    from scipy.stats import linregress

    x = np.random.default_rng(5).uniform(0, 1, 30)
    y = 0.3 * x + np.random.default_rng(6).normal(0, 0.3, 30)
    p_value = linregress(x, y).pvalue
    monomials = np.column_stack([np.ones(30), x])
    full = np.linalg.lstsq(monomials, y, rcond=None)[0]
    above = pruned(full, monomials, y, None, p_value * 1.001, None)
    below = pruned(full, monomials, y, None, p_value * 0.999, None)
    assert above[1] != 0
    assert below[1] == 0


HOSTILE = {
    "huge": 1e300 * X,
    "tiny": 1e-310 * X,
    "zero": np.zeros_like(X),
    "constant": np.full_like(X, 3.0),
    "mixed": np.where(X > 1, 1e200, -1e-200),
    "shifted": 1e6 + X,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protected", [False, True])
def test_hostile_data_break_nothing(name: str, protected: bool) -> None:
    random = np.random.default_rng(4)
    for y in (np.sin(X[0]), 1e150 * X[0], 1e-150 * X[1], P0):
        task = RegressionTask(
            dataset=(HOSTILE[name].T, y), function_set=NAMES, protected=protected, y_limit=None
        )
        drawn = random_programs(task.library, 400, random)
        programs = drawn[(drawn.tokens == task.library.poly_token).sum(axis=1) == 1]
        programs = ProgramBatch(programs.tokens, programs.lengths, np.empty((len(programs), 0)))
        programs = make_fitter(task, "lm", {}).fit(programs)
        assert np.isfinite(task.rewards(programs).values).all()


@pytest.mark.parametrize("metric", ["pearson", "fraction", "spearman"])
def test_other_metrics_take_the_least_squares(metric: str) -> None:
    params = [0.1, 0.1] if metric == "fraction" else []
    y = np.exp(P0)
    task = RegressionTask(dataset=(X.T, y), function_set=NAMES, metric=metric, metric_params=params)
    programs = batch(task.library, "exp,poly", "x1")
    np.testing.assert_allclose(task.rewards(programs).values[0], 1.0)
    noisy = RegressionTask(dataset=(X.T, y), function_set=NAMES, reward_noise=0.1)
    assert noisy.rewards(programs).values[0] == 1e6


def test_rows_set_aside_are_predicted_by_what_the_others_gave() -> None:
    inputs = np.random.default_rng(0).uniform(0, 2, (400, 2))
    y = np.exp(0.3 * inputs[:, 0] ** 2 - inputs[:, 1]) + np.sin(9 * inputs[:, 0])
    task = RegressionTask(
        dataset=(inputs, y), function_set=NAMES, validation_fraction=0.25, batching_rows=60
    )
    programs = batch(task.library, "exp,poly", "x1", "mul,x2,poly")
    answer = task.validation_rewards(programs)
    for b, polynomial in enumerate(task.polynomials.polynomials(programs)):
        program = Program(task.library, programs.row(b), polynomial=polynomial)
        predicted = program.execute(task.dataset.X_validation)
        expected = task.metric.from_predictions(task.dataset.y_validation, predicted[None])
        assert answer.values[b] == pytest.approx(expected[0], rel=1e-9)
    assert not task.evaluate(from_str_tokens("exp,poly", task.library))["success"]
    part = task.on_rows(np.arange(60))
    assert part.polynomials.basis.columns.shape == (2, 60)
    assert part.polynomials is not task.polynomials
    assert part.rewards(programs).values[0] != task.rewards(programs).values[0]


def test_it_travels() -> None:
    made = fitter(P0)
    made.fit(batch(LIBRARY, "poly"))
    copy = pickle.loads(pickle.dumps(made))
    program = batch(LIBRARY, "exp,poly")
    np.testing.assert_array_equal(copy.fit(program).coefficients, made.fit(program).coefficients)


def test_two_polynomials_are_refused() -> None:
    with pytest.raises(UserError, match="one token 'poly' at most"):
        fitter(P0).fit(batch(LIBRARY, "add,poly,poly"))


@pytest.mark.parametrize(
    ("regressor", "params", "message"),
    [
        ("lasso", {"alpha": -1}, "'alpha' parameter of Lasso .* Got -1"),
        ("ridge", {"alpha": "x"}, "'alpha' parameter of Ridge .* Got 'x'"),
        ("dso_lasso", {"gamma": "x"}, "gamma: 'x'; allowed: a finite number >= 0"),
        ("dso_lasso", {"comp_tol": -1.0}, "comp_tol: -1.0; allowed"),
        ("dso_lasso", {"rtrn_constrnd_ls": 1}, "rtrn_constrnd_ls: 1; allowed: true or false"),
        ("dso_least_squares", {"coef_tol": "x"}, "coef_tol: 'x'; allowed: a finite number >= 0"),
    ],
)
def test_parameters_that_a_regressor_cannot_take_are_refused(regressor, params, message) -> None:
    options = {"regressor": regressor, "regressor_params": params}
    with pytest.raises(UserError, match=r"regressor_params.*" + message):
        RegressionTask(
            dataset=(X.T, P0), function_set=["add", "poly"], poly_optimizer_params=options
        )


@pytest.mark.parametrize("own_test_rows", [False, True])
@pytest.mark.parametrize("kind", ["r", "y_hat"])
def test_noise_does_not_make_interpolation_a_success(kind: str, own_test_rows: bool) -> None:
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (4, 2))
    y = 1.5 + 2 * points[:, 0] - points[:, 1] + points[:, 0] * points[:, 1]
    data = load_dataset((points, y))
    if own_test_rows:
        data = replace(data, X_test=points.copy())
    task = RegressionTask(
        dataset=data,
        function_set=["add", "mul", "const"],
        reward_noise=1e-9,
        reward_noise_type=kind,
    )
    program = from_str_tokens(
        "add,const,add,mul,const,x1,add,mul,const,x2,mul,const,mul,x1,x2", task.library
    )
    exact = replace(program.batch, constants=np.array([[1.5, 2.0, -1.0, 1.0]]))
    reward = task.rewards(exact).values[0]
    best = RECOVERED if kind == "r" else 1.0
    assert (reward == best) == own_test_rows


def test_a_correlation_that_interpolates_is_not_perfect() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (4, 2))
    y = points[:, 0] + np.sin(points[:, 1])
    task = RegressionTask(
        dataset=(points, y),
        function_set=["add", "sin", "const"],
        metric="pearson",
        metric_params=[],
        threshold=1e-6,
    )
    true, padded = (
        from_str_tokens(text, task.library)
        for text in ("add,x1,sin,x2", "add,const,add,const,add,x1,sin,x2")
    )
    constants = np.array([[0.5, 0.5]])
    assert task.rewards(true.batch).values[0] == pytest.approx(1.0, abs=1e-12)
    reward = task.rewards(replace(padded.batch, constants=constants)).values[0]
    assert reward == pytest.approx(np.sqrt(1 - 1e-6), abs=1e-12)


def test_too_many_monomials_for_all_rows_are_refused_before_the_search() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (7000, 10))  # 1 000 rows at a time: degree 3
    with pytest.raises(UserError, match=r"degree: 5 makes 3003 monomials .* allows degree 4"):
        RegressionTask(
            dataset=(points, points[:, 0]),
            function_set=["add", "poly"],
            poly_optimizer_params={"degree": 5},
        )
