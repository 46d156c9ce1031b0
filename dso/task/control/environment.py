"""From the id of an environment to what a search needs to know of it."""

from __future__ import annotations

import ctypes
import importlib
import inspect
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError, nearest, unknown
from dso.plugins import load_module

if TYPE_CHECKING:
    import gymnasium

logger = logging.getLogger("dso")

INSTALL = "pip install 'deep-symbolic-optimization[control]'"

OURS = {
    "CustomCartPoleContinuous-v0": "dso/CartPoleContinuous-v0",
    "CustomPendulum-v0": "dso/Pendulum-v0",
    "LunarLanderNoRewardShaping-v0": "dso/LunarLanderNoRewardShaping-v0",
    "LunarLanderContinuousNoRewardShaping-v0": "dso/LunarLanderContinuousNoRewardShaping-v0",
    "LunarLanderCustom-v0": "dso/LunarLander-v0",
    "LunarLanderMultiDiscrete-v0": "dso/LunarLanderMultiDiscrete-v0",
}
"""Names that the original gave its own environments, and ours; nothing but the name differs."""

_MUJOCO = (
    *("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum"),
    *("InvertedPendulum", "Pusher", "Reacher", "Swimmer", "Walker2d"),
)
RETIRED = {
    "Pendulum-v0": "Pendulum-v1",
    "LunarLander-v2": "LunarLander-v3",
    "LunarLanderContinuous-v2": "LunarLanderContinuous-v3",
    "BipedalWalker-v2": "BipedalWalker-v3",
    "BipedalWalkerHardcore-v2": "BipedalWalkerHardcore-v3",
    "CarRacing-v0": "CarRacing-v3",
    **{f"{name}-v{v}": f"{name}-v5" for name in _MUJOCO for v in (1, 2, 3, 4)},
}
"""Ids of older releases of gym, and those that took their place."""


@dataclass(frozen=True)
class Recipe:
    """How to make an environment anywhere; small enough to be sent to another process.

    Attributes
    ----------
    id : str
        Of today: see `resolve`.
    kwargs : dict
    spec : gymnasium.envs.registration.EnvSpec, optional
        What the id stands for in this process, for others in which nobody has registered it.
    changes : dict
        Parameters that are other than the environment would have them: arguments of its, or
        numbers of its object.
    """

    id: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    spec: Any = field(default=None, compare=False, repr=False)
    changes: dict[str, float] = field(default_factory=dict)

    def make(self) -> gymnasium.Env:
        """Make the environment."""
        gymnasium = import_gymnasium()
        if self.spec is not None:
            gymnasium.registry.setdefault(self.spec.id, self.spec)
        if "Bullet" in self.id:
            return _make_bullet(self)
        env_id = _registered_by_file(self.id)
        with warnings.catch_warnings():
            # Importing Box2D warns of its wrapper, and crashes where warnings are errors.
            warnings.filterwarnings("ignore", ".*(SwigPy|swigvarlink)", DeprecationWarning)
            env = gymnasium.make(env_id, disable_env_checker=True, **self.kwargs)
            return _changed(env, self.changes) if self.changes else env

    @property
    def resets_wholly(self) -> bool:
        """Whether a used environment, once it is reset, does the same as a new one."""
        return "Bullet" in self.id

    def with_spec(self) -> Recipe:
        """Return the recipe with what its id stands for here, if that is a user's environment."""
        spec = import_gymnasium().registry.get(self.id)
        return self if spec is None or _comes_with_a_package(spec) else replace(self, spec=spec)


def _changed(env: gymnasium.Env, changes: dict[str, float]) -> gymnasium.Env:
    """Return an environment with other parameters."""
    import gymnasium

    made: Any = env.unwrapped
    arguments = inspect.signature(type(made).__init__).parameters
    as_arguments = {name: value for name, value in changes.items() if name in arguments}
    if as_arguments and env.spec is not None:
        known = {**env.spec.kwargs, **as_arguments}
        env = gymnasium.make(replace(env.spec, kwargs=known), disable_env_checker=True)
        made = env.unwrapped
    for name in changes.keys() - as_arguments.keys():
        if not isinstance(getattr(made, name, None), int | float):
            names = sorted({*_numbers(made), *arguments} - {"self", "render_mode"})
            raise unknown("parameter", name, names, f"{env.spec.id if env.spec else 'environment'}")
        setattr(made, name, changes[name])
    if hasattr(made, "polemass_length"):  # a cart-pole keeps what follows from its numbers
        made.total_mass = made.masspole + made.masscart
        made.polemass_length = made.masspole * made.length
    return env


