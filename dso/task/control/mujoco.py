"""Episodes of MuJoCo's environments: steps and rewards in the native core, on threads."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dso.native import _core
from dso.task.control.backend import Episodes, NativeBackend, System, has_plain_wrappers
from dso.task.control.composition import Policies
from dso.task.control.environment import Environment

FUNCTIONS = ("mj_step", "mj_forward", "mj_rnePostConstraint", "mj_resetData")
FIELDS = ("qpos", "qvel", "ctrl", "site_xpos", "qfrc_constraint")


def _locomotion(speed_limit: float, n_skipped: int) -> Callable[[Any], list[float]]:
    everything = (-np.inf, np.inf)

    def parameters(env: Any) -> list[float]:
        ranges = [
            getattr(env, f"_healthy_{name}_range", everything) for name in ("state", "z", "angle")
        ]
        return [
            float(env.dt),
            env._forward_reward_weight,
            env._ctrl_cost_weight,
            getattr(env, "_healthy_reward", 0.0),
            float(getattr(env, "_terminate_when_unhealthy", False)),
            *(float(bound) for pair in ranges for bound in pair),
            speed_limit,
            n_skipped * env._exclude_current_positions_from_observation,
        ]

    return parameters


def systems() -> dict[str, System]:
    """Return the systems by the full name of their class, exactly this class."""
    here = "gymnasium.envs.mujoco"
    return {
        f"{here}.inverted_pendulum_v5.InvertedPendulumEnv": System(
            "InvertedPendulum", lambda env: [0.2]
        ),
        f"{here}.inverted_double_pendulum_v5.InvertedDoublePendulumEnv": System(
            "InvertedDoublePendulum", lambda env: [env._healthy_reward]
        ),
        f"{here}.hopper_v5.HopperEnv": System("Locomotion", _locomotion(10.0, 1)),
        f"{here}.walker2d_v5.Walker2dEnv": System("Locomotion", _locomotion(10.0, 1)),
        f"{here}.half_cheetah_v5.HalfCheetahEnv": System("Locomotion", _locomotion(np.inf, 1)),
        f"{here}.swimmer_v5.SwimmerEnv": System("Locomotion", _locomotion(np.inf, 2)),
    }


class MujocoBackend(NativeBackend):
    """Steps one simulation per thread, all of the same model.

    Parameters
    ----------
    environment : Environment
    system : System
    functions : list of int
        Addresses of `FUNCTIONS`.
    """

    def __init__(self, environment: Environment, system: System, functions: list[int]) -> None:
        super().__init__(environment, system)
        self.functions = functions
        self._simulations: list[Any] = []

    @staticmethod
    def make(environment: Environment) -> MujocoBackend | None:
        """Return a backend, or None for an environment that the core does not know."""
        inner = environment.env.unwrapped
        system = systems().get(f"{type(inner).__module__}.{type(inner).__qualname__}")
        if system is None or not has_plain_wrappers(environment) or environment.max_steps is None:
            return None
        import mujoco

        functions = _addresses(mujoco)
        return None if functions is None else MujocoBackend(environment, system, functions)

    def play(self, policies: Policies, seeds: Sequence[int], n_threads: int = 1) -> Episodes:
        """See `Backend.play`."""
        arguments = self.arguments(policies, seeds)
        return Episodes(*_core.rollout_mujoco(**arguments, mujoco=self._threads(n_threads)))

    def trace(self, policies: Policies, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what the first policy sees (n + 1, O), does (n, A) and gets (n,) in an episode."""
        return _core.trace_mujoco(**self.arguments(policies, [seed]), mujoco=self._threads(1))

    def state(self, env: Any) -> np.ndarray:
        """See `NativeBackend.state`."""
        return np.concatenate([env.data.qpos, env.data.qvel])

    def _threads(self, n_threads: int) -> _core.Mujoco:
        """Return the native description of `n_threads` simulations."""
        import mujoco

        env: Any = self.environment.env.unwrapped
        model = env.model
        while len(self._simulations) < n_threads:
            self._simulations.append(mujoco.MjData(model))
        addresses = [
            [model._address, data._address, *(getattr(data, f).ctypes.data for f in FIELDS)]
            for data in self._simulations[:n_threads]
        ]
        return _core.Mujoco(
            functions=self.functions,
            simulations=addresses,
            n_qpos=model.nq,
            n_qvel=model.nv,
            n_ctrl=model.nu,
            frame_skip=env.frame_skip,
        )


def _addresses(mujoco: ModuleType) -> list[int] | None:
    """Return where the functions of the library are that Python has loaded, None if unknown."""
    found = sorted(Path(str(mujoco.__file__)).parent.glob("libmujoco*"))
    if not found:
        return None
    library = ctypes.CDLL(str(found[0]))
    addresses = [ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in FUNCTIONS]
    return None if None in addresses else addresses  # type: ignore[return-value]
