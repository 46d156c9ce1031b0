"""Reading the networks of models of Stable-Baselines3 and sb3-contrib.

They are pickles: reading one runs what is in it.
"""

from __future__ import annotations

import importlib
import logging
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError, unknown
from dso.task.control.network import WHERE, NetworkAnchor

logger = logging.getLogger("dso")

ALGORITHMS = {
    **dict.fromkeys(("a2c", "ppo", "sac", "td3", "ddpg", "dqn"), "stable_baselines3"),
    **dict.fromkeys(("tqc", "trpo"), "sb3_contrib"),
}
"""Names of algorithms, and the package that each is in."""
OLD_ALGORITHMS = {"ppo2": "ppo"}
NO_LIMIT = 1e300
"""Of normalised observations."""
Arrays = tuple[np.ndarray, ...]
GYM_MODULES = ("", ".spaces", ".spaces.box", ".spaces.discrete", ".spaces.space", ".core")
"""Those of gymnasium that models of the time before name under gym."""


def load_sb3(path: Path, algorithm: str | None = None) -> NetworkAnchor:
    """Load a model, with the statistics of its VecNormalize if they are near.

    These are looked for in ``<name>_vecnormalize.pkl`` and ``vecnormalize.pkl`` next to the model.

    Parameters
    ----------
    path : Path
        A ``.zip``. It is a pickle: reading it executes what is in it.
    algorithm : str, optional
        One of `ALGORITHMS`; None finds out.
    """
    name = (algorithm or "").lower() or None
    name = OLD_ALGORITHMS.get(name or "", name)
    if name is not None and name not in ALGORITHMS:
        raise unknown("algorithm", algorithm, ALGORITHMS, "task.algorithm")
    candidates = [name] if name else _by_file_name(path)
    found = {one: _class_of(one, path) for one in candidates}
    logger.warning(
        "%s: reading %s executes code that is in it; scripts/train_anchor.py --convert makes an "
        ".npz of it, which holds none.",
        WHERE,
        path,
    )
    problems = []
    for candidate, made in found.items():
        if made is None:
            problems.append(f"{candidate}: sb3-contrib is not installed")
            continue
        try:
            with _gym_as_gymnasium():
                model = made.load(path, device="cpu", custom_objects=_NO_SCHEDULES)
        except Exception as error:  # what a model of another algorithm raises is not specified
            problems.append(f"{candidate}: {error}")
            continue
        return extract(model, _normalization(path))
    raise UserError(f"{WHERE}: {str(path)!r} cannot be loaded ({'; '.join(problems)}).")


_NO_SCHEDULES = {"lr_schedule": None, "clip_range": None, "learning_rate": 0.0}
"""Of training, which other versions of Python cannot read."""


def _class_of(name: str, path: Path) -> Any:
    """Return the class of an algorithm; None where its package may be missing."""
    package = ALGORITHMS[name]
    try:
        return getattr(importlib.import_module(package), name.upper())
    except ModuleNotFoundError:
        if package == "sb3_contrib":
            return None
        raise UserError(
            f"{WHERE}: {str(path)!r} needs stable-baselines3: pip install "
            "'deep-symbolic-optimization[control]'. An .npz needs nothing."
        ) from None


def _by_file_name(path: Path) -> list[str]:
    """Return the algorithms, those named in the file's name first."""
    return sorted(ALGORITHMS, key=lambda name: name not in path.stem.lower())


@contextmanager
def _gym_as_gymnasium() -> Iterator[None]:
    """Let pickles that name gym be read with gymnasium, where gym is not installed."""
    names = [name for name in GYM_MODULES if f"gym{name}" not in sys.modules]
    added = {f"gym{name}": importlib.import_module(f"gymnasium{name}") for name in names}
    sys.modules.update(added)
    try:
        yield
    finally:
        for name in added:
            sys.modules.pop(name, None)


def _normalization(path: Path) -> Any:
    """Return the VecNormalize next to a model, or None."""
    for name in (f"{path.stem}_vecnormalize.pkl", "vecnormalize.pkl"):
        beside = path.with_name(name)
        if beside.is_file():
            try:
                with _gym_as_gymnasium(), beside.open("rb") as file:
                    return pickle.load(file)
            except Exception as error:  # as for models
                raise UserError(f"{WHERE}: {str(beside)!r} cannot be loaded ({error}).") from None
    return None


