"""Watching the policy of a run: episodes, a film of them, and a page about them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from dso.errors import UserError
from dso.report.policy_data import describe_policy
from dso.report.policy_page import policy_page
from dso.runs.policies import policy_file
from dso.task.control.anchor import make_anchor, shipped_anchor
from dso.task.control.composition import Anchor
from dso.task.control.environment import Environment, Recipe
from dso.task.control.play import Played, has_display, play_policy
from dso.task.control.rollout import Rollouts
from dso.task.control.symbolic_policy import SymbolicPolicy

PAGE = "policy.html"


def play(
    run_folder: str | os.PathLike[str],
    episodes: int = 5,
    video: str | os.PathLike[str] | None = None,
    *,
    window: bool | None = None,
    seed: int | None = None,
    anchor: bool = False,
) -> Played:
    """Play episodes of the seeds 0, 1, ... with the policy that a run has found.

    A page about them, ``policy.html``, is written into the run folder.

    Parameters
    ----------
    run_folder : path
        Of a control run. Or the file of a policy.
    episodes : int
    video : path, optional
        The film to make of them, e.g. ``out.mp4``; it needs no screen.
    window : bool, optional
        Whether to show them in a window. None does where there is a screen and no film is made.
    seed : int, optional
        Which of several runs in the folder; default: the best.
    anchor : bool
        Whether the anchor plays the same episodes.

    Returns
    -------
    Played
        Returns, observations and actions.

    Raises
    ------
    UserError
        If the policy, its anchor or the environment is missing.
    """
    if episodes < 1:
        raise UserError(f"play: {episodes} episodes; at least one is needed.")
    policy, recipe, folder = policy_of(run_folder, seed)
    seeds = range(episodes)
    rival = _needed_anchor(folder, recipe) if anchor else None
    film = None if video is None else Path(video)
    in_window = film is None and (has_display() if window is None else window)
    played = play_policy(policy, recipe, seeds, film, in_window)
    if rival is not None:
        rollouts = Rollouts(Environment.of(recipe))
        try:
            returns = rollouts(policy.of_anchor(rival).policies, seeds)[0]
        finally:
            rollouts.close()
        played = replace(played, anchor_returns=returns)
    shown = None if film is None else os.path.relpath(film, folder)
    text = policy_page(describe_policy(policy, played), shown)
    (folder / PAGE).write_text(text, encoding="utf-8")
    return played


def policy_of(
    run_folder: str | os.PathLike[str], seed: int | None = None
) -> tuple[SymbolicPolicy, Recipe, Path]:
    """Return the policy of a run, its environment, and the folder that both are from."""
    path = Path(run_folder)
    file = path if path.is_file() else policy_file(path, seed)
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


def _needed_anchor(folder: Path, recipe: Recipe) -> Anchor:
    """Return the anchor of a run; without one there is an error that says where one comes from."""
    found = anchor_of(folder, recipe)
    return found if found is not None else make_anchor(Environment.of(recipe), None, None)


def _task_section(folder: Path) -> dict[str, Any]:
    """Return the section of the run's config; empty where there is none."""
    try:
        section = json.loads((folder / "config.json").read_text(encoding="utf-8"))["task"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return section if isinstance(section, dict) else {}
