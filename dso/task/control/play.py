"""Playing episodes of a finished policy, and watching them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.task.control.environment import Environment, Recipe
from dso.task.control.symbolic_policy import SymbolicPolicy

FRAMES_PER_SECOND = 30
"""Of environments that do not say how fast they run."""
FILM_NEEDS = "pip install 'deep-symbolic-optimization[control]'"


@dataclass(frozen=True)
class Played:
    """What a policy did in E episodes of N steps altogether.

    Attributes
    ----------
    returns : (E,) float64
    observations : (N, O) float64
        What it saw.
    actions : (N, A) float64
        What it did then.
    anchor_returns : (E,) float64, optional
        What the anchor got in the same episodes.
    """

    returns: np.ndarray
    observations: np.ndarray
    actions: np.ndarray
    anchor_returns: np.ndarray | None = None


def has_display() -> bool:
    """Tell whether there is a screen to show a window on."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def play_policy(
    policy: SymbolicPolicy,
    recipe: Recipe,
    seeds: Sequence[int],
    film: Path | None = None,
    in_window: bool = False,
) -> Played:
    """Let a policy play an episode from each seed, one after the other.

    Parameters
    ----------
    policy : SymbolicPolicy
    recipe : Recipe
        Of the environment.
    seeds : sequence of int
    film : Path, optional
        A file for all episodes, of a kind that its ending names: ``.mp4``, ``.gif``.
    in_window : bool
        Whether to show them; not together with `film`.

    Raises
    ------
    UserError
        If the policy is of another environment, or there is nothing to make a film with.
    """
    mode = "rgb_array" if film is not None else "human" if in_window else None
    if mode is not None:
        _prepare_rendering()
        recipe = replace(recipe, kwargs={**recipe.kwargs, "render_mode": mode})
    environment = Environment(recipe.id, recipe.kwargs)
    n, wanted = policy.composition.n_observations, environment.n_observations
    if n != wanted:
        raise UserError(f"play: the policy takes {n} observations, {recipe.id!r} gives {wanted}.")
    writer = None if film is None else _film_writer(film, environment.env)
    try:
        return _play(policy, environment.env, seeds, writer)
    finally:
        environment.env.close()
        if writer is not None:
            writer.close()


def _play(policy: SymbolicPolicy, env: Any, seeds: Sequence[int], writer: Any) -> Played:
    returns: list[float] = []
    observations, actions = [], []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, is_over = 0.0, False
        while not is_over:
            if writer is not None:
                writer.append_data(np.asarray(env.render(), dtype=np.uint8))
            action, _ = policy.predict(observation)
            observations.append(np.asarray(observation, dtype=np.float64))
            actions.append(np.atleast_1d(np.asarray(action, dtype=np.float64)))
            observation, reward, terminated, truncated, _ = env.step(action)
            total, is_over = total + float(reward), terminated or truncated
        returns.append(total)
    return Played(np.array(returns), np.array(observations), np.array(actions))


def _prepare_rendering() -> None:
    """Let libraries render without a screen where there is none."""
    if not has_display():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("MUJOCO_GL", "egl")


def _film_writer(film: Path, env: Any) -> Any:
    """Return what takes one frame after the other."""
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg  # noqa: F401, what writes films
    except ModuleNotFoundError as missing:
        raise UserError(f"play: a film needs {missing.name}: {FILM_NEEDS}.") from None
    fps = int(env.metadata.get("render_fps") or FRAMES_PER_SECOND)
    film.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {} if film.suffix == ".gif" else {"macro_block_size": 2}
    try:
        return imageio.get_writer(film, fps=fps, **options)
    except (ValueError, OSError) as error:
        raise UserError(f"play: {str(film)!r} cannot be written: {error}.") from None