def _numbers(made: object) -> list[str]:
    """Return the names of the numbers that an object has, itself or from its classes."""
    members = [
        *vars(made).items(),
        *(item for cls in type(made).__mro__ for item in vars(cls).items()),
    ]
    return [name for name, value in members if type(value) in (int, float) and name[0] != "_"]


def _comes_with_a_package(spec: Any) -> bool:
    """Tell whether importing gymnasium and dso registers an environment."""
    entry = spec.entry_point
    return isinstance(entry, str) and entry.partition(".")[0] in ("gymnasium", "dso")


def _registered_by_file(env_id: str) -> str:
    """Execute the file of ``file.py:Env-v0`` where that id is not known, and return the id."""
    file, _, name = env_id.rpartition(":")
    if not file.endswith(".py"):
        return env_id
    if name not in import_gymnasium().registry:
        load_module(file, "task.env")
    return name


def _make_bullet(recipe: Recipe) -> gymnasium.Env:
    """Make an environment of PyBullet, whose first reset starts the simulation."""
    import gymnasium

    with _silent_library():
        importlib.import_module("pybullet_envs_gymnasium")
        env = gymnasium.make(recipe.id, disable_env_checker=True, **recipe.kwargs)
        env = _changed(env, recipe.changes) if recipe.changes else env
        env.reset(seed=0)
    return with_remaining_time(env)


