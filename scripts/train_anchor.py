"""Train an anchor with PPO, or convert a model of Stable-Baselines3.

An anchor gives the actions that a control run does not learn. It is written as an .npz of plain
arrays, which holds no code. Needs the extra `control`.

    python scripts/train_anchor.py LunarLanderContinuous-v3 --out lander.npz
    python scripts/train_anchor.py --convert ppo_lander.zip --out lander.npz

Training writes its state into a folder next to the .npz, and continues where it was stopped.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from dso.library import Library, create_tokens
from dso.program import ProgramBatch
from dso.task.control.baselines import extract, load_sb3
from dso.task.control.composition import ANCHOR, Composition, Policies
from dso.task.control.environment import Environment
from dso.task.control.network import NetworkAnchor
from dso.task.control.rollout import Rollouts

N_ENVS = 16
DEFAULTS: dict[str, Any] = {
    "steps": 1_000_000,
    "normalize": False,
    "linear": False,
    "ppo": {
        "n_steps": 1024,
        "batch_size": 64,
        "gae_lambda": 0.98,
        "gamma": 0.999,
        "n_epochs": 4,
        "ent_coef": 0.01,
    },
}
"""What `SETTINGS` does not say of an environment; tuned for the lander."""

WALKING: dict[str, Any] = {
    "n_steps": 512,
    "batch_size": 256,
    "gae_lambda": 0.92,
    "gamma": 0.99,
    "n_epochs": 10,
    "ent_coef": 0.0,
    "clip_range": 0.3,
    "use_sde": True,
    "sde_sample_freq": 4,
    "policy_kwargs": {"log_std_init": -1.5, "ortho_init": False},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "HopperBulletEnv-v0": {"steps": 2_000_000, "normalize": True, "linear": True, "ppo": WALKING},
    "InvertedDoublePendulumBulletEnv-v0": {
        "steps": 400_000,
        "normalize": True,
        "ppo": {
            "n_steps": 512,
            "batch_size": 256,
            "gae_lambda": 0.95,
            "gamma": 0.99,
            "n_epochs": 10,
        },
    },
    "BipedalWalker-v3": {
        "steps": 3_000_000,
        "normalize": True,
        "linear": True,
        "ppo": {
            "n_steps": 1024,
            "batch_size": 256,
            "gae_lambda": 0.95,
            "gamma": 0.999,
            "n_epochs": 10,
            "clip_range": 0.18,
        },
    },
}
"""Per environment what differs: the steps of training, whether observations and rewards are
normalised, whether actions are straight lines, and the arguments of PPO."""
LINEAR = {"pi": [], "vf": [64, 64]}
"""Layers of policy and critic where actions are straight lines in the observations."""
N_PARTS = 50
TEST_SEEDS = range(3_000_000_000, 3_000_000_020)
"""Of the episodes that choose the best network after each part of the training."""


def returns_of(anchor: NetworkAnchor, environment: Environment, seeds: range) -> np.ndarray:
    """Return what the network itself gets in the episodes of some seeds."""
    library = Library(create_tokens(environment.n_observations, ["add"]))
    composition = Composition.of(
        environment, library, sources=(ANCHOR,) * environment.n_actions, anchor=anchor
    )
    policies = Policies(composition=composition, programs=ProgramBatch.from_rows([[0]]))
    return Rollouts(environment)(policies, seeds)[0]


def train(env_id: str, settings: dict[str, Any], seed: int, out: Path) -> None:
    """Train PPO, and keep the network that did best in the test episodes of its part."""
    import torch
    from stable_baselines3 import PPO as Algorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    environment = Environment(env_id)
    n_steps, is_linear, ppo = settings["steps"], settings["linear"], dict(settings["ppo"])
    if is_linear:
        ppo["policy_kwargs"] = {**ppo.get("policy_kwargs", {}), "net_arch": LINEAR}
    state = out.with_suffix("")
    state.mkdir(parents=True, exist_ok=True)
    saved, statistics, best_mean = state / "model.zip", state / "statistics.pkl", state / "best.txt"
    envs: Any = make_vec_env(environment.recipe.make, n_envs=N_ENVS, seed=seed)
    normalization: Any = None
    if settings["normalize"] and statistics.exists():
        envs = normalization = VecNormalize.load(str(statistics), envs)
    elif settings["normalize"]:
        envs = normalization = VecNormalize(envs, gamma=ppo["gamma"])
    if saved.exists():
        model = Algorithm.load(saved, env=envs, device="cpu")
        if (len(model.policy.mlp_extractor.policy_net) == 0) != is_linear:
            kind = "layers" if is_linear else "straight lines"
            raise click.UsageError(f"{saved} has {kind}: say so, or name another file.")
    else:
        model = Algorithm("MlpPolicy", envs, **ppo, learning_rate=rate, seed=seed, device="cpu")

    class Save(BaseCallback):
        """Test and write the network, and what training needs to go on, after each part."""

        next_step = model.num_timesteps + n_steps // N_PARTS
        best = float(best_mean.read_text()) if best_mean.exists() else -np.inf
        start = time.process_time()

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if self.num_timesteps >= self.next_step:
                self.next_step += n_steps // N_PARTS
                self.save()

        def _on_training_end(self) -> None:
            self.save()

        def save(self) -> None:
            network = extract(model, normalization)
            mean = float(returns_of(network, environment, TEST_SEEDS).mean())
            if mean > self.best:
                self.best = mean
                replace(out, network.save)
                replace(state / "best.zip", model.save)
                replace(best_mean, lambda path: path.write_text(repr(mean)))
            if normalization is not None:
                replace(statistics, lambda path: normalization.save(str(path)))
            replace(saved, model.save)
            recent = [episode["r"] for episode in model.ep_info_buffer or ()]
            print(
                f"{self.num_timesteps} steps, {time.process_time() - self.start:.0f} CPU-seconds, "
                f"training {np.mean(recent):.1f}, test {mean:.1f}, best {self.best:.1f}",
                flush=True,
            )

    if model.num_timesteps < n_steps:
        model.learn(
            n_steps - model.num_timesteps, callback=Save(), reset_num_timesteps=not saved.exists()
        )


def rate(remaining: float) -> float:
    """Return the learning rate where this share of the training remains."""
    return 3e-4 * max(remaining, 0.05)


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it is never there by half."""
    partial = path.with_name(f"partial_{path.name}")
    write(partial)
    os.replace(partial, path)


