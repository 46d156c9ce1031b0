"""The objective of the policy gradient, on a policy small enough to write down."""

import numpy as np
import pytest
import torch

from dso.batch import Batch
from dso.errors import UserError
from dso.policy_optimizer import policy_optimizer_class
from dso.policy_optimizer.pg import PolicyGradient
from dso.program.program_batch import ProgramBatch


class TablePolicy:
    """Independent tokens per position: logits (T, L), nothing else."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.logits = torch.randn((3, 4), generator=generator).requires_grad_()

    def parameters(self):
        return [self.logits]

    def replay(self, programs):
        return programs

    def log_prob_and_entropy(self, programs):
        width = programs.tokens.shape[1]
        mask = torch.arange(width) < torch.from_numpy(programs.lengths)[:, None]
        log_prob = torch.log_softmax(self.logits[:width], dim=1)
        tokens = torch.from_numpy(np.where(programs.tokens < 0, 0, programs.tokens)).long()
        chosen = log_prob.expand(len(programs), -1, -1).gather(2, tokens[:, :, None])[:, :, 0]
        entropy = -(log_prob.exp() * log_prob).sum(dim=1)
        return chosen * mask, entropy * mask


BATCH = Batch(
    ProgramBatch.from_rows([[0, 1, 2], [3], [1, 1]]),
    np.ones(3, dtype=bool),
    np.array([0.9, 0.5, 2e6]),
)


def expected_loss(policy, weight, gamma, baseline):
    """The formula of the sheet, one row and one position at a time."""
    log_prob = torch.log_softmax(policy.logits, dim=1)
    objective, entropy = torch.zeros(()), torch.zeros(())
    for i, reward in enumerate([0.9, 0.5, 1e6]):  # the last one is clipped
        row = BATCH.programs.row(i)
        objective = objective - (reward - baseline) * sum(
            log_prob[t, token] for t, token in enumerate(row)
        )
        entropy = entropy + sum(
            gamma**t * -(log_prob[t].exp() * log_prob[t]).sum() for t in range(len(row))
        )
    return objective / 3 - weight * entropy / 3, entropy / 3


@pytest.mark.parametrize("gamma", [0.7, 1.0, None])
def test_one_step_descends_on_the_written_objective(gamma):
    policy, reference = TablePolicy(), TablePolicy()
    optimizer = PolicyGradient(
        policy, learning_rate=1e-7, optimizer="sgd", entropy_weight=3e5, entropy_gamma=gamma
    )
    statistics = optimizer.step(BATCH, baseline=0.25)
    loss, entropy = expected_loss(reference, 3e5, 1.0 if gamma is None else gamma, 0.25)
    (gradient,) = torch.autograd.grad(loss, reference.logits)
    torch.testing.assert_close(policy.logits, reference.logits - 1e-7 * gradient)
    assert statistics["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert statistics["entropy"] == pytest.approx(entropy.item(), rel=1e-5)


def test_better_than_the_baseline_becomes_more_likely():
    policy = TablePolicy()
    batch = Batch(BATCH.programs, BATCH.on_policy, np.array([1.0, 0.0, 0.0]))
    optimizer = PolicyGradient(policy, learning_rate=0.05, entropy_weight=0.0)
    before = policy.log_prob_and_entropy(batch.programs)[0].sum(dim=1)
    for _ in range(5):
        optimizer.step(batch, baseline=0.0)
    after = policy.log_prob_and_entropy(batch.programs)[0].sum(dim=1)
    assert after[0] > before[0]


def test_state_round_trip():
    policies = TablePolicy(), TablePolicy()
    first, second = (PolicyGradient(policy) for policy in policies)
    first.step(BATCH, 0.0)
    with torch.no_grad():
        policies[1].logits.copy_(policies[0].logits)
    second.load_state_dict(first.state_dict())
    first.step(BATCH, 0.0)
    second.step(BATCH, 0.0)
    assert torch.equal(policies[0].logits, policies[1].logits)


def test_classes_are_found_by_name_and_by_reference():
    assert policy_optimizer_class("pg") is PolicyGradient
    assert policy_optimizer_class("dso.policy_optimizer.pg:PolicyGradient") is PolicyGradient


@pytest.mark.parametrize("name", ["pgg", "dso.batch:Batch", "dso.policy_optimizer.pg:Nothing"])
def test_what_is_no_policy_optimizer_is_refused(name):
    with pytest.raises(UserError, match=r"policy_optimizer\.policy_optimizer_type"):
        policy_optimizer_class(name)
