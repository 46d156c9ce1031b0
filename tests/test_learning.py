"""Whole runs that must learn: the reward is 1 only where the first token is x1."""

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.library import Library, create_tokens
from dso.task import HierarchicalTask, Rewards

LIBRARY = Library(create_tokens(2, ["add", "sin"]))
X1 = LIBRARY.names.index("x1")


class FirstToken(HierarchicalTask):
    """Reward 1 for programs that begin with x1, else 0."""

    library = LIBRARY
    name = "first_token"

    def rewards(self, programs):
        n = len(programs)
        values = (programs.tokens[:, 0] == X1).astype(np.float64)
        return Rewards(values, np.zeros(n, np.uint8), np.full(n, -1, np.int32))

    def reward_function(self, program, optimizing=False):
        return float(program.tokens[0] == X1)

    def evaluate(self, program):
        return {}


def run(optimizer, training=None, n_iterations=15, **section):
    """Return the mean rewards of all iterations."""
    model = DeepSymbolicOptimizer(
        {
            "experiment": {"logdir": None, "seed": 1},
            "task": {"task_type": "tests.test_learning:FirstToken"},
            "training": {
                "batch_size": 100,
                "n_samples": 100 * n_iterations,
                "epsilon": None,
                "verbose": False,
                **(training or {}),
            },
            "policy": {"max_length": 8},
            "policy_optimizer": {
                "policy_optimizer_type": optimizer,
                "learning_rate": 0.02,
                **section,
            },
        }
    )
    model.setup()
    return [model.trainer.step().row["r_avg_full"] for _ in range(n_iterations)]


@pytest.mark.parametrize("baseline", ["ewma_R", "R_e", "ewma_R_e", "combined"])
@pytest.mark.parametrize(
    ("optimizer", "section"),
    [
        ("pg", {}),
        ("pqt", {"pqt_weight": 1.0}),
        ("pqt", {"pqt_weight": 1.0, "pqt_use_pg": True}),
        ("ppo", {}),
    ],
    ids=["pg", "pqt", "pqt+pg", "ppo"],
)
def test_every_optimiser_learns_with_every_baseline(optimizer, section, baseline):
    rewards = run(optimizer, {"baseline": baseline}, **section)
    assert rewards[0] < 0.5
    assert np.mean(rewards[-3:]) > 0.9
