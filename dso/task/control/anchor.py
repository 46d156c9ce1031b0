"""Anchors: trained networks that give the actions that are not learned.

A network is kept as plain arrays in an ``.npz`` file, which holds no code. Models of
Stable-Baselines3 are pickles: reading one runs what is in it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError, unknown
from dso.native import _core
from dso.plugins import import_object, is_reference
from dso.task.control.composition import Anchor
from dso.task.control.environment import Environment

logger = logging.getLogger("dso")

WHERE = "task.anchor"
FORMAT = "dso network 1"
ALGORITHMS = ("a2c", "ppo", "sac", "td3", "ddpg")
NUMBERS = ("low", "high", "mean", "deviation")
OLD_ALGORITHMS = {"ppo2": "ppo"}


@dataclass(frozen=True)
class NetworkAnchor:
    """A multi-layer perceptron from observations to actions.

    Attributes
    ----------
    weights, biases : tuple of arrays
        Per layer (n_out, n_in) and (n_out,) float32.
    activation : {"tanh", "relu"}
        Between layers.
    is_squashed : bool
        Whether the last layer goes through tanh, and [-1, 1] is stretched to the bounds.
    low, high : (A,) float64
        Bounds of the actions.
    mean, deviation : (O,) float64
        Observations become ``clip((x - mean) / deviation, -limit, limit)``; empty for none of that.
    limit : float
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    activation: str
    is_squashed: bool
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    limit: float = 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "native"}

    @cached_property
    def native(self) -> _core.Perceptron:
        """The network in the native core."""
        return _core.Perceptron(
            weights=list(self.weights),
            biases=list(self.biases),
            activation=self.activation,
            squashed=self.is_squashed,
            low=self.low,
            high=self.high,
            mean=self.mean,
            deviation=self.deviation,
            limit=self.limit,
        )

    @property
    def n_observations(self) -> int:
        """Observations that it takes."""
        return self.weights[0].shape[1]

    @property
    def n_actions(self) -> int:
        """Actions that it gives."""
        return self.weights[-1].shape[0]

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Return the actions (N, A) for observations (N, O)."""
        return self.native.run(np.asarray(observations, dtype=np.float64))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays."""
        layers = {f"weight{i}": w for i, w in enumerate(self.weights)}
        layers |= {f"bias{i}": b for i, b in enumerate(self.biases)}
        return {
            "format": np.array(FORMAT),
            "activation": np.array(self.activation),
            "is_squashed": np.array(self.is_squashed),
            "low": self.low,
            "high": self.high,
            "mean": self.mean,
            "deviation": self.deviation,
            "limit": np.array(self.limit),
            **layers,
        }

    @staticmethod
    def from_arrays(arrays: Any) -> NetworkAnchor:
        """Rebuild from `arrays`."""
        n_layers = sum(name.startswith("weight") for name in arrays)
        return NetworkAnchor(
            tuple(np.asarray(arrays[f"weight{i}"], dtype=np.float32) for i in range(n_layers)),
            tuple(np.asarray(arrays[f"bias{i}"], dtype=np.float32) for i in range(n_layers)),
            str(arrays["activation"]),
            bool(arrays["is_squashed"]),
            **{name: np.asarray(arrays[name], np.float64) for name in NUMBERS},
            limit=float(arrays["limit"]),
        )

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file."""
        arrays: Any = self.arrays()
        np.savez_compressed(path, **arrays)

    @staticmethod
    def load(path: str | Path) -> NetworkAnchor:
        """Read what `save` wrote; nothing in the file is executed."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if str(arrays["format"]) != FORMAT:
                    raise KeyError("format")
                return NetworkAnchor.from_arrays(arrays)
        except (KeyError, ValueError, OSError) as error:
            raise UserError(
                f"{WHERE}: {str(path)!r} is not a network as scripts/train_anchor.py writes it "
                f"({error})."
            ) from None


def shipped_anchor(env_id: str) -> Path | None:
    """Return the file of the network that comes with dso for an environment."""
    path = Path(__file__).parent / "anchors" / f"{env_id.replace('/', '_')}.npz"
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
        return anchor
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
        return found  # type: ignore[return-value]
    else:
        path = Path(str(anchor)).expanduser()
        if not path.is_file():
            raise UserError(f"{WHERE}: no file {str(path)!r}.")
    loaded = NetworkAnchor.load(path) if path.suffix == ".npz" else load_sb3(path, algorithm)
    sizes = (loaded.n_observations, loaded.n_actions)
    if sizes != (environment.n_observations, environment.n_actions):
        raise UserError(
            f"{WHERE}: {str(path)!r} takes {sizes[0]} observations and gives {sizes[1]} actions; "
            f"{environment.recipe.id!r} has {environment.n_observations} and "
            f"{environment.n_actions}."
        )
    return loaded


