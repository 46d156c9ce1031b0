"""The short update rules equal torch.optim."""

import pytest
import torch

from dso.policy_optimizer.gradient_descent import RULES, GradientDescent

TORCH = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}


def parameters():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (4,)]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]


def loss_of(matrix, vector, step):
    return ((matrix @ vector - step) ** 2).sum() + (vector**4).sum()


@pytest.mark.parametrize("rule", RULES)
def test_twenty_steps_equal_torch_optim(rule):
    ours, theirs = parameters(), parameters()
    descent = GradientDescent(rule, ours, 0.01)
    optimizer = TORCH[rule](theirs, lr=0.01)
    for step in range(20):
        descent.step(loss_of(*ours, step))
        optimizer.zero_grad()
        loss_of(*theirs, step).backward()
        optimizer.step()
    for our, their, start in zip(ours, theirs, parameters(), strict=True):
        torch.testing.assert_close(our, their, rtol=1e-12, atol=1e-14)
        assert not torch.equal(our, start)


@pytest.mark.parametrize("rule", RULES)
def test_a_restored_state_goes_on_as_if_never_interrupted(rule):
    ours = parameters()
    first = GradientDescent(rule, ours, 0.01)
    first.step(loss_of(*ours, 0))
    copies = [parameter.detach().clone().requires_grad_() for parameter in ours]
    second = GradientDescent(rule, copies, 0.01)
    second.load_state_dict(first.state_dict())
    first.step(loss_of(*ours, 1))
    second.step(loss_of(*copies, 1))
    for our, copy in zip(ours, copies, strict=True):
        assert torch.equal(our, copy)


def test_a_state_of_another_rule_is_refused():
    state = GradientDescent("sgd", parameters(), 0.1).state_dict()
    with pytest.raises(ValueError, match="'sgd'"):
        GradientDescent("adam", parameters(), 0.1).load_state_dict(state)


@pytest.mark.parametrize("rule", RULES)
def test_frozen_and_unused_parameters_stay(rule):
    used, frozen, unused = (torch.ones(2, requires_grad=True) for _ in range(3))
    frozen.requires_grad_(False)
    descent = GradientDescent(rule, [frozen, unused, used], 0.1)
    descent.step((used * frozen).sum())
    assert torch.equal(frozen, torch.ones(2))
    assert torch.equal(unused, torch.ones(2))
    assert (used < 1).all()


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="adam, rmsprop, sgd"):
        GradientDescent("lion", parameters(), 0.1)
