"""Constants are fitted before a program is rewarded, once, and kept with its reward."""

import logging

import numpy as np
import pytest

from dso.errors import UserError
from dso.evaluation import Evaluator
from dso.fitting import ConstantFitter, FitOptions, make_fitter
from dso.fitting.rounding import nearest_rational
from dso.fitting.slots import start_points
from dso.library import Library, create_tokens
from dso.program import Program, ProgramBatch, from_str_tokens
from dso.program.batch import Batch
from dso.task import Task
from dso.task.regression import RegressionTask

SET = ["add", "mul", "sub", "div", "sin", "exp", "log", "const"]
X = np.random.default_rng(0).uniform(0.1, 2, (50, 2))


def make_task(y: np.ndarray, **options) -> RegressionTask:
    return RegressionTask(dataset=(X, y), **{"function_set": SET, **options})


def batch(task: Task, *texts: str) -> ProgramBatch:
    return ProgramBatch.from_rows([task.library.actionize(text).tolist() for text in texts])


def make_evaluator(task: Task, kind: str | None = "lm", **params) -> Evaluator:
    return Evaluator(task, task.library, fitter=make_fitter(task, kind, params))


def evaluate(evaluator: Evaluator, programs: ProgramBatch):
    return evaluator.evaluate(Batch(programs, np.ones(len(programs), bool)), 0)


def test_rewards_are_those_of_the_fitted_constants() -> None:
    task = make_task(2.5 * X[:, 0] - 0.7)
    evaluator = make_evaluator(task)
    scores = evaluate(evaluator, batch(task, "add,mul,const,x1,const", "x1", "mul,const,x2"))
    np.testing.assert_allclose(scores.programs.constants[0], [2.5, -0.7])
    assert np.isnan(scores.programs.constants[1]).all()
    assert np.isnan(scores.programs.constants[2, 1])
    assert scores.rewards[0] == pytest.approx(1.0)
    for b, text in enumerate(("add,mul,const,x1,const", "x1", "mul,const,x2")):
        tokens = task.library.actionize(text)
        program = Program(task.library, tokens, scores.programs.constants[b])
        assert task.reward_function(program) == scores.rewards[b]
        assert evaluator.reward(program) == scores.rewards[b]


def test_a_known_program_is_not_fitted_again_and_keeps_its_constants() -> None:
    task = make_task(np.exp(1.5 * X[:, 0]) + X[:, 1])
    evaluator = make_evaluator(task)
    fits: list[int] = []
    fit = evaluator.fitter.fit
    evaluator.fitter.fit = lambda rows, start: (fits.append(len(rows)), fit(rows, start))[1]
    texts = ("add,x2,exp,mul,const,x1", "mul,const,x1", "mul,const,x1")
    first = evaluate(evaluator, batch(task, *texts))
    again = evaluate(evaluator, batch(task, *texts[::-1], "add,const,mul,const,mul,const,x1"))
    assert fits == [2, 1]  # duplicates in a batch are fitted once
    np.testing.assert_array_equal(
        again.programs.constants[:3, 0], first.programs.constants[::-1, 0]
    )
    np.testing.assert_array_equal(again.rewards[:3], first.rewards[::-1])
    assert first.programs.constants.shape == (3, 1)
    assert again.programs.constants.shape == (4, 3)
    other = make_evaluator(task)
    other.load_state_dict(evaluator.state_dict())
    known = evaluate(other, batch(task, *texts))
    np.testing.assert_array_equal(known.programs.constants, first.programs.constants)
    assert known.n_evaluated == 0


