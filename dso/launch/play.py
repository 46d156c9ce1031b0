"""Watching the policy that a run has found: episodes, a film of them, and a page about them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dso.errors import UserError
from dso.launch.jobs import summary_rows
from dso.report.policy_page import policy_page
from dso.task.control.anchor import make_anchor, shipped_anchor
from dso.task.control.composition import Anchor
from dso.task.control.environment import Environment, Recipe
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
    policy, recipe, folder = policy_of(run_folder)
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
        None if film is None else os.path.relpath(film, folder),
    )
    (folder / PAGE).write_text(text, encoding="utf-8")
    return played


def policy_of(run_folder: str | os.PathLike[str]) -> tuple[SymbolicPolicy, Recipe, Path]:
    """Return the policy of a run, its environment, and the folder that both are from."""
    path = Path(run_folder)
    file = path if path.is_file() else _best_policy(path)
    policy = SymbolicPolicy.load(file)
    kwargs = dict(_task_section(file.parent).get("env_kwargs") or {})
    return policy, Environment(policy.env_id, kwargs).recipe, file.parent


def anchor_of(folder: Path, recipe: Recipe) -> Anchor | None:
    """Return the anchor that a run's config names, or that comes with dso; None without one."""
    section = _task_section(folder)
    given = section.get("anchor")
    if given is None and shipped_anchor(recipe.id) is None:
        return None
    return make_anchor(Environment.of(recipe), given, section.get("algorithm"))


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
            rewards[str(row["seed"])] = float(str(row["r"]))
        except (KeyError, ValueError):
            continue

    def reward(name: str) -> float:
        seed = name.removesuffix("_policy.json").rpartition("_")[2]
        return rewards.get(seed, -float("inf"))

    return files[max(files, key=reward)]


def _task_section(folder: Path) -> dict[str, Any]:
    """Return the section of the run's config; empty where there is none."""
    try:
        section = json.loads((folder / "config.json").read_text(encoding="utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return section if isinstance(section, dict) else {}