def extract(model: Any, normalization: Any = None) -> NetworkAnchor:
    """Take the network out of a model, and its critic.

    Parameters
    ----------
    model : stable_baselines3.common.base_class.BaseAlgorithm
    normalization : stable_baselines3.common.vec_env.VecNormalize, optional
    """
    layers, head = _layers(model.policy)
    z_limit = 0.0
    if type(layers[-1]).__name__ == "Hardtanh":  # state-dependent exploration
        z_limit = float(layers.pop().max_val)
    if type(layers[-1]).__name__ == "Tanh":
        layers.pop()
    space = model.action_space
    if hasattr(space, "n"):
        head, low, high = "choice", np.empty(0), np.empty(0)
    elif hasattr(space, "low"):
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    else:
        raise UserError(f"{WHERE}: a model with actions {space} is not supported.")
    weights, biases, activation = _perceptron(layers)
    mean, deviation, limit = _statistics(normalization)
    anchor = NetworkAnchor(
        weights,
        biases,
        activation,
        head,
        low,
        high,
        mean,
        deviation,
        limit,
        z_limit,
    )
    return replace(anchor, critic=_critic(model, anchor))


def _layers(policy: Any) -> tuple[list[Any], str]:
    """Return the layers from observations to actions, one after the other, and the head."""
    actor = getattr(policy, "actor", None)
    if hasattr(policy, "q_net"):  # DQN
        return list(policy.q_net.q_net), "choice"
    if actor is None:  # PPO, A2C, TRPO
        is_squashed = bool(getattr(policy, "squash_output", False))
        layers = [*policy.mlp_extractor.policy_net, policy.action_net]
        return layers, "squashed" if is_squashed else "linear"
    if hasattr(actor, "latent_pi"):  # SAC, TQC
        last = list(actor.mu) if hasattr(actor.mu, "__iter__") else [actor.mu]
        return [*actor.latent_pi, *last], "squashed"
    return list(actor.mu), "squashed"  # TD3, DDPG


def _perceptron(layers: Sequence[Any]) -> tuple[Arrays, Arrays, str]:
    """Return weights, biases and activation of layers that are a multi-layer perceptron."""
    import torch

    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    others = {type(layer).__name__ for layer in layers} - {"Linear", "Identity", "Flatten"}
    between = {"Tanh": "tanh", "ReLU": "relu"}
    names = [type(layer).__name__ for layer in layers if type(layer).__name__ in between]
    if others - set(between) or len(set(names)) > 1:
        raise UserError(f"{WHERE}: a network with {', '.join(sorted(others))} is not supported.")
    return (
        tuple(layer.weight.detach().cpu().numpy() for layer in linear),
        tuple(layer.bias.detach().cpu().numpy() for layer in linear),
        between[names[0]] if names else "tanh",
    )


def _critic(model: Any, anchor: NetworkAnchor) -> NetworkAnchor | None:
    """Return what says how good actions are: SAC, TD3, DDPG and TQC have it.

    Of several critics it is the first, and of TQC's quantiles the mean.
    """
    networks = getattr(getattr(model, "critic", None), "q_networks", None)
    if not networks:
        return None
    weights, biases, activation = _perceptron(networks[0])
    n_inputs = anchor.n_observations + anchor.n_actions
    if weights[0].shape[1] != n_inputs:  # there are features before it
        return None
    n = anchor.n_observations
    none = not len(anchor.mean)
    mean, deviation = (np.zeros(n), np.ones(n)) if none else (anchor.mean, anchor.deviation)
    return NetworkAnchor(
        (*weights[:-1], weights[-1].mean(axis=0, keepdims=True)),
        (*biases[:-1], biases[-1].mean(axis=0, keepdims=True)),
        activation,
        "linear",
        np.empty(0),
        np.empty(0),
        np.append(mean, (anchor.low + anchor.high) / 2),
        np.append(deviation, (anchor.high - anchor.low) / 2),
        limit=NO_LIMIT if none else anchor.limit,
    )


def _statistics(normalization: Any) -> tuple[np.ndarray, np.ndarray, float]:
    if normalization is None or not normalization.norm_obs:
        return np.empty(0), np.empty(0), 0.0
    statistics = normalization.obs_rms
    deviation = np.sqrt(statistics.var + normalization.epsilon)
    return statistics.mean, deviation, float(normalization.clip_obs)