def load_sb3(path: Path, algorithm: str | None = None) -> NetworkAnchor:
    """Load a model of Stable-Baselines3, with the statistics of its VecNormalize if they are near.

    These are looked for in ``<name>_vecnormalize.pkl`` and ``vecnormalize.pkl`` beside the model.

    Parameters
    ----------
    path : Path
        A ``.zip``. It is a pickle: reading it executes what is in it.
    algorithm : str, optional
        One of `ALGORITHMS`; None finds out.
    """
    try:
        import stable_baselines3
    except ModuleNotFoundError:
        raise UserError(
            f"{WHERE}: {str(path)!r} needs stable-baselines3: pip install "
            "'deep-symbolic-optimization[control]'. An .npz needs nothing."
        ) from None
    name = (algorithm or "").lower() or None
    name = OLD_ALGORITHMS.get(name or "", name)
    if name is not None and name not in ALGORITHMS:
        raise unknown("algorithm", algorithm, ALGORITHMS, "task.algorithm")
    logger.warning(
        "%s: reading %s executes code that is in it; scripts/train_anchor.py --convert makes an "
        ".npz of it, which holds none.",
        WHERE,
        path,
    )
    problems = []
    for candidate in (name,) if name else _by_file_name(path):
        try:
            model = getattr(stable_baselines3, candidate.upper()).load(path, device="cpu")
        except Exception as error:  # what a model of another algorithm raises is not specified
            problems.append(f"{candidate}: {error}")
            continue
        return extract(model, _normalization(path))
    raise UserError(f"{WHERE}: {str(path)!r} cannot be loaded ({'; '.join(problems)}).")


def _by_file_name(path: Path) -> list[str]:
    """Return the algorithms, those named in the file's name first."""
    return sorted(ALGORITHMS, key=lambda name: name not in path.stem.lower())


def _normalization(path: Path) -> Any:
    """Return the VecNormalize that lies beside a model, or None."""
    import pickle

    for name in (f"{path.stem}_vecnormalize.pkl", "vecnormalize.pkl"):
        beside = path.with_name(name)
        if beside.is_file():
            with beside.open("rb") as file:
                return pickle.load(file)
    return None


def extract(model: Any, normalization: Any = None) -> NetworkAnchor:
    """Take the network out of a model of Stable-Baselines3.

    Parameters
    ----------
    model : stable_baselines3.common.base_class.BaseAlgorithm
    normalization : stable_baselines3.common.vec_env.VecNormalize, optional
    """
    import torch

    policy = model.policy
    actor = getattr(policy, "actor", None)
    if actor is None:  # PPO, A2C
        layers = [*policy.mlp_extractor.policy_net, policy.action_net]
        is_squashed = bool(getattr(policy, "squash_output", False))
    elif hasattr(actor, "latent_pi"):  # SAC
        layers, is_squashed = [*actor.latent_pi, actor.mu], True
    else:  # TD3, DDPG
        layers, is_squashed = list(actor.mu), True
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    others = {type(layer).__name__ for layer in layers} - {"Linear", "Identity", "Flatten"}
    between = {"Tanh": "tanh", "ReLU": "relu"}
    names = [type(layer).__name__ for layer in layers[:-1] if type(layer).__name__ in between]
    if others - set(between) or len(set(names)) > 1:
        raise UserError(f"{WHERE}: a network with {', '.join(sorted(others))} is not supported.")
    space = model.action_space
    mean, deviation, limit = _statistics(normalization)
    return NetworkAnchor(
        tuple(layer.weight.detach().cpu().numpy() for layer in linear),
        tuple(layer.bias.detach().cpu().numpy() for layer in linear),
        between[names[0]] if names else "tanh",
        is_squashed,
        space.low.astype(np.float64),
        space.high.astype(np.float64),
        mean,
        deviation,
        limit,
    )


def _statistics(normalization: Any) -> tuple[np.ndarray, np.ndarray, float]:
    if normalization is None or not normalization.norm_obs:
        return np.empty(0), np.empty(0), 0.0
    statistics = normalization.obs_rms
    deviation = np.sqrt(statistics.var + normalization.epsilon)
    return statistics.mean, deviation, float(normalization.clip_obs)
