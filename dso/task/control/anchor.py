"""Anchors: trained networks that supply the actions that are not learned."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.plugins import import_object, is_reference
from dso.task.control.baselines import load_sb3
from dso.task.control.composition import Anchor
from dso.task.control.environment import Environment
from dso.task.control.network import WHERE, NetworkAnchor

logger = logging.getLogger("dso")


FOLDER = Path(__file__).parent / "anchors"


def shipped_anchors() -> list[Path]:
    """Return the files of the networks that come with dso."""
    return sorted(FOLDER.glob("*.npz"))


def shipped_anchor(env_id: str) -> Path | None:
    """Return the file of the network that comes with dso for an environment."""
    path = FOLDER / f"{env_id.replace('/', '_')}.npz"
    return path if path.is_file() else None


def make_anchor(environment: Environment, anchor: object, algorithm: str | None) -> Anchor:
    """Load the anchor of a config.

    Parameters
    ----------
    environment : Environment
    anchor : str, callable or None
        Path of an ``.npz`` or of a model of Stable-Baselines3, ``module:Name`` of a function from
        observations (N, O) to actions (N, A), such a function, or None for the one that comes with
        dso.
    algorithm : str or None
        Of a model of Stable-Baselines3; None tries all that it may be.

    Raises
    ------
    UserError
        If there is none, or it is for another environment.
    """
    if callable(anchor):
        return _checked(anchor, environment, getattr(anchor, "__name__", repr(anchor)))
    if anchor is None:
        path = shipped_anchor(environment.recipe.id)
        if path is None:
            raise UserError(
                f"{WHERE}: none comes with dso for {environment.recipe.id!r}; give the path of a "
                "trained model. scripts/train_anchor.py trains one."
            )
    elif is_reference(anchor):
        found = import_object(str(anchor), WHERE)
        if not callable(found):
            raise UserError(f"{WHERE}: {anchor!r} is not a function.")
        return _checked(found, environment, str(anchor))
    else:
        path = Path(str(anchor)).expanduser()
        if not path.is_file():
            raise UserError(f"{WHERE}: no file {str(path)!r}.")
    loaded = NetworkAnchor.load(path) if path.suffix == ".npz" else load_sb3(path, algorithm)
    _check_fit(loaded, environment, str(path))
    return loaded


def _checked(function: Any, environment: Environment, name: str) -> Anchor:
    """Return a function that gives whole actions, once it has given two."""
    n, n_actions = environment.n_observations, environment.n_actions
    rows = np.repeat(environment.env.reset(seed=0)[0][None], 2, axis=0).astype(np.float64)
    wanted = f"it is given observations (N, {n}), and returns actions (N, {n_actions})"
    try:
        actions = np.asarray(function(rows), dtype=np.float64)
    except Exception as error:  # of the user's code
        raise UserError(f"{WHERE}: {name!r} fails: {error!r}; {wanted}.") from error
    if actions.shape[:1] != (2,) or actions.size != 2 * n_actions:  # (N,) will do for one action
        shown = ", ".join(map(str, actions.shape))
        raise UserError(f"{WHERE}: {name!r} returns ({shown}) for 2 observations; {wanted}.")
    return function


def _check_fit(anchor: NetworkAnchor, environment: Environment, path: str) -> None:
    """Refuse an anchor for another environment; say so where only its name is another."""
    env_id, n_choices = environment.recipe.id, sum(environment.n_choices)
    trained = f" (it was trained for {anchor.env!r})" if anchor.env else ""
    sizes = (anchor.n_observations, anchor.n_actions)
    if sizes != (environment.n_observations, environment.n_actions):
        raise UserError(
            f"{WHERE}: {path!r} takes {sizes[0]} observations and gives {sizes[1]} actions"
            f"{trained}; {env_id!r} has {environment.n_observations} and {environment.n_actions}."
        )
    if anchor.n_choices != n_choices:
        given, wanted = (f"chooses among {n}" if n else "gives numbers"
                         for n in (anchor.n_choices, n_choices))  # fmt: skip
        raise UserError(f"{WHERE}: {path!r} {given}{trained}; {env_id!r}: {wanted}.")
    if anchor.env and anchor.env != env_id:
        logger.warning("%s: %s was trained for %s, and plays %s.", WHERE, path, anchor.env, env_id)
