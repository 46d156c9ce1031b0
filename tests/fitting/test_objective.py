"""Losses other than the squared error: their values, fits along their gradients, and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dso.errors import UserError
from dso.fitting.constants import ConstantFitter
from dso.fitting.named_losses import NAMED_LOSSES
from dso.fitting.objective import FormulaLoss, make_objective
from dso.library import Library, create_tokens
from dso.program import FitData, ProgramBatch, execute
from dso.task.regression import RegressionTask

FUNCTIONS = ["add", "mul", "sin", "n2", "const"]
random = np.random.default_rng(0)
X = random.uniform(-2, 2, (120, 2))
EXACT = 2.5 * X[:, 0] ** 2 + 1.3 * np.sin(X[:, 1])
Y = EXACT + 0.3 * random.normal(size=120)
OUTLIERS = EXACT.copy()
OUTLIERS[:20] += 30 * random.normal(size=20)
WEIGHTS = random.uniform(0.5, 2, 120)
MARGIN = ("ZeroOne", "Perceptron", "L1Hinge", "L2Hinge", "Smoothed", "Modified", "L2Margin",
          "LogitMargin", "Exp", "Sigmoid", "DWD")  # fmt: skip


def log1pexp(v: float) -> float:
    return math.log1p(math.exp(v))


BY_HAND = {
    "L2DistLoss": lambda p, y: (p - y) ** 2,
    "L1DistLoss": lambda p, y: abs(p - y),
    "LPDistLoss{3}": lambda p, y: abs(p - y) ** 3,
    "HuberLoss{0.7}": lambda p, y: (
        0.5 * (p - y) ** 2 if abs(p - y) <= 0.7 else 0.7 * (abs(p - y) - 0.35)
    ),
    "L1EpsilonInsLoss(0.2)": lambda p, y: max(0, abs(p - y) - 0.2),
    "L2EpsilonInsLoss{0.2}()": lambda p, y: max(0, abs(p - y) - 0.2) ** 2,
    "QuantileLoss{0.8}": lambda p, y: (p - y) * ((p > y) - 0.8),
    "PeriodicLoss{3}": lambda p, y: 1 - math.cos((p - y) * 2 * math.pi / 3),
    "LogitDistLoss": lambda p, y: -math.log(4) - (p - y) + 2 * log1pexp(p - y),
    "ZeroOneLoss": lambda p, y: float(p * y < 0),
    "PerceptronLoss": lambda p, y: max(0, -p * y),
    "L1HingeLoss": lambda p, y: max(0, 1 - p * y),
    "L2HingeLoss": lambda p, y: max(0, 1 - p * y) ** 2,
    "SmoothedL1HingeLoss{0.5}": lambda p, y: (
        max(0, 1 - p * y) ** 2 if p * y >= 0.5 else 0.75 - p * y
    ),
    "ModifiedHuberLoss": lambda p, y: max(0, 1 - p * y) ** 2 if p * y >= -1 else -4 * p * y,
    "L2MarginLoss": lambda p, y: (1 - p * y) ** 2,
    "LogitMarginLoss": lambda p, y: log1pexp(-p * y),
    "ExpLoss": lambda p, y: math.exp(-p * y),
    "SigmoidLoss": lambda p, y: 1 - math.tanh(p * y),
    "DWDMarginLoss{2}": lambda p, y: 1 - p * y if p * y <= 2 / 3 else 4 / 27 / (p * y) ** 2,
}


def task(y: np.ndarray = Y, weights: np.ndarray | None = None, **asked: object) -> RegressionTask:
    data = (X, y) if weights is None else (X, y, weights)
    return RegressionTask(dataset=data, function_set=FUNCTIONS, **asked)


def form(library: Library, tokens: str = "add,mul,const,n2,x1,mul,const,sin,x2") -> ProgramBatch:
    return ProgramBatch.from_rows([library.actionize(tokens).tolist()])


def fitted(one: RegressionTask) -> tuple[np.ndarray, float]:
    programs = ConstantFitter(one).fit(form(one.library))
    return programs.constants[0], float(one.losses(programs, np.zeros(1))[0])


def test_every_named_loss_is_tested() -> None:
    names = {name.split("{")[0].split("(")[0] for name in BY_HAND}
    assert names == set(NAMED_LOSSES)


@pytest.mark.parametrize("name", BY_HAND)
def test_named_losses_have_their_values(name: str) -> None:
    y = np.where(Y > 3, 1.0, -1.0) if name.startswith(MARGIN) else Y
    one = task(y, elementwise_loss=name)
    program = form(one.library, "add,x1,sin,x2")
    values = execute(one.library, program, X.T)[0][0]
    expected = np.mean([BY_HAND[name](p, t) for p, t in zip(values, y, strict=True)])
    assert one.losses(program, np.zeros(1))[0] == pytest.approx(expected, rel=1e-12)


NOT_BOUNDED = ("ZeroOneLoss", "PerceptronLoss", "SigmoidLoss")
"""Losses that are flat, or least for infinite constants."""


@pytest.mark.parametrize("name", [name for name in BY_HAND if name not in NOT_BOUNDED])
def test_fits_end_where_the_loss_falls_no_more(name: str) -> None:
    """To a ten-thousandth: at kinks the weights of rows converge slowly."""
    y = np.where(Y > 3, 1.0, -1.0) if name.startswith(MARGIN) else Y
    one = task(y, elementwise_loss=name)
    constants, least = fitted(one)
    library = one.library
    around = constants * (1 + 1e-3 * np.random.default_rng(1).uniform(-1, 1, (40, 2)))
    near = ProgramBatch(
        np.repeat(form(library).tokens, 40, axis=0), np.full(40, 9, dtype=np.int32), around
    )
    assert (one.losses(near, np.zeros(40)) >= least - 1e-4 * abs(least)).all()


def test_a_robust_loss_does_not_see_outliers() -> None:
    np.testing.assert_allclose(fitted(task(OUTLIERS, elementwise_loss="L1DistLoss"))[0], [2.5, 1.3])
    assert abs(fitted(task(OUTLIERS))[0] - [2.5, 1.3]).max() > 0.1


def test_a_formula_of_squares_fits_as_squares_do() -> None:
    constants, loss = fitted(task(elementwise_loss="f(x, y) = 2*(x - y)^2", weights=WEIGHTS))
    expected, mse = fitted(task(weights=WEIGHTS))
    np.testing.assert_allclose(constants, expected, rtol=1e-9)
    assert loss == pytest.approx(2 * mse)
    assert task(elementwise_loss="L2DistLoss()").objective is None


def test_weights_are_part_of_the_mean_or_of_the_formula() -> None:
    by_mean = fitted(task(weights=WEIGHTS, elementwise_loss="(x, y) -> abs(x - y)"))
    by_formula = fitted(task(weights=WEIGHTS, elementwise_loss="(p, t, w) -> w*abs(p - t)"))
    np.testing.assert_allclose(by_formula[0], by_mean[0], rtol=1e-9)
    assert by_formula[1] == pytest.approx(by_mean[1])
    bare = fitted(task(weights=WEIGHTS, elementwise_loss="weight*abs(prediction - target)"))
    np.testing.assert_allclose(bare[0], by_mean[0], rtol=1e-9)


def smooth(p, y):
    return (1 + (p - y) ** 2) ** 0.5 - 1


FUNCTIONS_OF_USERS = {
    "numpy": {"elementwise_loss": smooth},
    "numpy with weights": {"elementwise_loss": lambda p, y, w: w * smooth(p, y)},
    "torch": {"elementwise_loss": lambda p, y: torch.sqrt(1 + (p - y) ** 2) - 1},
    "whole": {"loss_function": lambda p, d: np.average(smooth(p, d.y), axis=1, weights=d.weights)},
    "whole, one": {"loss_function": lambda p, d: np.average(smooth(p, d.y), weights=d.weights)},
    "whole, torch": {
        "loss_function": lambda p, d: (
            ((torch.sqrt(1 + (p - d.y) ** 2) - 1) * d.weights).sum(-1) / d.weights.sum()
        )
    },
}


@pytest.mark.parametrize("kind", FUNCTIONS_OF_USERS)
def test_functions_do_what_the_formula_does(kind: str) -> None:
    expected = fitted(task(weights=WEIGHTS, elementwise_loss="(x, y) -> sqrt(1 + (x - y)^2) - 1"))
    constants, loss = fitted(task(weights=WEIGHTS, **FUNCTIONS_OF_USERS[kind]))
    np.testing.assert_allclose(constants, expected[0], rtol=1e-4)
    assert loss == pytest.approx(expected[1], rel=1e-6)


def test_a_function_is_called_once_for_a_batch() -> None:
    shapes = []

    def watched(p, y):
        shapes.append(p.shape)
        return np.abs(p - y)

    one = task(elementwise_loss=watched)
    programs = ProgramBatch.from_rows([one.library.actionize("sin,x1").tolist()] * 50)
    shapes.clear()
    one.rewards(programs)
    assert shapes == [(50, 120)]


def test_negative_losses_need_a_linear_scale() -> None:
    formula = "(x, y) -> 0.5*(x - y)^2 - 3"
    with pytest.raises(UserError, match="loss_scale='linear'"):
        task(elementwise_loss=formula)
    one = task(elementwise_loss=formula, loss_scale="linear")
    constants, loss = fitted(one)
    np.testing.assert_allclose(constants, fitted(task())[0], rtol=1e-6)
    assert loss < 0
    rewards = [one.reward_of(value) for value in (3.0, 0.0, -2.0, loss)]
    assert rewards == sorted(rewards)


def test_success_is_judged_by_the_loss_in_force() -> None:
    one = task(EXACT, elementwise_loss="L1DistLoss")
    programs = ConstantFitter(one).fit(form(one.library))
    from dso.program import Program

    judged = one.evaluate(Program(one.library, programs.row(0), programs.constants[0]))
    assert judged["success"]
    assert judged["loss_test"] < 1e-12
    assert one.rewards(programs).values[0] > 0.999


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"elementwise_loss": "HubberLoss{1}"}, "Did you mean 'HuberLoss'"),
        ({"elementwise_loss": "HuberLoss{a}"}, "parameter of HuberLoss is a number above 0"),
        ({"elementwise_loss": "QuantileLoss{2}"}, "and below 1"),
        ({"elementwise_loss": "L1DistLoss{2}"}, "has no parameter"),
        ({"elementwise_loss": "(x, y) -> abss(x - y)"}, "did you mean 'abs'"),
        ({"elementwise_loss": "(x) -> x"}, "has 1 argument"),
        ({"elementwise_loss": "(x, y) -> y^2"}, "does not use 'x', the prediction"),
        ({"elementwise_loss": "(x, y) -> log(-1 - x^2)"}, "a finite number is needed"),
        ({"elementwise_loss": lambda p, y: np.mean(p)}, "one loss for each is needed"),
        ({"elementwise_loss": lambda p, y: p * np.nan}, "a finite number is needed"),
        ({"elementwise_loss": lambda p, y: p.none}, "failed: AttributeError"),
        ({"loss_function": lambda p, d: p}, "is needed"),
        ({"loss_function": "abs"}, "expected a function"),
        ({"elementwise_loss": "L1DistLoss", "metric": "pearson"}, "not a formula over the mean"),
        ({"loss_scale": "linear"}, "squared errors are not"),
        ({"elementwise_loss": "L1DistLoss", "loss_function": np.mean}, "exclude each other"),
    ],
)
def test_bad_input_is_one_clear_error(asked: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        task(**{"metric_params": [] if "metric" in asked else [1.0], **asked})


def test_a_formula_is_native_and_stored() -> None:
    import pickle

    library = Library(create_tokens(2, FUNCTIONS))
    data = FitData.of_rows(library, X, Y)
    objective = make_objective("HuberLoss{1}", None, "log", data)
    assert isinstance(objective, FormulaLoss)
    again = pickle.loads(pickle.dumps(objective))
    np.testing.assert_array_equal(
        again.means(Y[None] + 1, data), objective.means(Y[None] + 1, data)
    )
