"""The example configs for control run, with a small budget."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.config import load_config
from dso.config.files import shipped_configs
from dso.errors import UserError
from dso.launch.jobs import Job, is_staged
from dso.launch.stages import run_stages
from dso.task.control.anchor import shipped_anchor

EXAMPLES = [path for path in shipped_configs() if path.parent.name == "control"]
WITHOUT_ANCHOR = {"Hopper"}

SLOW = ("Bullet", "Lander", "Walker")
"""Environments of many slow steps."""


def small(path: Path) -> dict:
    """Return an example that plays few episodes."""
    config = load_config(path)
    config["experiment"]["logdir"] = None
    config["training"].update(n_samples=40, batch_size=20, verbose=False)
    config["gp_meld"].update(generations=1, population_size=20, train_n=5, n_islands=1)
    config["task"].update(
        n_episodes_train=1, n_episodes_test=1, n_episodes_validation=1, n_validated=2
    )
    config["task"]["stages"].update(
        sweeps=0, distill_episodes=1, distill_rounds=0, distill_samples=0, joint_candidates=12,
        joint_episodes=1,
    )  # fmt: skip
    config["task"]["refine_rounds"] = 1
    if any(name in path.stem for name in SLOW):
        config["task"]["env_kwargs"]["max_episode_steps"] = 20
        config["training"].update(n_samples=20, batch_size=10)
    return config


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path) -> None:
    if "Bullet" in path.stem:
        pytest.importorskip("pybullet_envs_gymnasium", reason="needs the extra 'bullet'")
    config = small(path)
    if is_staged(config):
        config["experiment"]["seed"] = 0
        assert np.isfinite(run_stages(Job(0, config)).result["r_avg_test"])
        return
    model = DeepSymbolicOptimizer(config)
    if path.stem in WITHOUT_ANCHOR:
        with pytest.raises(UserError, match="none comes with dso"):
            model.train()
        return
    result = model.train()
    assert result["n_samples"] >= config["training"]["n_samples"]
    assert np.isfinite(result["r_avg_test"])


def test_all_examples_are_found() -> None:
    assert len(EXAMPLES) >= 10


def test_actions_are_found_one_by_one_by_configs_of_the_original() -> None:
    """PyBullet's hopper: each config has the formulas of the ones before, and the next null."""
    pytest.importorskip("pybullet_envs_gymnasium", reason="needs the extra 'bullet'")
    spec: list[Any] = ["anchor"] * 3
    for action in range(3):
        spec[action] = None
        config = load_config(
            {
                "task": {
                    "task_type": "control",
                    "name": "HopperBulletEnv-v0",
                    "function_set": ["add", "sub", "mul", "div", "sin", "cos", 1.0, 5.0, 10.0],
                    "action_spec": spec,
                    "anchor": str(shipped_anchor("HopperBulletEnv-v0")),
                },
                "experiment": {"logdir": None, "seed": 0},
            }
        )
        config["training"].update(n_samples=8, batch_size=8, verbose=False)
        config["gp_meld"]["run_gp_meld"] = False
        config["task"].update(n_episodes_train=1, n_episodes_test=1, n_episodes_validation=0)
        config["task"]["env_kwargs"] = {"max_episode_steps": 40}
        model = DeepSymbolicOptimizer(config)
        result = model.train()
        assert model.task.name == f"HopperBulletEnv-v0_a{action}"
        spec[action] = result["traversal"].split(",")
    assert result["r_avg_test"] > 0
