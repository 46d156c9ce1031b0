"""Episodes of classic control in the native core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dso.native import _core
from dso.task.control.backend import Episodes, NativeBackend, System, has_plain_wrappers
from dso.task.control.composition import Policies
from dso.task.control.environment import Environment

SWING_UP = ("gravity", "masscart", "masspole", "length", "friction", "force_mag", "tau")


@dataclass(frozen=True)
class ClassicSystem(System):
    """A native environment.

    Attributes
    ----------
    is_known : callable
        Tells whether an object of the class does what the core does.
    """

    is_known: Callable[[Any], bool] = lambda env: True


def _attributes(*names: str) -> Callable[[Any], list[float]]:
    return lambda env: [float(getattr(env, name)) for name in names]


def _cart_pole(env: Any) -> list[float]:
    names = ("gravity", "masspole", "total_mass", "length", "polemass_length", "force_mag", "tau")
    bounds = ("x_threshold", "theta_threshold_radians")
    is_sutton_barto = getattr(env, "_sutton_barto_reward", False)
    rewards = [0.0, -1.0] if is_sutton_barto else [1.0, 1.0]
    return [*_attributes(*names, *bounds)(env), *rewards]


def _acrobot(env: Any) -> list[float]:
    names = ("dt", "LINK_LENGTH_1", "LINK_MASS_1", "LINK_MASS_2", "LINK_COM_POS_1")
    more = ("LINK_COM_POS_2", "LINK_MOI", "MAX_VEL_1", "MAX_VEL_2")
    is_book = float(env.book_or_nips != "nips")
    return [*_attributes(*names, *more)(env), *map(float, env.AVAIL_TORQUE), is_book]


def _is_euler(env: Any) -> bool:
    return env.kinematics_integrator == "euler"


def systems() -> dict[type, ClassicSystem]:
    """Return the systems by the class of their environment, exactly this class."""
    from gymnasium.envs.classic_control.acrobot import AcrobotEnv
    from gymnasium.envs.classic_control.cartpole import CartPoleEnv
    from gymnasium.envs.classic_control.continuous_mountain_car import Continuous_MountainCarEnv
    from gymnasium.envs.classic_control.mountain_car import MountainCarEnv
    from gymnasium.envs.classic_control.pendulum import PendulumEnv

    from dso.task.control.envs import CartPoleContinuous, CartPoleSwingUp, PendulumWithStep

    goal = ("goal_position", "goal_velocity")
    car = ("min_position", "max_position", "max_speed", *goal)
    pendulum = ClassicSystem(
        "Pendulum", _attributes("max_speed", "max_torque", "dt", "g", "m", "l")
    )
    return {
        CartPoleEnv: ClassicSystem("CartPole", _cart_pole, _is_euler),
        CartPoleContinuous: ClassicSystem("CartPoleContinuous", _cart_pole),
        CartPoleSwingUp: ClassicSystem("CartPoleSwingUp", _attributes(*SWING_UP, "x_threshold")),
        PendulumEnv: pendulum,
        PendulumWithStep: pendulum,
        MountainCarEnv: ClassicSystem("MountainCar", _attributes(*car, "force", "gravity")),
        Continuous_MountainCarEnv: ClassicSystem(
            "MountainCarContinuous", _attributes("min_action", "max_action", *car, "power")
        ),
        AcrobotEnv: ClassicSystem(
            "Acrobot",
            _acrobot,
            lambda env: env.torque_noise_max == 0 and len(env.AVAIL_TORQUE) == 3,
        ),
    }


class ClassicBackend(NativeBackend):
    """Plays episodes in one native loop.

    Parameters
    ----------
    environment : Environment
    system : ClassicSystem
    """

    @staticmethod
    def make(environment: Environment) -> ClassicBackend | None:
        """Return a backend, or None for an environment that the core does not know."""
        inner = environment.env.unwrapped
        system = systems().get(type(inner))
        if system is None or not has_plain_wrappers(environment) or not system.is_known(inner):
            return None
        if environment.max_steps is None:
            return None
        return ClassicBackend(environment, system)

    def play(self, policies: Policies, seeds: Sequence[int], n_threads: int = 1) -> Episodes:
        """See `Backend.play`."""
        return Episodes(*_core.rollout(**self.arguments(policies, seeds), n_threads=n_threads))

    def trace(self, policies: Policies, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the first policy sees (n + 1, O), does (n, A) and gets (n,) in an episode."""
        return _core.trace(**self.arguments(policies, [seed]), n_threads=1)

    def state(self, env: Any) -> np.ndarray:
        """See `NativeBackend.state`."""
        return np.array(env.state, dtype=np.float64)