def test_a_small_cache_forgets_but_never_mixes_up() -> None:
    task = make_task(X[:, 0] * 3)
    evaluator = Evaluator(task, task.library, cache_bytes=2**16, fitter=make_fitter(task, "lm", {}))
    heads = ["sin", "exp", "log"]
    texts = [f"mul,const,{a},{b},{c},{d},x1" for a in heads for b in heads for c in heads
             for d in heads]  # fmt: skip
    texts += [f"add,const,{text}" for text in texts]
    programs = batch(task, *texts)
    expected = evaluate(make_evaluator(task), programs)
    for start in range(0, len(texts), 30):
        part = programs[start : start + 30]
        width = max(1, int((part.tokens == task.library.const_token).sum(axis=1).max()))
        scores = evaluator.evaluate(Batch(part, np.ones(len(part), bool)), start)
        np.testing.assert_array_equal(scores.rewards, expected.rewards[start : start + 30])
        np.testing.assert_array_equal(
            scores.programs.constants, expected.programs.constants[start : start + 30, :width]
        )


def test_given_numbers_stay() -> None:
    task = make_task(4 * X[:, 0] - 2)
    program = from_str_tokens("add,mul,const,x1,1.0", task.library)
    scores = evaluate(make_evaluator(task), program.batch)
    assert scores.programs.constants[0, 1] == 1.0
    slope = np.dot(X[:, 0], task.y_train - 1) / np.dot(X[:, 0], X[:, 0])
    assert scores.programs.constants[0, 0] == pytest.approx(slope)


@pytest.mark.parametrize("kind", ["dummy", None])
def test_without_a_fit_constants_are_one(kind: str | None) -> None:
    task = make_task(X[:, 0] * 3)
    scores = evaluate(make_evaluator(task, kind), batch(task, "mul,const,x1"))
    np.testing.assert_array_equal(scores.programs.constants, [[1.0]])
    assert scores.rewards[0] < 0.9


@pytest.mark.parametrize("bounds", [[None, 2.0], [[0.5, 2.0]]])
def test_bounds(bounds: list) -> None:
    task = make_task(X[:, 0] * 3)
    scores = evaluate(make_evaluator(task, bounds=bounds), batch(task, "mul,const,x1"))
    np.testing.assert_array_equal(scores.programs.constants, [[2.0]])


def test_scipy_finds_the_same_and_says_that_it_is_slow(caplog: pytest.LogCaptureFixture) -> None:
    task = make_task(np.exp(0.8 * X[:, 0]) + 1.5)
    programs = batch(task, "add,const,exp,mul,const,x1", "mul,x1,x1", "mul,const,x2")
    with caplog.at_level(logging.WARNING, "dso"):
        arguments = {"method": "L-BFGS-B", "options": {"gtol": 1e-8}}
        theirs = evaluate(make_evaluator(task, "scipy", **arguments), programs)
    assert "slower than 'lm'" in caplog.text
    ours = evaluate(make_evaluator(task), programs)
    np.testing.assert_allclose(ours.programs.constants, theirs.programs.constants, rtol=1e-3)
    assert (ours.rewards >= theirs.rewards - 1e-9).all()


@pytest.mark.parametrize("metric", ["pearson", "fraction"])
def test_other_metrics_have_their_own_objective(metric: str) -> None:
    y = X[:, 0].copy()
    y[:10] += 100.0  # what least squares would chase
    params = (0.0, 0.05) if metric == "fraction" else ()
    task = make_task(y, metric=metric, metric_params=params)
    programs = batch(task, "add,x1,const")
    fitted = ConstantFitter(task).fit(programs)
    squares = ConstantFitter(make_task(y)).fit(programs)
    best = task.rewards(fitted).values[0]
    assert best >= task.rewards(squares).values[0]
    bounded = ConstantFitter(task, FitOptions(bounds=[-0.5, 0.5], n_starts=3)).fit(programs)
    assert abs(bounded.constants[0, 0]) <= 0.5


