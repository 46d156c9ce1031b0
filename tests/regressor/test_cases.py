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


def test_whole_numbers_are_seen() -> None:
    X = random(0).integers(0, 7, (200, 3)).astype(float)
    y = 2 ** X[:, 0] * 3 ** X[:, 1] * 5 ** X[:, 2]
    model = regressor(operators=["*", "^"], n_samples=200_000).fit(X, y)
    assert str(model.sympy()) == "2**x1*3**x2*5**x3"


def test_snapping_can_be_turned_off() -> None:
    g = random(5)
    X = g.uniform(0.5, 3, (80, 2))
    y = 3 * X[:, 0] + 2 * X[:, 1] ** 2
    y = y + 0.01 * y.std() * g.normal(size=80)
    snapped = regressor(n_samples=60_000).fit(X, y)
    assert sizes(snapped)[9] == "3*x1 + 2*x2**2"
    free = regressor(n_samples=60_000, snap=False).fit(X, y)
    assert sizes(free)[9] not in ("3*x1 + 2*x2**2", "")
