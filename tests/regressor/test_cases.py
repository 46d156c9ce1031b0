"""Small inputs with the right answer, found by whole searches of the estimator."""

import numpy as np
import pytest

from dso import DeepSymbolicRegressor

pytestmark = pytest.mark.slow

random = np.random.default_rng


def regressor(**parameters: object) -> DeepSymbolicRegressor:
    usual: dict = {"random_state": 0, "verbosity": 0, "n_jobs": 1}
    return DeepSymbolicRegressor(**{**usual, **parameters})


def sizes(model: DeepSymbolicRegressor) -> dict[int, str]:
    """Return the equation at each complexity."""
    table = model.equations_
    return dict(zip(table["complexity"].tolist(), table["equation"].tolist(), strict=True))


def test_a_step_stands_between_the_rows_around_it() -> None:
    X = random(0).uniform(0, 5, (200, 2))
    y = np.where(X[:, 0] > 1.37, 2.0, -1.0)
    names = ["add", "sub", "mul", "sign", "const"]
    model = regressor(n_samples=60_000, function_set=names).fit(X, y)
    assert model.equations_["loss"].min() < 1e-25
    assert "success" in model.stop_reason_
    below, above = X[X[:, 0] < 1.37, 0].max(), X[X[:, 0] > 1.37, 0].min()
    inside = np.array([[below, 0.0], [above, 0.0]])
    np.testing.assert_allclose(model.predict(inside), [-1, 2])
    assert model.equations_["complexity"].max() <= 9


def test_a_fast_oscillation_has_its_frequency_to_all_digits() -> None:
    X = random(1).uniform(0, 1, (1000, 1))
    y = X[:, 0] * np.sin(2 * np.pi * 10 * X[:, 0])
    model = regressor(n_samples=100_000).fit(X, y)
    assert model.equations_["loss"].min() < 1e-25
    assert str(model.sympy()) == "x1*sin(20*pi*x1)"


def test_no_fit_lowers_the_loss_of_a_row() -> None:
    from scipy.optimize import least_squares

    g = random(11)
    X = g.uniform(0.5, 3, (60, 2))
    y = 1.234567 * X[:, 0] ** 1.5 / np.exp(0.345 * X[:, 1]) + 0.02 * g.normal(size=60)
    model = regressor(n_samples=60_000, snap=False).fit(X, y)
    for i in range(len(model.equations_)):
        program = model._targets[0].program(i)
        if not len(program.constants):
            continue

        def errors(constants: np.ndarray, program=program) -> np.ndarray:
            changed = type(program)(program.library, program.tokens, constants)
            values = changed.execute(X)
            return np.where(np.isfinite(values), values, 1e3) - y

        with np.errstate(all="ignore"):
            there = least_squares(errors, program.constants, x_scale="jac", xtol=1e-12, ftol=1e-12)
            here = np.mean(errors(program.constants) ** 2)
        assert here <= (1 + 2e-6) * np.mean(there.fun**2), model.equations_["equation"][i]


def test_the_plain_form_of_a_damped_oscillation() -> None:
    x = np.linspace(0, 12, 200)
    y = np.sin(x) * np.exp(-x / 5) + 1e-7 * random(3).normal(size=200)
    model = regressor(random_state=3, n_samples=100_000).fit(x[:, None], y)
    assert sizes(model)[7] == "exp(-0.2*x1)*sin(x1)"
    assert str(model.sympy()) == "exp(-0.2*x1)*sin(x1)"


@pytest.mark.parametrize(
    ("x_unit", "y_unit", "n_samples"),
    [(1.0, 1.0, 60_000), (1e3, 1.0, 20_000), (1e-9, 1.0, 60_000), (1.0, 1e12, 60_000)],
)
def test_any_unit_will_do(x_unit: float, y_unit: float, n_samples: int) -> None:
    x = random(0).uniform(0, 5, 200)
    model = regressor(n_samples=n_samples).fit(x_unit * x[:, None], y_unit * 2 * np.sin(1.7 * x))
    factor, frequency = model.constants()["value"].abs()
    assert factor == pytest.approx(2 * y_unit, rel=1e-12)
    assert frequency == pytest.approx(1.7 / x_unit, rel=1e-12)
    assert model.equations_["complexity"].max() == 6
    assert "sin" in str(model.sympy())


