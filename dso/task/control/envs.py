"""Environments that Gymnasium lacks, registered under the namespace ``dso``.

Importing this module registers them: ``gymnasium.make("dso/CartPoleContinuous-v0")``.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv

Step = tuple[np.ndarray, float, bool, bool, dict]


class CartPoleContinuous(CartPoleEnv):
    """The cart-pole of Gymnasium with a force of any size: the action in [-1, 1] times 30 N.

    Parameters
    ----------
    dt : float
        Seconds per step.
    render_mode : str, optional
    """

    def __init__(self, dt: float = 0.02, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.tau = dt
        self.force_mag = 30.0
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step(self, action: Any) -> Step:
        """Push the cart; every step that the pole stands gives 1."""
        assert self.state is not None, "call reset() first"
        x, x_dot, theta, theta_dot = (float(value) for value in self.state)
        force = self.force_mag * min(max(float(action[0]), -1.0), 1.0)
        cos, sin = math.cos(theta), math.sin(theta)
        temp = (force + self.polemass_length * (theta_dot * theta_dot) * sin) / self.total_mass
        theta_acc = (self.gravity * sin - cos * temp) / (
            self.length * (4.0 / 3.0 - self.masspole * (cos * cos) / self.total_mass)
        )
        x_acc = temp - self.polemass_length * theta_acc * cos / self.total_mass
        x += self.tau * x_dot
        x_dot += self.tau * x_acc
        theta += self.tau * theta_dot
        theta_dot += self.tau * theta_acc
        self.state = np.array([x, x_dot, theta, theta_dot])
        terminated = abs(x) > self.x_threshold or abs(theta) > self.theta_threshold_radians
        if self.render_mode == "human":
            self.render()
        return np.array(self.state, dtype=np.float32), 1.0, terminated, False, {}


class CartPoleSwingUp(CartPoleEnv):
    """A pole that hangs from a cart and is to be swung up and held there.

    The observation is position, velocity, cosine and sine of the angle (0: upright), and angular
    velocity; the action in [-1, 1] is the force in 10 N. A step gives between 0 (hanging) and 1
    (upright); leaving the track ends the episode.
    """

    friction = 0.1

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        high = np.array([2 * self.x_threshold, np.inf, 1.0, 1.0, np.inf], dtype=np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict | None = None
    ) -> tuple[np.ndarray, dict]:
        """Hang the pole, with small deviations."""
        super().reset(seed=seed, options=options)
        assert self.state is not None
        self.state = np.asarray(self.state) + np.array([0.0, 0.0, math.pi, 0.0])
        return self._observation(), {}

    def step(self, action: Any) -> Step:
        """Push the cart."""
        assert self.state is not None, "call reset() first"
        x, x_dot, theta, theta_dot = (float(value) for value in self.state)
        force = self.force_mag * min(max(float(action[0]), -1.0), 1.0)
        sin, cos = math.sin(theta), math.cos(theta)
        total = self.masscart + self.masspole
        pull = self.masspole * self.length * theta_dot * theta_dot * sin
        temp = (force - self.friction * x_dot + pull) / total
        theta_acc = (self.gravity * sin - cos * temp) / (
            self.length * (4.0 / 3.0 - self.masspole * cos * cos / total)
        )
        x_acc = temp - self.masspole * self.length * theta_acc * cos / total
        x_dot += self.tau * x_acc
        theta_dot += self.tau * theta_acc
        x += self.tau * x_dot
        theta += self.tau * theta_dot
        self.state = np.array([x, x_dot, theta, theta_dot])
        if self.render_mode == "human":
            self.render()
        reward = 0.5 * (1.0 + math.cos(theta))
        return self._observation(), reward, abs(x) > self.x_threshold, False, {}

    def _observation(self) -> np.ndarray:
        assert self.state is not None
        x, x_dot, theta, theta_dot = (float(value) for value in self.state)
        values = [x, x_dot, math.cos(theta), math.sin(theta), theta_dot]
        return np.array(values, dtype=np.float32)


class PendulumWithStep(PendulumEnv):
    """Gymnasium's pendulum with a time step of one's own.

    Parameters
    ----------
    dt : float
        Seconds per step.
    g : float
        Gravity.
    render_mode : str, optional
    """

    def __init__(self, dt: float = 0.05, g: float = 10.0, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode, g=g)
        self.dt = dt


class ScaledShaping(gymnasium.Wrapper):
    """Gymnasium's lander with more or less of its shaping rewards.

    Parameters
    ----------
    env : gymnasium.Env
    reward_shaping_coef : float
        1 is Gymnasium's reward; 0 leaves fuel, crash and landing.
    """

    def __init__(self, env: gymnasium.Env, reward_shaping_coef: float) -> None:
        super().__init__(env)
        self.coef = reward_shaping_coef

    def step(self, action: Any) -> Any:
        """Take back the share of the shaping that is not wanted."""
        lander: Any = self.unwrapped
        before = lander.prev_shaping
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not terminated and before is not None:  # at the end the lander gives 100 or -100 alone
            reward = float(reward) - (1.0 - self.coef) * (lander.prev_shaping - before)
        return observation, reward, terminated, truncated, info


class MultiDiscreteEngines(gymnasium.ActionWrapper):
    """A lander with two engines of three settings each: -1, 0 and 1."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.action_space = spaces.MultiDiscrete([3, 3])

    def action(self, action: np.ndarray) -> np.ndarray:
        """Turn settings 0, 1, 2 into the continuous actions -1, 0, 1."""
        return np.asarray(action, dtype=np.float32) - 1.0


