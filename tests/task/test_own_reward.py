"""A subclass of a built-in task that rewards programs in its own way."""

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.evaluation import Evaluator
from dso.fitting import make_fitter
from dso.program import from_str_tokens
from dso.program.batch import Batch
from dso.task.control import ControlTask
from dso.task.regression import RegressionTask
from dso.task.task import rewards_batches

X = np.linspace(0.5, 2, 30)[:, None]
Y = 3 * X[:, 0]


class Short(RegressionTask):
    """The shorter the better, regardless of the data."""

    def reward_function(self, program, optimizing=False):
        return -float(len(program.traversal))


class Far(RegressionTask):
    """Wants values two above y, and says what it was asked."""

    def reward_function(self, program, optimizing=False):
        values = program.execute(X)
        return -float(np.mean(np.abs(values - Y - 2)))


class Twice(Short):
    """Rewards batches again."""

    def rewards(self, programs):
        scored = RegressionTask.rewards(self, programs)
        return scored._replace(values=2 * scored.values)


def evaluated(task, *texts):
    programs = [from_str_tokens(text, task.library).batch for text in texts]
    fitter = make_fitter(task, "lm", {})
    evaluator = Evaluator(task, task.library, fitter=fitter)
    return [evaluator.evaluate(Batch.off_policy(one), 0) for one in programs]


def test_the_override_decides():
    task = Short(dataset=(X, Y), function_set=["add", "mul"])
    assert [one.rewards[0] for one in evaluated(task, "x1", "add,x1,x1")] == [-1.0, -3.0]
    assert not rewards_batches(task)
    assert rewards_batches(RegressionTask(dataset=(X, Y)))


def test_whoever_is_derived_last_decides():
    task = Twice(dataset=(X, Y), function_set=["add", "mul"])
    (scored,) = evaluated(task, "add,x1,add,x1,x1")
    assert scored.rewards[0] == pytest.approx(2.0)


def test_constants_are_fitted_to_it():
    task = Far(dataset=(X, Y), function_set=["add", "mul", "const"])
    (scored,) = evaluated(task, "add,const,mul,const,x1")
    assert scored.rewards[0] > -0.05
    assert scored.programs.constants[0, 0] == pytest.approx(2.0, abs=0.1)


def test_polynomials_are_there_when_it_is_asked():
    task = Far(dataset=(X, Y), function_set=["add", "mul", "const", "poly"])
    (scored,) = evaluated(task, "add,poly,const")
    assert scored.rewards[0] == pytest.approx(-2.0)  # a polynomial is fitted to y alone


class ShortPolicies(ControlTask):
    """Each token costs more than an episode is worth."""

    def reward_function(self, program, optimizing=False):
        return super().reward_function(program, optimizing) - 1000.0 * len(program)


class NoPolicies(ControlTask):
    """Every program has the same reward."""

    def reward_function(self, program, optimizing=False):
        return 0.25


@pytest.mark.parametrize(("made", "reward"), [(ShortPolicies, None), (NoPolicies, 0.25)])
def test_it_decides_in_control_too(made, reward):
    config = {
        "task": {
            "task_type": f"{__file__}:{made.__name__}",
            "env": "MountainCarContinuous-v0",
            "action_spec": [None],
            "function_set": ["add", "mul", "const"],
            "n_episodes_train": 1,
            "n_episodes_test": 1,
        },
        "training": {"n_samples": 40, "batch_size": 20, "verbose": False, "epsilon": 0.2},
        "prior": {"length": {"on": True, "min_": 1, "max_": 9}},
        "experiment": {"logdir": None, "seed": 0},
    }
    model = DeepSymbolicOptimizer(config)
    model.setup()
    model.iterate()
    batch = model.last.batch
    if reward is None:
        assert (np.abs(batch.rewards + 1000.0 * batch.programs.lengths) < 500).all()
    else:
        assert (batch.rewards == reward).all()


def test_a_run_goes_by_it():
    config = {
        "task": {
            "task_type": f"{__file__}:Short",
            "dataset": (X, Y),
            "function_set": ["add", "mul"],
        },
        "training": {"n_samples": 200, "batch_size": 100, "verbose": False},
        "experiment": {"logdir": None, "seed": 0},
    }
    assert DeepSymbolicOptimizer(config).train()["r"] > -10
