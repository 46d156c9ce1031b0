"""Watching the policy that a run has found: episodes, a film of them, and a page about them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dso.errors import UserError
from dso.launch.jobs import summary_rows
from dso.report.policy_page import policy_page
from dso.task.control.environment import Recipe, resolve
from dso.task.control.play import Played, has_display, play_policy
from dso.task.control.symbolic_policy import SymbolicPolicy

PAGE = "policy.html"


def play(
    run_folder: str | os.PathLike[str],
    episodes: int = 5,
    video: str | os.PathLike[str] | None = None,
    *,
    window: bool | None = None,
) -> Played:
    """Play episodes of the seeds 0, 1, ... with the policy that a run has found.

    A page about them, ``policy.html``, is written into the run folder.

    Parameters
    ----------
    run_folder : path
        Of a control run; of several runs in it, the best one is taken. Or the file of a policy.
    episodes : int
    video : path, optional
        The film to make of them, e.g. ``out.mp4``; no screen is needed.
    window : bool, optional
        Whether to show them in a window. None does where there is a screen and no film is made.

    Returns
    -------
    Played
        Returns, observations and actions.

    Raises
    ------
    UserError
        If there is no policy, or its environment cannot be made.
    """
    if episodes < 1:
        raise UserError(f"play: {episodes} episodes; at least one is needed.")
    path = Path(run_folder)
    file = path if path.is_file() else _best_policy(path)
    policy = SymbolicPolicy.load(file)
    recipe = Recipe(resolve(policy.env_id), _env_kwargs(file.parent))
    film = None if video is None else Path(video)
    in_window = film is None and (has_display() if window is None else window)
    played = play_policy(policy, recipe, range(episodes), film, in_window)
    text = policy_page(
        policy.env_id,
        policy.expressions,
        policy.names,
        played.returns,
        played.observations,
        played.actions,
        None if film is None else os.path.relpath(film, file.parent),
    )
    (file.parent / PAGE).write_text(text, encoding="utf-8")
    return played


def _best_policy(folder: Path) -> Path:
    """Return the policy of the run with the greatest reward."""
    files = {file.name: file for file in sorted(folder.glob("*_policy.json"))}
    if not files:
        raise UserError(
            f"play: {str(folder)!r} has no policy; a control run writes one when it ends."
        )
    rewards: dict[str, float] = {}
    for row in summary_rows(folder):
        try:
            rewards[str(row["seed"])] = float(row["r"])
        except (KeyError, ValueError):
            continue

    def reward(name: str) -> float:
        seed = name.removesuffix("_policy.json").rpartition("_")[2]
        return rewards.get(seed, -float("inf"))

    return files[max(files, key=reward)]


def _env_kwargs(folder: Path) -> dict[str, Any]:
    """Return the arguments of the environment that the run's config names."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return dict(config["task"]["env_kwargs"] or {})
    except (OSError, ValueError, KeyError, TypeError):
        return {}
