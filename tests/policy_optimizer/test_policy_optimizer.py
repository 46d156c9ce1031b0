"""The objective of the policy gradient, on a policy small enough to write down."""

import numpy as np
import pytest
import torch

from dso.errors import UserError
from dso.memory import PriorityQueue
from dso.policy_optimizer import make_policy_optimizer, policy_optimizer_class
from dso.policy_optimizer.pg import PolicyGradient
from dso.policy_optimizer.policy_optimizer import PolicyOptimizer
from dso.policy_optimizer.ppo import ProximalPolicyOptimization
from dso.policy_optimizer.pqt import PriorityQueueTraining
from tests.reference_memory import scored
from tests.support.scored import scored_batch


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


BATCH = scored_batch([[0, 1, 2], [3], [1, 1]], [0.9, 0.5, 2e6])


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
    batch = scored_batch(BATCH.programs, [1.0, 0.0, 0.0])
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


def test_the_entropy_of_pqt_is_that_of_the_batch():
    queue = PriorityQueue(1)
    queue.update(scored([[3, 2, 1]], [1.0]))
    kept = BATCH[np.array([1])]  # one token, so that another entropy is added up
    steps = [
        PolicyGradient(TablePolicy()).step(kept, 0.0),
        PriorityQueueTraining(TablePolicy(), pqt_batch_size=3).step(kept, 0.0, queue),
    ]
    assert steps[1]["entropy"] == pytest.approx(steps[0]["entropy"])
    assert steps[1]["loss"] != pytest.approx(steps[0]["loss"])


COMMON = {"learning_rate": 0.5, "entropy_weight": 0.0, "pqt_k": 7, "pqt_weight": 3.0, "seed": 4}


class StepOnly:
    """All that a policy optimiser of one's own needs."""

    def __init__(self, policy, strength, learning_rate=0.1):
        self.policy, self.strength, self.learning_rate = policy, strength, learning_rate

    def step(self, batch, baseline, queue):
        return {"loss": self.strength}


class TakesAll:
    def __init__(self, policy, **section):
        self.section = section

    def step(self, batch, baseline, queue):
        return {}


class LossOnly(PolicyOptimizer):
    """Imitates what is better than the baseline, however much better."""

    def loss(self, log_prob, entropy, rewards, baseline):
        return -log_prob[rewards > baseline].mean()


class LossWithKey(LossOnly):
    def __init__(self, policy, margin, **section):
        super().__init__(policy, **section)
        self.margin = margin


def reference(made):
    return f"{__name__}:{made.__name__}"


def test_classes_are_found_by_name_and_by_reference():
    assert policy_optimizer_class("pg") is PolicyGradient
    assert policy_optimizer_class("pqt") is PriorityQueueTraining
    assert policy_optimizer_class("ppo") is ProximalPolicyOptimization
    assert policy_optimizer_class("dso.policy_optimizer.pg:PolicyGradient") is PolicyGradient


def test_an_optimiser_gets_the_keys_of_its_section_that_it_takes():
    made = make_policy_optimizer("pqt", TablePolicy(), COMMON)
    assert (made.descent.learning_rate, made.pqt_weight) == (0.5, 3.0)
    assert make_policy_optimizer("ppo", TablePolicy(), COMMON).seed == 4
    own = make_policy_optimizer(reference(StepOnly), TablePolicy(), COMMON, {"strength": 2})
    assert (own.strength, own.learning_rate) == (2, 0.5)
    everything = make_policy_optimizer(reference(TakesAll), TablePolicy(), COMMON, {"mine": 1})
    assert everything.section == {**COMMON, "mine": 1}
    derived = make_policy_optimizer(reference(LossWithKey), TablePolicy(), COMMON, {"margin": 1})
    assert (derived.margin, derived.descent.learning_rate) == (1, 0.5)


def test_a_loss_is_all_that_a_subclass_needs():
    policy = TablePolicy()
    optimizer = make_policy_optimizer(reference(LossOnly), policy, COMMON)
    before = policy.log_prob_and_entropy(BATCH.programs)[0].sum(dim=1)
    optimizer.step(BATCH, baseline=0.7)
    after = policy.log_prob_and_entropy(BATCH.programs)[0].sum(dim=1)
    assert (after > before).tolist() == [True, False, True]


def test_a_class_may_come_from_a_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "class Mine:\n"
        "    def __init__(self, policy):\n        self.policy = policy\n"
        "    def step(self, batch, baseline, queue):\n        return {'loss': 0.0}\n"
    )
    policy = TablePolicy()
    assert make_policy_optimizer(f"{file}:Mine", policy, COMMON).policy is policy


@pytest.mark.parametrize(
    ("made", "own", "message"),
    [
        (StepOnly, {"strengh": 2}, "Did you mean 'strength'"),
        (StepOnly, {}, r"needs the key\(s\) strength"),
        (LossWithKey, {"margins": 2}, "Did you mean 'margin'"),
    ],
)
def test_wrong_keys_of_an_optimiser_of_ones_own_are_named(made, own, message):
    with pytest.raises(UserError, match=message):
        make_policy_optimizer(reference(made), TablePolicy(), COMMON, own)


@pytest.mark.parametrize(
    "name", ["pgg", "dso.program.batch:Batch", "dso.policy_optimizer.pg:Nothing"]
)
def test_what_is_not_a_policy_optimizer_is_refused(name):
    with pytest.raises(UserError, match=r"policy_optimizer\.policy_optimizer_type"):
        policy_optimizer_class(name)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda log_prob: -log_prob, r"Odd.loss returned shape \(3,\); expected a scalar"),
        (lambda log_prob: log_prob.mean() * float("nan"), "Odd.loss returned nan"),
        (lambda log_prob: 3.0, "Odd.loss returned 3.0; expected a scalar tensor"),
    ],
)
def test_a_loss_is_checked(loss, message):
    class Odd(PolicyOptimizer):
        def loss(self, log_prob, entropy, rewards, baseline):
            return loss(log_prob)

    batch = scored([[0, 1], [1, 2], [2, 2]], [1.0, 2.0, 3.0])
    with pytest.raises(UserError, match=message):
        Odd(TablePolicy()).step(batch, 1.0)