def test_programs_with_python_tokens_are_fitted() -> None:
    task = make_task(1.5 * X[:, 0] - 0.25, function_set=[*SET, "tests.support.plugins:half"])
    programs = batch(
        task,
        "add,half,mul,const,x1,const",
        "add,mul,const,x1,const",
        "log,half,x1",
        "mul,const,half,sub,x1,const",
        "mul,const,half,x2",
    )
    fitted = ConstantFitter(task).fit(programs)
    np.testing.assert_allclose(fitted.constants[:2], [[3.0, -0.25], [1.5, -0.25]], rtol=1e-6)
    assert np.isnan(fitted.constants[2]).all()
    np.testing.assert_allclose(fitted.constants[3], [3.0, 1 / 6], rtol=1e-6)
    half_x2 = X[:, 1] / 2
    best = np.dot(half_x2, task.y_train) / np.dot(half_x2, half_x2)
    assert fitted.constants[4, 0] == pytest.approx(best)
    assert np.isnan(fitted.constants[4, 1])


class Distance(Task):
    """A task that is not one of least squares."""

    name = "distance"

    def __init__(self) -> None:
        self.library = Library(create_tokens(1, ["add", "mul", "const"]))

    def reward_function(self, program: Program) -> float:
        return -float(np.abs(program.execute(np.ones((1, 1)))[0] - 4.0))

    def evaluate(self, program: Program) -> dict:
        return {}


def test_a_task_of_ones_own_is_fitted_by_its_reward() -> None:
    task = Distance()
    scores = evaluate(make_evaluator(task), batch(task, "add,const,x1", "x1"))
    assert scores.programs.constants[0, 0] == pytest.approx(3.0, abs=1e-6)
    np.testing.assert_allclose(scores.rewards, [0.0, -3.0], atol=1e-6)


@pytest.mark.parametrize(
    ("snap", "target", "expected"),
    [
        ("integer", [2.0, -3.0], [2.0, -3.0]),
        ("rational", [0.75, 1 / 3], [0.75, 1 / 3]),
        ("integer", [2.37, -3.0], [2.37, -3.0]),  # a fit that would not hold
    ],
)
def test_snapping(snap: str, target: list[float], expected: list[float]) -> None:
    noise = np.random.default_rng(1).normal(0, 1e-4, len(X))
    for y_noise in (0.0, noise):
        task = make_task(target[0] * X[:, 0] + target[1] + y_noise)
        fitter = ConstantFitter(task, FitOptions(snap=snap))
        fitted = fitter.fit(batch(task, "add,mul,const,x1,const")).constants[0]
        if np.ndim(y_noise) == 0:
            np.testing.assert_allclose(fitted, expected, rtol=1e-9)
            exact = np.array(expected) if expected[0] != 2.37 else np.array([fitted[0], -3.0])
            np.testing.assert_array_equal(fitted, exact)


def test_rationals_and_start_points() -> None:
    np.testing.assert_array_equal(
        nearest_rational(np.array([0.3333, -1.76, 2.0004, np.nan]))[:3], [1 / 3, -7 / 4, 2.0]
    )
    low, high = np.array([-np.inf, 2.0, 0.0]), np.array([np.inf, 3.0, np.inf])
    points = start_points(5, np.ones(3), low, high, 20)
    assert len(points) == 20
    assert all((low[1:] <= point[1:]).all() and point[1] <= 3.0 for point in points[1:])
    np.testing.assert_array_equal(points, start_points(5, np.ones(3), low, high, 20))


def test_noise_does_not_reach_the_fit() -> None:
    task = make_task(X[:, 0] * 3, reward_noise=0.5)
    programs = batch(task, "mul,const,x1", "mul,const,x1", "x1")
    scores = evaluate(make_evaluator(task), programs)
    np.testing.assert_allclose(scores.programs.constants[:2], 3.0)


@pytest.mark.parametrize("arguments", [{"method": "foo"}, {"foo": 1}])
def test_arguments_that_scipy_does_not_take_are_refused_at_once(arguments) -> None:
    with pytest.raises(UserError, match=r"training\.const_params: .*foo"):
        make_fitter(make_task(X[:, 0]), "scipy", arguments)
