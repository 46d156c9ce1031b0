"""Every gradient against a closed form, on a bandit over programs of two tokens.

With zero recurrent weights the network's output is its last bias z for any input. A program is
one of two operators and one of two inputs, so its log-probability is that of two softmaxes over
pairs of z, and every derivative by z can be written down.
"""

import numpy as np
import pytest
import torch

from dso.library import Library, create_tokens
from dso.memory import PriorityQueue
from dso.policy import RNNPolicy
from dso.policy_optimizer.pg import PolicyGradient
from dso.policy_optimizer.ppo import ProximalPolicyOptimization
from dso.policy_optimizer.pqt import PriorityQueueTraining
from dso.prior import make_joint_prior
from tests.reference_memory import scored
from tests.support.scored import scored_batch

LIBRARY = Library(create_tokens(2, ["sin", "cos"]))
SIN, COS, X1, X2 = (LIBRARY.names.index(name) for name in ("sin", "cos", "x1", "x2"))
CHOICES = ([SIN, COS], [X1, X2])  # at position 0, at position 1
ROWS = [[SIN, X1], [COS, X2], [SIN, X2]]
REWARDS = [1.0, 0.25, 0.0]
BASELINE = 0.375
RATE = 1e-3


def make_policy():
    prior = make_joint_prior({"length": {"on": True, "min_": 2, "max_": 2}}, LIBRARY, max_length=2)
    policy = RNNPolicy(LIBRARY, prior, dtype=torch.float64)
    with torch.no_grad():
        bias_of(policy)[0, [SIN, COS, X1, X2]] = torch.tensor([0.3, -0.2, 0.1, 0.9]).double()
    return policy


def bias_of(policy):
    return policy.parameters()[-1]


def batch_of(rows=ROWS, rewards=REWARDS):
    return scored_batch(rows, rewards)


def softmax(values):
    weights = np.exp(values - values.max())
    return weights / weights.sum()


def log_prob_gradient(z, row):
    """Derivative by z: one for what was chosen, less the probabilities of what could be."""
    gradient = np.zeros_like(z)
    for t, token in enumerate(row):
        gradient[token] += 1
        gradient[CHOICES[t]] -= softmax(z[CHOICES[t]])
    return gradient


def entropy_gradient(z, gamma):
    gradient = np.zeros_like(z)
    for t in (0, 1):
        p = softmax(z[CHOICES[t]])
        entropy = -(p * np.log(p)).sum()
        gradient[CHOICES[t]] = -(gamma**t) * p * (np.log(p) + entropy)
    return gradient


def pg_gradient(z):
    pairs = zip(REWARDS, ROWS, strict=True)
    return np.mean([(r - BASELINE) * log_prob_gradient(z, row) for r, row in pairs], axis=0)


def ascent(optimizer_class, queue=None, batch=None, **section):
    """Return what one step of plain gradient descent adds to z, per learning rate; and z."""
    policy = make_policy()
    z = bias_of(policy).detach().numpy()[0].copy()
    section = {"entropy_weight": 0.0, **section}
    optimizer = optimizer_class(policy, learning_rate=RATE, optimizer="sgd", **section)
    statistics = optimizer.step(batch or batch_of(), BASELINE, queue)
    assert np.isfinite(list(statistics.values())).all()
    return (bias_of(policy).detach().numpy()[0] - z) / RATE, z


def test_policy_gradient():
    gradient, z = ascent(PolicyGradient)
    np.testing.assert_allclose(gradient, pg_gradient(z), atol=1e-12)
    assert gradient[SIN] > 0 > gradient[COS]


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_entropy(gamma):
    options = {"entropy_weight": 0.7, "entropy_gamma": gamma}
    batch = batch_of(rewards=[BASELINE] * 3)
    gradient, z = ascent(PolicyGradient, batch=batch, **options)
    np.testing.assert_allclose(gradient, 0.7 * entropy_gradient(z, gamma), atol=1e-12)
    assert gradient[SIN] < 0 < gradient[COS]  # towards the less likely one