def make_lander(
    continuous: bool = False, reward_shaping_coef: float = 1.0, **kwargs: Any
) -> gymnasium.Env:
    """Make a lunar lander whose shaping rewards are scaled."""
    from gymnasium.envs.box2d.lunar_lander import LunarLander

    return ScaledShaping(LunarLander(continuous=continuous, **kwargs), reward_shaping_coef)


def make_multi_discrete_lander(**kwargs: Any) -> gymnasium.Env:
    """Make a lunar lander with a multi-discrete action."""
    from gymnasium.envs.box2d.lunar_lander import LunarLander

    return MultiDiscreteEngines(LunarLander(continuous=True, **kwargs))


HERE = "dso.task.control.envs"
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "CartPoleContinuous-v0": {
        "entry_point": f"{HERE}:CartPoleContinuous",
        "max_episode_steps": 1000,
        "reward_threshold": 995.0,
    },
    "CartPoleSwingUp-v0": {
        "entry_point": f"{HERE}:CartPoleSwingUp",
        "max_episode_steps": 500,
        "reward_threshold": 400.0,
    },
    "Pendulum-v0": {"entry_point": f"{HERE}:PendulumWithStep", "max_episode_steps": 200},
    "LunarLander-v0": {
        "entry_point": f"{HERE}:make_lander",
        "max_episode_steps": 1000,
        "reward_threshold": 200.0,
    },
    "LunarLanderNoRewardShaping-v0": {
        "entry_point": f"{HERE}:make_lander",
        "max_episode_steps": 1000,
        "kwargs": {"reward_shaping_coef": 0.0},
    },
    "LunarLanderContinuousNoRewardShaping-v0": {
        "entry_point": f"{HERE}:make_lander",
        "max_episode_steps": 1000,
        "kwargs": {"reward_shaping_coef": 0.0, "continuous": True},
    },
    "LunarLanderMultiDiscrete-v0": {
        "entry_point": f"{HERE}:make_multi_discrete_lander",
        "max_episode_steps": 1000,
        "reward_threshold": 200.0,
    },
}
"""Ids below ``dso/``, and how Gymnasium registers them."""

for _name, _arguments in ENVIRONMENTS.items():
    gymnasium.register(f"dso/{_name}", **_arguments)
