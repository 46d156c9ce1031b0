"""Every entry of every registry does what entries of its kind owe.

An entry that no case here knows fails the test of its registry.
"""

from typing import Any

import numpy as np
import pytest
import torch

from dso import DeepSymbolicOptimizer
from dso.config import Config
from dso.library.functions import OPERATORS
from dso.memory import complexity_measure
from dso.policy import POLICIES, RNNPolicy
from dso.policy.rnn_policy import N_GATES
from dso.policy_optimizer import POLICY_OPTIMIZERS
from dso.policy_optimizer.baseline import KINDS
from dso.policy_optimizer.gradient_descent import RULES
from dso.prior import PRIORS, Constraint, make_joint_prior
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream
from dso.task import TASKS, make_task
from dso.task.regression.metrics import METRICS
from tests.support.priors import KOZA_LIBRARY, PRIOR_CASES

STREAM = Stream(0, "policy")
SCHEMA = Config.model_json_schema()["$defs"]
# All within the domain of every operator.
X = np.random.default_rng(0).uniform(0.1, 0.9, (30, 2))
Y = X[:, 0] * X[:, 1]


def choices(section: str, key: str) -> set[str]:
    """Return the names that a config may give a key."""
    spec = SCHEMA[section]["properties"][key]
    found: set[str] = set()
    for one in spec.get("anyOf", [spec]):
        found |= {*one.get("enum", ()), *([one["const"]] if "const" in one else [])}
    return found


def run(n_iterations: int = 2, batch_size: int = 40, **sections: dict) -> DeepSymbolicOptimizer:
    """Return an optimiser after this many iterations on Y = x1 x2, or on another task."""
    task: dict[str, Any] = {"task_type": "regression", "dataset": (X, Y)}
    task["function_set"] = ["add", "mul", "sin"]
    given = sections.pop("task", {})
    config: dict[str, Any] = {
        "experiment": {"logdir": None},
        "task": given if "task_type" in given else task | given,
        "training": {"batch_size": batch_size, "verbose": False, "early_stopping": False}
        | sections.pop("training", {}),
        **sections,
    }
    model = DeepSymbolicOptimizer(config)
    model.setup()
    for _ in range(n_iterations):
        assert model.train_one_step() is None
    return model


def weights(model: DeepSymbolicOptimizer) -> dict[str, np.ndarray]:
    return model.policy.state_dict()


def assert_learns(**sections: dict) -> None:
    """Assert that an iteration moves the weights, and leaves them finite."""
    before, model = weights(run(0, **sections)), run(**sections)
    after = weights(model)
    assert all(np.isfinite(value).all() for value in after.values())
    assert any((before[name] != after[name]).any() for name in after)
    assert all(np.isfinite(value) for value in model.last.lesson.statistics.values())


def test_every_prior_has_a_case_and_a_section() -> None:
    assert set(PRIOR_CASES) == set(PRIORS)
    assert set(SCHEMA["Priors"]["properties"]) == {*PRIORS, "count_constraints"}


@pytest.mark.parametrize("name", PRIORS)
def test_prior(name: str) -> None:
    library, parameters, forbidden = PRIOR_CASES[name]
    section = {name: {"on": True, **parameters}}
    facts = {
        "input_ranges": np.array([[-1.0, 1.0], [0.1, 1.0]]),
        "output_range": np.array([-2, 2]),
        "corpus": lambda formulas: [library.actionize("add,x1,sin,x2")],
    }
    prior = make_joint_prior(section, library, max_length=12, **facts)
    assert type(prior.priors[0]) is PRIORS[name], prior.skipped
    assert prior.descriptions[0].startswith(f"{name}: ")
    programs = RNNPolicy(library, prior).sample(60, STREAM).programs
    assert prior.allowed(programs).all()
    assert issubclass(PRIORS[name], Constraint) == (forbidden is not None)
    if forbidden is not None:
        broken = ProgramBatch.from_rows([library.actionize(forbidden)])
        free = make_joint_prior({}, library, max_length=12)
        assert free.allowed(broken).all()
        assert not prior.allowed(broken).any()
        return
    logits = RNNPolicy(library, prior).replay(programs).prior  # (B, T, L)
    assert (logits < 0).any()
    assert not np.isneginf(logits[:, 0]).any()