@contextmanager
def _silent_library() -> Iterator[None]:
    """Throw away what a native library writes to standard output and standard error."""
    sys.stdout.flush()
    sys.stderr.flush()
    ours = {number: os.dup(number) for number in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in ours:
            os.dup2(nowhere, number)
        yield
        ctypes.CDLL(None).fflush(None)  # what C has not written yet
    finally:
        for number, copy in ours.items():
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


def import_gymnasium() -> Any:
    """Import gymnasium and register our environments.

    Raises
    ------
    UserError
        If the extra is not installed.
    """
    try:
        gymnasium = importlib.import_module("gymnasium")
    except ModuleNotFoundError:
        raise UserError(f"task.env: environments need gymnasium; install it: {INSTALL}.") from None
    importlib.import_module("dso.task.control.envs")
    return gymnasium


def with_remaining_time(env: gymnasium.Env) -> gymnasium.Env:
    """Append the share of the time that is left to the observation, from 1 down to 0."""
    from gymnasium import spaces
    from gymnasium.wrappers import TimeAwareObservation, TransformObservation

    aware = TimeAwareObservation(env, flatten=True, normalize_time=True)
    box = aware.observation_space
    assert isinstance(box, spaces.Box)

    def turned(observation: np.ndarray) -> np.ndarray:
        return np.append(observation[:-1], 1.0 - observation[-1]).astype(box.dtype)

    return TransformObservation(aware, turned, box)


def resolve(env_id: str) -> str:
    """Return today's id for one of an older release, with a warning."""
    file, _, name = env_id.rpartition(":")
    if file.endswith(".py"):  # another process may be in another folder
        return f"{Path(file).expanduser().resolve()}:{name}"
    if env_id in OURS:
        return OURS[env_id]
    if env_id in RETIRED:
        logger.warning("task.env: %r is retired; %r is taken.", env_id, RETIRED[env_id])
        return RETIRED[env_id]
    return env_id


class Environment:
    """An environment with one-dimensional observations and actions.

    Parameters
    ----------
    env_id : str
        Of `gymnasium.make`, or ``module:Env-v0`` or ``path/to/file.py:Env-v0``, or an old id; see
        `resolve`.
    kwargs : dict, optional
        Arguments of the environment.

    Attributes
    ----------
    recipe : Recipe
    kind : {"box", "discrete", "multi_discrete"}
        Of the action space.
    n_observations, n_actions : int
        O and A; A is 1 where the action is discrete.
    n_choices : tuple of int
        Per action, how many values it has; empty for a Box.
    first_choice : int
        What a Discrete space counts from.
    low, high : (A,) float64
        Bounds of a Box.
    dtype : dtype
        Of its numbers; `is_single` where they are float32.
    max_steps : int or None
        Steps after which an episode is cut off.
    reward_threshold : float or None
        Return from which the environment counts as solved.
    """

    def __init__(self, env_id: str, kwargs: dict[str, Any] | None = None) -> None:
        self._describe(Recipe(resolve(env_id), dict(kwargs or {})).with_spec())

    @staticmethod
    def of(recipe: Recipe) -> Environment:
        """Return the environment of a recipe."""
        environment = Environment.__new__(Environment)
        environment._describe(recipe)
        return environment

    def _describe(self, recipe: Recipe) -> None:
        self.recipe = recipe
        env = self.env
        self.max_steps: int | None = env.spec.max_episode_steps if env.spec else None
        self.reward_threshold = env.spec.reward_threshold if env.spec else None
        self._read_observation_space(env)
        self._read_action_space(env)

    @cached_property
    def env(self) -> gymnasium.Env:
        """One instance, for resets and for what is asked of it."""
        return _make(self.recipe)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "env"}

    @property
    def wrappers(self) -> Iterator[gymnasium.Env]:
        """The wrappers from outside to inside, without the environment itself."""
        env = self.env
        while env is not env.unwrapped:
            yield env
            env = env.env  # type: ignore[attr-defined]

    def as_action(self, action: np.ndarray) -> Any:
        """Return an action (A,) float64 in the form that the environment takes."""
        if self.kind == "discrete":
            return int(action[0]) + self.first_choice
        return action.astype(np.int64 if self.kind == "multi_discrete" else self.dtype)

    def _read_observation_space(self, env: gymnasium.Env) -> None:
        from gymnasium import spaces

        space = env.observation_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            hint = ""
            if isinstance(space, (spaces.Dict, spaces.Tuple)):
                hint = " Flatten it with gymnasium.wrappers.FlattenObservation."
            elif isinstance(space, spaces.Box):
                hint = " Expressions take numbers; images and tables must become a few features."
            raise UserError(
                f"task.env: observations of {self.recipe.id!r} are {_shown(space)}; a Box with one "
                f"dimension is needed.{hint}"
            )
        self.n_observations = int(space.shape[0])

    def _read_action_space(self, env: gymnasium.Env) -> None:
        from gymnasium import spaces

        space = env.action_space
        self.low = self.high = np.empty(0)
        self.dtype: Any = np.dtype(np.int64)
        self.is_single = True
        self.n_choices: tuple[int, ...] = ()
        self.first_choice = 0
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            self.kind = "box"
            self.n_actions = int(space.shape[0])
            self.low, self.high = space.low.astype(np.float64), space.high.astype(np.float64)
            self.dtype = space.dtype
            self.is_single = space.dtype == np.float32
        elif isinstance(space, spaces.Discrete):
            self.kind = "discrete"
            self.n_actions = 1
            self.n_choices = (int(space.n),)
            self.first_choice = int(space.start)
        elif isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
            self.kind = "multi_discrete"
            self.n_actions = len(space.nvec)
            self.n_choices = tuple(int(n) for n in space.nvec)
        else:
            raise UserError(
                f"task.env: actions of {self.recipe.id!r} are {_shown(space)}; Box and "
                "MultiDiscrete with one dimension, and Discrete, can be learned."
            )


def _shown(space: object) -> str:
    text = repr(space)
    return text if len(text) <= 80 else text[:77] + "..."


def _make(recipe: Recipe) -> gymnasium.Env:
    """Make an environment, or say what to do."""
    gymnasium = import_gymnasium()
    error = gymnasium.error
    shown = repr(recipe.id)
    try:
        return recipe.make()
    except error.DependencyNotInstalled as missing:
        raise UserError(f"task.env: {shown} needs a package: {missing} ({INSTALL}).") from None
    except (error.NameNotFound, error.NamespaceNotFound, error.VersionNotFound) as problem:
        near = nearest(recipe.id, gymnasium.registry)
        hint = f" Did you mean {near!r}?" if near else ""
        raise UserError(
            f"task.env: Gymnasium has no environment {shown}.{hint} One of your own is given as "
            f"'module:Env-v0' or './file.py:Env-v0'. ({problem})"
        ) from None
    except ModuleNotFoundError as missing:
        raise UserError(f"task.env: {shown} cannot be made: {missing}.") from None
    except (error.Error, TypeError) as problem:
        raise UserError(
            f"task.env: {shown} with task.env_kwargs = {recipe.kwargs!r} cannot be made: {problem}"
        ) from None