@click.command()
@click.argument("env_id", default="")
@click.option("--convert", "model", type=click.Path(exists=True, path_type=Path), help="A .zip.")
@click.option("--algorithm", default=None, help="Of the model to convert; default: as it says.")
@click.option("--steps", "n_steps", default=None, type=int, help="Of training.")
@click.option("--seed", default=0)
@click.option("--normalize/--raw", default=None, help="Normalise observations and rewards.")
@click.option(
    "--linear/--layers", default=None, help="Straight lines in the observations, or a network."
)
@click.option("--episodes", "n_episodes", default=100, help="Of the test at the end; 0: none.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
def main(
    env_id: str,
    model: Path | None,
    algorithm: str | None,
    n_steps: int | None,
    seed: int,
    normalize: bool | None,
    linear: bool | None,
    n_episodes: int,
    out: Path,
) -> None:
    """Train an anchor for ENV_ID, or convert a model."""
    logging.basicConfig(format="%(message)s")
    if model is not None:
        load_sb3(model, algorithm).save(out)
    elif env_id:
        given = {"steps": n_steps, "normalize": normalize, "linear": linear}
        chosen = {name: value for name, value in given.items() if value is not None}
        train(env_id, {**DEFAULTS, **SETTINGS.get(env_id, {}), **chosen}, seed, out)
    else:
        raise click.UsageError("give an environment, or --convert and a model.")
    anchor = NetworkAnchor.load(out)
    print(f"{out}: {anchor.n_observations} observations, {anchor.n_actions} actions")
    if env_id and n_episodes:
        environment = Environment(env_id)
        returns = returns_of(anchor, environment, range(n_episodes))
        test = (float(returns.mean()), float(returns.std()), float(n_episodes))
        dataclasses.replace(anchor, env=environment.recipe.id, test=test).save(out)
        print(f"mean return of {n_episodes} episodes: {returns.mean():.1f} +- {returns.std():.1f}")


if __name__ == "__main__":
    main()