@pytest.mark.parametrize("use_pg", [False, True])
def test_priority_queue_training(use_pg):
    queue, expected_draws = PriorityQueue(2), PriorityQueue(2)
    for each in (queue, expected_draws):
        each.update(scored([[SIN, X1], [COS, X1]], [1.0, 0.9]))
    gradient, z = ascent(
        PriorityQueueTraining,
        queue,
        pqt_batch_size=5,
        pqt_weight=3.0,
        pqt_use_pg=use_pg,
        entropy_weight=0.7,
    )
    drawn = [row.tolist() for row in expected_draws.sample(5).tokens]
    assert len(drawn) == 5
    assert {tuple(row) for row in drawn} == {(SIN, X1), (COS, X1)}
    expected = 3.0 * np.mean([log_prob_gradient(z, row) for row in drawn], axis=0)
    expected = expected + 0.7 * entropy_gradient(z, 1.0) + use_pg * pg_gradient(z)
    np.testing.assert_allclose(gradient, expected, atol=1e-12)
    assert gradient[X1] > 0 > gradient[X2]


def test_priority_queue_training_on_an_empty_queue_learns_from_the_entropy_alone():
    gradient, z = ascent(PriorityQueueTraining, PriorityQueue(2), entropy_weight=0.7)
    np.testing.assert_allclose(gradient, 0.7 * entropy_gradient(z, 1.0), atol=1e-12)


def test_the_first_step_of_ppo_is_that_of_the_policy_gradient():
    gradient, z = ascent(ProximalPolicyOptimization, ppo_n_iters=1, ppo_n_mb=1)
    np.testing.assert_allclose(gradient, pg_gradient(z), atol=1e-12)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
@pytest.mark.parametrize("ratio", [0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 2.0])
def test_ppo_stops_pushing_once_a_ratio_has_moved_beyond_the_clip(ratio, advantage):
    optimizer = ProximalPolicyOptimization(make_policy(), ppo_clip_ratio=0.2)
    log_ratio = torch.tensor([np.log(ratio)], requires_grad=True)
    rewards = torch.tensor([BASELINE + advantage], dtype=torch.float64)
    loss = optimizer.loss(log_ratio, torch.zeros(1), rewards, BASELINE)
    (gradient,) = torch.autograd.grad(loss, log_ratio)
    is_beyond = ratio > 1.2 if advantage > 0 else ratio < 0.8
    limit = (1.2 if advantage > 0 else 0.8) if is_beyond else ratio
    assert loss.item() == pytest.approx(-limit * advantage)
    assert gradient.item() == pytest.approx(0.0 if is_beyond else -ratio * advantage)


def test_further_passes_of_ppo_change_nothing_once_all_is_clipped():
    options = {"learning_rate": 1.0, "optimizer": "sgd", "entropy_weight": 0.0, "ppo_n_mb": 1}
    batch = batch_of([[SIN, X1], [COS, X2]], [1.0, 0.0])
    after = []
    for n_iters in (1, 6):
        policy = make_policy()
        before = bias_of(policy).detach().clone()
        ProximalPolicyOptimization(policy, ppo_n_iters=n_iters, **options).step(batch, 0.5)
        after.append(bias_of(policy).detach())
    assert not torch.equal(after[0], before)
    assert torch.equal(after[0], after[1])


def test_ppo_visits_every_row_once_per_pass_in_another_order():
    optimizer = ProximalPolicyOptimization(make_policy(), ppo_n_iters=3, ppo_n_mb=4)
    parts = optimizer._minibatches(10)
    assert [len(rows) for rows in parts] == [3, 3, 2, 2] * 3
    passes = [np.concatenate(parts[i : i + 4]).tolist() for i in (0, 4, 8)]
    assert all(sorted(rows) == list(range(10)) for rows in passes)
    assert passes[0] != passes[1] != passes[2]
    again = optimizer._minibatches(10)
    assert not all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_ppo_makes_no_empty_minibatch():
    statistics = []
    policy = make_policy()
    optimizer = ProximalPolicyOptimization(policy, ppo_n_iters=2, ppo_n_mb=8)
    optimizer.descend = lambda loss, entropy: statistics.append(len(entropy)) or {"loss": 1.0}
    optimizer.step(batch_of(), BASELINE)
    assert statistics == [1] * 6


def test_ppo_goes_on_alike_after_its_state_was_restored():
    first, second = (ProximalPolicyOptimization(make_policy()) for _ in range(2))
    first.step(batch_of(), BASELINE)
    second.policy.load_state_dict(first.policy.state_dict())
    second.load_state_dict(first.state_dict())
    for optimizer in (first, second):
        optimizer.step(batch_of(), BASELINE)
    assert torch.equal(bias_of(first.policy), bias_of(second.policy))
