"""A policy written in torch learns under the same priors and optimisers as the built-in one."""

import numpy as np
import pytest
import torch

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.policy_optimizer.pg import PolicyGradient
from dso.prior import make_joint_prior
from dso.streams import Stream
from tests.support.plugins import BagOfSymbols
from tests.support.scored import scored_batch

LIBRARY = Library(create_tokens(1, ["add", "mul", "sin"]))
PRIORS = {"length": {"on": True, "min_": 2, "max_": 9}}


def make_policy() -> BagOfSymbols:
    with torch.random.fork_rng():
        return BagOfSymbols(LIBRARY, make_joint_prior(PRIORS, LIBRARY, max_length=9), seed=0)


def test_samples_obey_the_priors_and_have_the_probability_they_are_drawn_with():
    policy = make_policy()
    programs = policy.sample(4000, Stream(0, "policy")).programs
    replay = policy.replay(programs)
    assert replay.allowed.all()
    log_prob, entropy = policy.log_prob_and_entropy(replay)
    assert torch.isfinite(log_prob).all()
    assert (entropy >= 0).all()
    short = np.flatnonzero(programs.lengths == 2)
    share = float(log_prob[short[0]].sum().detach().exp())
    same = (programs.keys() == programs.keys()[short[0]]).mean()
    assert abs(same - share) < 0.03


def test_it_learns():
    policy = make_policy()
    optimizer = PolicyGradient(policy, learning_rate=0.2, entropy_weight=0.0)
    first = LIBRARY.index("mul")
    for iteration in range(12):
        batch = policy.sample(30, Stream(0, "policy", iteration))
        rewards = (batch.programs.tokens[:, 0] == first).astype(float)
        optimizer.step(scored_batch(batch.programs, rewards), rewards.mean())
    assert rewards.mean() > 0.9


def test_config_names_it():
    from dso import DeepSymbolicOptimizer

    optimizer = DeepSymbolicOptimizer(
        {
            "task": {"task_type": "regression", "dataset": "Nguyen-1"},
            "policy": {"policy_type": "tests.support.plugins:BagOfSymbols", "width": 4},
            "training": {"n_samples": 200, "batch_size": 100, "verbose": False},
            "experiment": {"logdir": None},
        }
    )
    result = optimizer.train()
    assert type(optimizer.policy).__name__ == "BagOfSymbols"
    assert optimizer.policy.head.in_features == 4
    assert result["n_samples"] == 200


def test_logits_that_are_not_numbers_are_named():
    policy = make_policy()
    with torch.no_grad():
        policy.head.bias[0] = float("nan")
    with pytest.raises(UserError, match=r"NaN or \+inf as a logit"):
        policy.sample(10, Stream(0, "policy"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda logits, state: logits, "Odd.step returned Tensor; expected .logits, state."),
        (lambda logits, state: (logits[:, :-1], state), r"shape \(5, 3\); expected \(5, 4\)"),
        (lambda logits, state: (logits[0], state), r"shape \(4,\); expected \(5, 4\)"),
        (lambda logits, state: (logits.tolist(), state), r"shape list; expected \(5, 4\)"),
    ],
)
def test_what_a_step_returns_is_checked(answer, message):
    class Odd(BagOfSymbols):
        def step(self, state, features, open_slots):
            return answer(*super().step(state, features, open_slots))

    policy = Odd(LIBRARY, make_joint_prior(PRIORS, LIBRARY, max_length=9), seed=0)
    with pytest.raises(UserError, match=message):
        policy.sample(5, Stream(0, "policy"))