def test_every_policy_can_be_configured() -> None:
    assert set(POLICIES) == choices("Policy", "policy_type")


@pytest.mark.parametrize("name", POLICIES)
def test_policy(name: str) -> None:
    section = {"length": {"on": True, "min_": 2, "max_": 9}}
    policy = POLICIES[name](
        KOZA_LIBRARY, make_joint_prior(section, KOZA_LIBRARY, max_length=9), seed=3
    )
    batch = policy.sample(50, STREAM)
    np.testing.assert_array_equal(
        policy.sample(20, STREAM).programs.tokens, batch.programs.tokens[:20]
    )
    assert batch.on_policy.all()
    assert policy.prior.allowed(batch.programs).all()
    log_prob, entropy = policy.log_prob_and_entropy(policy.replay(batch.programs))
    shape = len(batch), batch.programs.tokens.shape[1]
    assert log_prob.shape == entropy.shape == shape
    is_padding = torch.arange(shape[1]) >= torch.from_numpy(batch.programs.lengths)[:, None]
    assert (log_prob[is_padding] == 0).all()
    assert (log_prob[~is_padding] <= 0).all()
    gradients = torch.autograd.grad(log_prob.sum(), policy.parameters())
    assert any((gradient != 0).any() for gradient in gradients)
    state = {key: value + 0.5 for key, value in policy.state_dict().items()}
    policy.load_state_dict(state)
    for key, value in policy.state_dict().items():
        np.testing.assert_array_equal(value, state[key])


def test_every_policy_optimiser_can_be_configured() -> None:
    assert set(POLICY_OPTIMIZERS) == choices("PolicyOptimizer", "policy_optimizer_type")


@pytest.mark.parametrize("name", POLICY_OPTIMIZERS)
def test_policy_optimiser(name: str) -> None:
    assert_learns(policy_optimizer={"policy_optimizer_type": name})


@pytest.mark.parametrize("baseline", sorted(choices("Training", "baseline") | set(KINDS)))
@pytest.mark.parametrize("epsilon", [0.2, None])
def test_baseline(baseline: str, epsilon: float | None) -> None:
    model = run(training={"baseline": baseline, "epsilon": epsilon})
    kept = model.last.batch.rewards[model.last.lesson.kept]
    assert kept.min() - 1 < model.last.lesson.baseline <= kept.max()


@pytest.mark.parametrize("optimizer", sorted(choices("PolicyOptimizer", "optimizer") | set(RULES)))
def test_gradient_descent(optimizer: str) -> None:
    assert_learns(policy_optimizer={"optimizer": optimizer})


@pytest.mark.parametrize("initializer", sorted(choices("Policy", "initializer")))
@pytest.mark.parametrize("cell", sorted(choices("Policy", "cell") | set(N_GATES)))
def test_cell_and_initialiser(cell: str, initializer: str) -> None:
    model = run(0, policy={"cell": cell, "initializer": initializer, "num_units": 6})
    gates = N_GATES[cell] * 6
    kernel = weights(model)["layer0.recurrent"]
    assert kernel.shape == (6, gates)
    assert kernel.any() == (initializer != "zeros")
    assert_learns(policy={"cell": cell, "initializer": initializer, "num_units": 6})


COMPLEXITIES = {
    "token": 1 + 3 + 1 + 1,
    "length": 4,
    "exp_token": 4 + 1 + 3 + 1 + 1,
    "exp_length": 5,
    None: 0,
}
"""Of add,sin,x1,x2."""


