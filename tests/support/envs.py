"""Small environments."""

from typing import Any

import gymnasium
import numpy as np

N_STEPS = 8


class TwoActions(gymnasium.Env):
    """What two actions are to be can be read off the observation; the reward is how near they are.

    The first is linear in it, the second is not.
    """

    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float64)

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self._observe(), {}

    def _observe(self) -> np.ndarray:
        self.state = self.np_random.uniform(-1, 1, 3)
        return self.state

    def step(self, action: np.ndarray) -> Any:
        reward = -float(((action - wanted(self.scale * self.state[None])[0]) ** 2).sum())
        self.t += 1
        return self._observe(), reward, False, self.t == N_STEPS, {}


def wanted(observations: np.ndarray) -> np.ndarray:
    """Return the best actions (N, 2)."""
    x, y, z = observations.T
    return np.stack([0.6 * x - 0.4 * y, np.sin(3 * z)], axis=1)


if "test/TwoActions-v0" not in gymnasium.registry:
    gymnasium.register("test/TwoActions-v0", TwoActions)


class TwoChoices(TwoActions):
    """The same with two settings of three, which are to be below, at or above zero."""

    action_space = gymnasium.spaces.MultiDiscrete([3, 3])

    def step(self, action: np.ndarray) -> Any:
        return super().step(action.astype(np.float64) - 1)


if "test/TwoChoices-v0" not in gymnasium.registry:
    gymnasium.register("test/TwoChoices-v0", TwoChoices)
