"""Train an anchor with PPO, or convert a model of Stable-Baselines3.

An anchor gives the actions that a control run does not learn. It is written as an .npz of plain
arrays, which holds no code. Needs the extra `control`.

    python scripts/train_anchor.py LunarLanderContinuous-v3 --out lander.npz
    python scripts/train_anchor.py --convert ppo_lander.zip --out lander.npz
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from dso.library import Library, create_tokens
from dso.program import ProgramBatch
from dso.task.control.anchor import NetworkAnchor, extract, load_sb3
from dso.task.control.composition import ANCHOR, Composition, Policies
from dso.task.control.environment import Environment
from dso.task.control.rollout import Rollouts

N_ENVS = 16
PPO: dict[str, Any] = {
    "n_steps": 1024,
    "batch_size": 64,
    "gae_lambda": 0.98,
    "gamma": 0.999,
    "n_epochs": 4,
    "ent_coef": 0.01,
}


def train(env_id: str, n_steps: int, seed: int, normalize: bool, out: Path) -> NetworkAnchor:
    """Train PPO and return its network."""
    import torch
    from stable_baselines3 import PPO as Algorithm
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    recipe = Environment(env_id).recipe
    envs: Any = make_vec_env(recipe.make, n_envs=N_ENVS, seed=seed)
    normalization = VecNormalize(envs, gamma=PPO["gamma"]) if normalize else None
    model = Algorithm("MlpPolicy", normalization or envs, seed=seed, device="cpu", **PPO)
    start = time.time()

    class Save(BaseCallback):
        """Write the network after each tenth of the training."""

        next_step = n_steps // 10

        def _on_step(self) -> bool:
            if self.num_timesteps >= self.next_step:
                self.next_step += n_steps // 10
                extract(model, normalization).save(out)
                returns = [episode["r"] for episode in model.ep_info_buffer or ()]
                print(
                    f"{self.num_timesteps} steps, {time.time() - start:.0f} s, "
                    f"mean return {np.mean(returns):.1f}",
                    flush=True,
                )
            return True

    model.learn(n_steps, callback=Save())
    return extract(model, normalization)


def test(anchor: NetworkAnchor, env_id: str, n_episodes: int) -> np.ndarray:
    """Return what the network itself gets in episodes of seeds 0, 1, ..."""
    environment = Environment(env_id)
    library = Library(create_tokens(environment.n_observations, ["add"]))
    composition = Composition.of(
        environment, library, sources=(ANCHOR,) * environment.n_actions, anchor=anchor
    )
    policies = Policies(composition, ProgramBatch.from_rows([[0]]))
    return Rollouts(environment)(policies, range(n_episodes))[0]


@click.command()
@click.argument("env_id", default="")
@click.option("--convert", "model", type=click.Path(exists=True, path_type=Path), help="A .zip.")
@click.option("--algorithm", default=None, help="Of the model to convert; default: as it says.")
@click.option("--steps", "n_steps", default=1_000_000, help="Of training.")
@click.option("--seed", default=0)
@click.option("--normalize", is_flag=True, help="Normalise observations and rewards in training.")
@click.option("--episodes", "n_episodes", default=100, help="Of the test at the end; 0: none.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
def main(
    env_id: str,
    model: Path | None,
    algorithm: str | None,
    n_steps: int,
    seed: int,
    normalize: bool,
    n_episodes: int,
    out: Path,
) -> None:
    """Train an anchor for ENV_ID, or convert a model."""
    logging.basicConfig(format="%(message)s")
    if model is not None:
        anchor = load_sb3(model, algorithm)
    elif env_id:
        anchor = train(env_id, n_steps, seed, normalize, out)
    else:
        raise click.UsageError("give an environment, or --convert and a model.")
    anchor.save(out)
    print(f"{out}: {anchor.n_observations} observations, {anchor.n_actions} actions")
    if env_id and n_episodes:
        returns = test(anchor, env_id, n_episodes)
        print(f"mean return of {n_episodes} episodes: {returns.mean():.1f} +- {returns.std():.1f}")


if __name__ == "__main__":
    main()