def test_every_complexity_has_a_case() -> None:
    assert set(COMPLEXITIES) == choices("Training", "complexity") | {None}


@pytest.mark.parametrize("kind", COMPLEXITIES)
def test_complexity(kind: str | None) -> None:
    measure = complexity_measure(kind, KOZA_LIBRARY)
    programs = ProgramBatch.from_rows([KOZA_LIBRARY.actionize(t) for t in ("add,sin,x1,x2", "x1")])
    assert measure(programs)[0] == COMPLEXITIES[kind]
    front = run(training={"complexity": kind}).trainer.keeper.pareto_front.rows
    np.testing.assert_array_equal(np.unique(front.complexities), front.complexities)


MIN_REWARDS = {
    "neg_mse": -np.inf,
    "neg_rmse": -np.inf,
    "neg_nmse": -np.inf,
    "neg_nrmse": -np.inf,
    "neglog_mse": -np.inf,
    "inv_mse": 0.0,
    "inv_nmse": 0.0,
    "inv_nrmse": 0.0,
    "fraction": 0.0,
    "pearson": -1.0,
    "spearman": -1.0,
}
"""Below what no program is rewarded."""


def test_every_metric_has_a_case_and_can_be_configured() -> None:
    named = SCHEMA["RegressionTask"]["properties"]["metric"]["anyOf"][0]["enum"]
    assert set(MIN_REWARDS) == set(METRICS) == set(named)


@pytest.mark.parametrize("name", METRICS)
def test_metric(name: str) -> None:
    task = make_task(
        "regression",
        dataset=(X, Y),
        function_set=["add", "sub", "mul", "exp", "log"],
        metric=name,
        metric_params=[0.1] * METRICS[name].n_params,
    )
    texts = ["mul,x1,x2", "log,sub,x1,x1", "exp,x1", "sub,x1,exp,exp,x2", "add,x1,x2", "x2"]
    found = task.rewards(ProgramBatch.from_rows([task.library.actionize(t) for t in texts]))
    perfect, invalid, *others = found.values
    assert perfect == pytest.approx(task.metric.max_reward, abs=1e-12)
    assert invalid == task.metric.invalid_reward
    assert (found.cause != 0).tolist() == [False, True, False, False, False, False]
    assert all(MIN_REWARDS[name] <= reward < task.metric.max_reward for reward in others)
    assert len(set(others)) > 1


TASK_CASES: dict[str, dict] = {
    "regression": {"dataset": (X, Y), "function_set": ["add", "mul", "sin"]},
    "control": {
        "env": "Pendulum-v1",
        "function_set": ["add", "mul", "sin", 1.0],
        "n_episodes_test": 3,
        "n_validated": 1,
    },
}


def test_every_task_has_a_case() -> None:
    assert set(TASK_CASES) == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_task(name: str) -> None:
    model = run(task={"task_type": name, **TASK_CASES[name]})
    assert isinstance(model.task, TASKS[name])
    program = model.reports.program(model.trainer.keeper.best.programs)
    assert model.task.reward_function(program) == pytest.approx(model.trainer.standing.r_best)
    evaluated = model.task.evaluate(program)
    result = model.finish()
    assert set(evaluated) <= set(result)
    assert result["n_samples"] == model.trainer.standing.n_samples >= 80


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_in_a_run(name: str) -> None:
    # On the rows of the benchmark, from -1 to 1, these two ask for an argument that fits.
    helped = {"arccosh": ["cosh"], "arctanh": ["mul", 0.5]}.get(name, [])
    model = run(task={"function_set": [*dict.fromkeys(["add", *helped, name])]})
    token = model.library.names.index(OPERATORS[name].shown)
    batch = model.last.batch
    has_it = (batch.programs.tokens == token).any(axis=1)
    assert model.library.arities[token] == OPERATORS[name].arity
    assert (has_it & (batch.cause == 0)).any()
    assert np.isfinite(batch.rewards).all()