@pytest.mark.parametrize("law", ["2**x1*3**x2*5**x3", "2**x1*3**x2*5**x3*7**x4"])
def test_whole_numbers_are_seen(law: str) -> None:
    X = random(0).integers(0, 7, (200, law.count("x"))).astype(float)
    y = np.prod(np.array([2.0, 3.0, 5.0, 7.0])[: X.shape[1]] ** X, axis=1)
    model = regressor(operators=["*", "^"], n_samples=200_000).fit(X, y)
    assert str(model.sympy()) == law


@pytest.mark.parametrize("is_si", [False, True])
def test_the_law_of_planck_in_any_units(is_si: bool) -> None:
    h, c, k = 6.62607015e-34, 299792458.0, 1.380649e-23
    nu, T = random(0).uniform(1, 20, 200), random(1).uniform(3, 8, 200)
    a, b = 1.0, 4.8
    if is_si:
        nu, T, a, b = 1e14 * nu, 1e3 * T, 2 * h / c**2, h / k
    model = regressor().fit(
        np.column_stack([nu, T]), a * nu**3 / np.expm1(b * nu / T), variable_names=["nu", "T"]
    )
    fresh = np.column_stack([1.7 * nu, 1.3 * T])
    law = a * fresh[:, 0] ** 3 / np.expm1(b * fresh[:, 0] / fresh[:, 1])
    np.testing.assert_allclose(model.predict(fresh), law, rtol=1e-9)
    assert len(model.program_) <= 16


def test_snapping_can_be_turned_off() -> None:
    g = random(5)
    X = g.uniform(0.5, 3, (80, 2))
    y = 3 * X[:, 0] + 2 * X[:, 1] ** 2
    y = y + 0.01 * y.std() * g.normal(size=80)
    snapped = regressor(n_samples=60_000).fit(X, y)
    assert sizes(snapped)[9] == "3*x1 + 2*x2**2"
    free = regressor(n_samples=60_000, snap=False).fit(X, y)
    assert sizes(free)[9] not in ("3*x1 + 2*x2**2", "")


def test_a_function_that_is_constant_on_the_data_is_a_number() -> None:
    g = random(0)
    columns = {"I_0": g.uniform(1, 5, 1000), **{name: g.uniform(1, 2, 1000) for name in "qVkT"}}
    I_0, q, V, k, T = columns.values()
    names = ["add", "sub", "mul", "div", "sqrt", "square", "exp", "log", "sin", "cos", "tanh"]
    model = regressor(function_set=[*names, "arcsin", "arccos", "const"], n_samples=300_000)
    y = I_0 * (np.exp(q * V / (k * T)) - 1)
    model.fit(np.column_stack(list(columns.values())), y, variable_names=list(columns))
    assert str(model.sympy()) == "I_0*(exp(V*q/(T*k)) - 1)"


def test_a_small_frequency_takes_no_more_tokens() -> None:
    x = 1e12 * random(0).uniform(0, 5, 200)
    model = regressor().fit(x[:, None], 2 * np.sin(1.7e-12 * x))
    assert str(model.sympy()) == "2*sin(1.7e-12*x1)"


def test_the_pick_is_the_law_that_noise_hides() -> None:
    g = random(0)
    X = g.uniform(-0.9, 5, (40, 1))
    model = regressor(n_samples=60_000).fit(X, np.log1p(X[:, 0]) + g.normal(0, 0.05, 40))
    fresh = random(1).uniform(-0.9, 5, (2000, 1))
    truth = np.log1p(fresh[:, 0])
    assert np.mean((model.predict(fresh) - truth) ** 2) <= 1e-5 * np.var(truth)


