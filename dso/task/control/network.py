"""A trained network as plain arrays, in an ``.npz`` file that holds no code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.native import _core

WHERE = "task.anchor"
FORMAT = "dso network 2"
OLD_FORMAT = "dso network 1"
CRITIC = "critic_"
"""What the names of a critic's arrays begin with."""
HEADS = ("linear", "squashed", "choice")


@dataclass(frozen=True)
class NetworkAnchor:
    """A multi-layer perceptron from observations to actions.

    Attributes
    ----------
    weights, biases : tuple of arrays
        Per layer (n_out, n_in) and (n_out,) float32.
    activation : {"tanh", "relu"}
        Between layers.
    head : {"linear", "squashed", "choice"}
        What becomes of the last layer z. Squashed: ``low + (tanh(z) + 1) / 2 * (high - low)``.
        Choice: one discrete action, the place of the greatest.
    low, high : (A,) float64
        Bounds of the actions; empty for a choice.
    mean, deviation : (O,) float64
        Observations become ``clip((x - mean) / deviation, -limit, limit)``; empty for none of that.
    limit : float
    z_limit : float
        To which a squashed z is bounded before; 0: to none.
    env : str
        The environment that it was trained for; empty where that is not known.
    test : tuple of float
        Mean and deviation of its returns there, and the number of episodes; empty where unknown.
    critic : NetworkAnchor or None
        What actions are worth, if that is known: from observations and actions, next to each other
        (N, O + A), to one value (N, 1).
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    activation: str
    head: str
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    limit: float = 0.0
    z_limit: float = 0.0
    env: str = ""
    test: tuple[float, ...] = ()
    critic: NetworkAnchor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "native"}

    @cached_property
    def native(self) -> _core.Perceptron:
        """The network in the native core."""
        return _core.Perceptron(
            weights=list(self.weights),
            biases=list(self.biases),
            activation=self.activation,
            head=self.head,
            low=self.low,
            high=self.high,
            z_limit=self.z_limit,
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
        return 1 if self.head == "choice" else self.weights[-1].shape[0]

    @property
    def n_choices(self) -> int:
        """Values of its one discrete action; 0 where actions are numbers."""
        return self.weights[-1].shape[0] if self.head == "choice" else 0

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Return the actions (N, A) for observations (N, O)."""
        return self.native.run(np.asarray(observations, dtype=np.float64))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays."""
        layers = {f"weight{i}": w for i, w in enumerate(self.weights)}
        layers |= {f"bias{i}": b for i, b in enumerate(self.biases)}
        critic = {} if self.critic is None else self.critic.arrays()
        others = ("activation", "head", "low", "high", "mean", "deviation", "limit", "z_limit")
        return {
            "format": np.array(FORMAT),
            **{name: np.array(getattr(self, name)) for name in (*others, "env", "test")},
            **layers,
            **{CRITIC + name: array for name, array in critic.items()},
        }

    @staticmethod
    def from_arrays(arrays: Any) -> NetworkAnchor:
        """Rebuild from `arrays`, also those of the first format."""
        n_layers = sum(name.startswith("weight") for name in arrays)
        is_old = str(arrays["format"]) == OLD_FORMAT
        critic = {
            name.removeprefix(CRITIC): arrays[name] for name in arrays if name.startswith(CRITIC)
        }
        head = "squashed" if is_old and bool(arrays["is_squashed"]) else "linear"
        return NetworkAnchor(
            tuple(np.asarray(arrays[f"weight{i}"], dtype=np.float32) for i in range(n_layers)),
            tuple(np.asarray(arrays[f"bias{i}"], dtype=np.float32) for i in range(n_layers)),
            str(arrays["activation"]),
            head if is_old else str(arrays["head"]),
            np.asarray(arrays["low"], np.float64),
            np.asarray(arrays["high"], np.float64),
            np.asarray(arrays["mean"], np.float64),
            np.asarray(arrays["deviation"], np.float64),
            limit=float(arrays["limit"]),
            z_limit=0.0 if is_old else float(arrays["z_limit"]),
            env="" if is_old else str(arrays["env"]),
            test=() if is_old else tuple(np.asarray(arrays["test"], np.float64).tolist()),
            critic=NetworkAnchor.from_arrays(critic) if critic else None,
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
                if str(arrays["format"]) not in (FORMAT, OLD_FORMAT):
                    raise KeyError("format")
                return NetworkAnchor.from_arrays(arrays)
        except (KeyError, ValueError, OSError) as error:
            raise UserError(
                f"{WHERE}: {str(path)!r} is not a network as scripts/train_anchor.py writes it "
                f"({error})."
            ) from None
