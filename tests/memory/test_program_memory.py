"""The memory of the quantile: what it holds, and what each program weighs."""

import logging

import numpy as np
import pytest
import torch

from dso.library import Library, create_tokens
from dso.memory import ProgramMemory
from dso.policy import RNNPolicy
from dso.prior import make_joint_prior
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream

LIBRARY = Library(create_tokens(2, ["sin", "cos"]))
SIN, COS, X1, X2 = (LIBRARY.names.index(name) for name in ("sin", "cos", "x1", "x2"))


def make_policy():
    """Programs of two tokens: 3/4 begin with sin, 1/4 end with x1, each by itself."""
    prior = make_joint_prior({"length": {"on": True, "min_": 2, "max_": 2}}, LIBRARY, max_length=2)
    policy = RNNPolicy(LIBRARY, prior)
    with torch.no_grad():
        policy.parameters()[-1][0, [SIN, X2]] = float(np.log(3))
    return policy


def programs(*rows):
    return ProgramBatch.from_rows(rows)


def rows_of(memory):
    return [tuple(memory.programs.row(i).tolist()) for i in range(len(memory))]


def test_it_forgets_the_oldest_and_moves_what_comes_again_to_the_end():
    memory = ProgramMemory(make_policy(), 3)
    memory.push(programs([SIN, X1], [SIN, X2], [COS, X1]), np.array([0.1, 0.2, 0.3]))
    memory.push(programs([SIN, X1]), np.array([0.4]))
    assert rows_of(memory) == [(SIN, X2), (COS, X1), (SIN, X1)]
    assert memory.rewards.tolist() == [0.2, 0.3, 0.4]
    memory.push(programs([COS, X2], [COS, X2]), np.array([0.5, 0.6]))
    assert rows_of(memory) == [(COS, X1), (SIN, X1), (COS, X2)]
    assert memory.rewards.tolist() == [0.3, 0.4, 0.6]


def test_it_agrees_with_a_list_for_any_programs():
    random, memory, expected = np.random.default_rng(0), ProgramMemory(make_policy(), 5), {}
    for _ in range(50):
        rows = [random.integers(0, 4, random.integers(1, 3)).tolist() for _ in range(4)]
        rewards = random.random(4)
        memory.push(programs(*rows), rewards)
        for row, reward in zip(rows, rewards, strict=True):
            expected.pop(tuple(row), None)
            expected[tuple(row)] = reward
        expected = dict(list(expected.items())[-5:])
        assert dict(zip(rows_of(memory), memory.rewards, strict=True)) == expected
        assert rows_of(memory) == list(expected)


def test_what_is_remembered_weighs_its_probability_and_the_batch_shares_the_rest():
    memory = ProgramMemory(make_policy(), 10)
    memory.push(programs([SIN, X2], [COS, X1]), np.array([0.1, 0.9]))
    batch = programs([SIN, X2], [SIN, X1], [COS, X2], [SIN, X1])
    rewards, weights = memory.distribution(batch, np.array([0.1, 0.3, 0.4, 0.3]))
    assert rewards.tolist() == [0.1, 0.9, 0.3, 0.4]
    rest = 1 - 9 / 16 - 1 / 16
    np.testing.assert_allclose(weights, [9 / 16, 1 / 16, rest / 2, rest / 2], rtol=1e-5)


def test_where_all_is_remembered_the_weights_are_the_policy():
    memory, policy = ProgramMemory(make_policy(), 10), make_policy()
    every = programs([SIN, X1], [SIN, X2], [COS, X1], [COS, X2])
    memory.push(every, np.arange(4.0))
    rewards, weights = memory.distribution(every, np.arange(4.0))
    drawn = policy.sample(20_000, Stream(0, "test")).programs
    shares = [np.mean((drawn.tokens == row).all(axis=1)) for row in every.tokens]
    assert rewards.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(weights, shares, atol=0.015)
    np.testing.assert_allclose(weights, np.array([3, 9, 1, 3]) / 16, rtol=1e-5)


def test_an_empty_memory_leaves_the_distinct_rows_of_the_batch():
    memory = ProgramMemory(make_policy(), 10)
    batch = programs([SIN, X2], [SIN, X1], [SIN, X2])
    rewards, weights = memory.distribution(batch, np.array([0.1, 0.3, 0.1]))
    assert rewards.tolist() == [0.1, 0.3]
    assert weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("threshold", "n_warnings"), [(0.5, 1), (0.6, 0), (None, 0)])
def test_too_heavy_a_memory_is_reported_once(caplog, threshold, n_warnings):
    memory = ProgramMemory(make_policy(), 10, threshold)
    memory.push(programs([SIN, X2]), np.array([0.1]))
    with caplog.at_level(logging.WARNING, logger="dso"):
        for _ in range(3):
            memory.distribution(programs([SIN, X1]), np.array([0.1]))
    assert sum("memory_threshold" in m and "hold 0.56" in m for m in caplog.messages) == n_warnings
    assert len(caplog.messages) == n_warnings


def test_a_restored_memory_is_the_same():
    memory, restored = (ProgramMemory(make_policy(), 10, 0.0) for _ in range(2))
    memory.push(programs([SIN, X2], [COS, X1]), np.array([0.1, 0.9]))
    memory.distribution(programs([SIN, X1]), np.array([0.1]))
    restored.load_state_dict(memory.state_dict())
    assert rows_of(restored) == rows_of(memory)
    assert restored.rewards.tolist() == [0.1, 0.9]
    assert restored.state_dict()["is_told"]