@pytest.mark.parametrize("seed", range(6))
def test_the_pick_is_no_worse_than_the_mean(seed: int) -> None:
    g = random(seed)
    X = g.normal(size=(100, 8))
    y = np.sign(X[:, 0] + X[:, 1] * X[:, 2] + 1.5 * g.normal(size=100))
    names = ["add", "sub", "mul", "div", "sin", "exp"]
    model = regressor(random_state=seed, n_samples=20_000, function_set=names).fit(X, y)
    assert model.equations_["loss"].min() < np.var(y)
    assert model.score(X, y) > 0


@pytest.mark.parametrize("n_rows", [6, 8])
def test_few_rows_are_not_interpolated(n_rows: int) -> None:
    g = random(1)
    X = g.uniform(0, 1, (n_rows, 1))
    y = 2 * X[:, 0] + 0.1 * g.normal(size=n_rows)
    model = regressor(n_samples=100_000).fit(X, y)
    assert len(model.program_.constants) <= 2


def test_constants_keep_their_bounds() -> None:
    X = random(0).uniform(0.5, 3, (60, 2))
    y = 1.6 * (X[:, 0] * X[:, 1] * (X[:, 1] + 1)) ** 0.4
    config = {"training": {"const_params": {"bounds": [0, 1]}}}
    names = ["add", "mul", "pow", "const"]
    model = regressor(config=config, n_samples=60_000, function_set=names).fit(X, y)
    for i in range(len(model.equations_)):
        numbers = np.array(model._targets[0].program(i).constants)
        assert ((numbers >= 0) & (numbers <= 1)).all(), model.equations_["equation"][i]


@pytest.mark.parametrize("unit", [1.0, 1e5])
@pytest.mark.parametrize(
    "prior",
    [{"all_inputs": {"on": True}}, {"repeat": {"on": True, "tokens": ["x1"], "min_": 1}}],
    ids=["all_inputs", "repeat"],
)
def test_every_row_obeys_the_priors(prior: dict, unit: float) -> None:
    X = random(0).uniform(0.5, 3, (60, 2))
    y = X[:, 0] * X[:, 1] + 0.3 + 0.1 * random(1).normal(size=60)
    names = ["add", "mul", "log", "const"]
    config = {"prior": {"length": {"on": True, "min_": 1, "max_": 20}, **prior}}
    model = regressor(config=config, n_samples=20_000, function_set=names)
    model.fit(X * [1.0, unit], y)
    for i in range(len(model.equations_)):
        used = {name for name in repr(model._targets[0].program(i)).split(",")}
        assert "x1" in used
        assert "x2" in used or "repeat" in prior


@pytest.mark.parametrize("seed", [0, 1])
def test_a_difference_of_reciprocals_is_picked(seed: int) -> None:
    g = random(seed)
    n = g.integers(1, 7, 50)
    m = np.array([g.integers(low + 1, 9) for low in n])
    y = 1e-7 / (1 / n**2 - 1 / m**2) * (1 + 0.01 * g.standard_normal(50))
    operators = ["+", "-", "*", "/", "^", "exp", "log", "sqrt", "square"]
    model = regressor(operators=operators, target_transform="log", n_samples=300_000)
    X = np.column_stack([n, m]).astype(float)
    law = model.fit(X, y).predict(X) * (1 / n**2 - 1 / m**2)
    # With noise of 1 % the exponents that fit best are 2.008 and 2.010 for the second seed.
    assert np.ptp(law) < 0.02 * law.mean()


def test_a_search_for_a_logarithm_keeps_products_of_powers() -> None:
    g = random(0)
    x = np.exp(g.uniform(np.log(1e6), np.log(3e9), 27))
    y = (x / 2.5e8) ** -1.2 * np.exp(-x / 2.5e8) * (1 + 0.05 * g.standard_normal(27))
    operators = ["+", "-", "*", "/", "^", "exp", "log", "sqrt", "square"]
    model = regressor(operators=operators, target_transform="log", n_samples=300_000)
    shown = np.log(model.fit(x[:, None], y).predict(x[:, None]))
    design = np.column_stack([np.ones(27), np.log(x), x / 1e9])
    assert np.abs(design @ np.linalg.lstsq(design, shown)[0] - shown).max() < 1e-6
