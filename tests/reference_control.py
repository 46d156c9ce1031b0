"""Policies and episodes, slow and obvious: one policy, one plain loop, the functions of `math`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

FUNCTIONS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "sin": math.sin,
    "cos": math.cos,
    "n2": lambda a: a * a,
    "neg": lambda a: -a,
    "abs": abs,
    "tanh": math.tanh,
    "arctan": math.atan,
}


def div(a: float, b: float) -> float:
    """Divide as floating-point numbers do."""
    with np.errstate(all="ignore"):
        return float(np.float64(a) / np.float64(b))


def guarded(function: Callable[[float], float], a: float, at_overflow: float) -> float:
    """Call a function of `math`, which raises where the C library returns NaN or infinity."""
    if math.isnan(a):
        return a
    try:
        return function(a)
    except OverflowError:
        return at_overflow
    except ValueError:
        return -math.inf if a == 0 else math.nan


def value(tokens: Sequence[str], x: Sequence[float]) -> float:
    """Return the value of an expression in prefix order for one observation."""
    result, rest = _value(list(tokens), x)
    assert rest == []
    return result


def _value(tokens: list[str], x: Sequence[float]) -> tuple[float, list[str]]:
    head, rest = tokens[0], tokens[1:]
    if head in ("exp", "log"):
        a, rest = _value(rest, x)
        return guarded(math.exp if head == "exp" else math.log, a, math.inf), rest
    if head in ("sin", "cos"):
        a, rest = _value(rest, x)
        return guarded(FUNCTIONS[head], a, math.nan), rest
    if head == "div":
        a, rest = _value(rest, x)
        b, rest = _value(rest, x)
        return div(a, b), rest
    if " < " in head:
        name, threshold = head.split(" < ")
        yes, rest = _value(rest, x)
        no, rest = _value(rest, x)
        return (yes if x[int(name[1:]) - 1] < float(threshold) else no), rest
    if head in FUNCTIONS:
        function = FUNCTIONS[head]
        arguments = []
        for _ in range(2 if head in ("add", "sub", "mul") else 1):
            a, rest = _value(rest, x)
            arguments.append(a)
        return function(*arguments), rest
    if head.startswith("x"):
        return float(x[int(head[1:]) - 1]), rest
    if head.startswith("a_"):
        return float(int(head[2:]) - 1), rest
    return float(head), rest


def episode(
    env: Any, policies: Sequence[Sequence[str]], seed: int, most: int = 10**6
) -> tuple[np.ndarray, list[float]]:
    """Play one episode of a Gymnasium environment.

    Parameters
    ----------
    env : gymnasium.Env
    policies : sequence of tokens, one per action
    seed : int
    most : int
        Steps after which it is left.

    Returns
    -------
    observations : (n + 1, O)
    rewards : list of n floats
    """
    observation, _ = env.reset(seed=seed)
    observations, rewards = [observation], []
    is_box = hasattr(env.action_space, "low")
    for _ in range(most):
        values = [value(tokens, [float(x) for x in observation]) for tokens in policies]
        values = [0.0 if math.isnan(v) else v for v in values]
        if is_box:
            action = np.clip(values, env.action_space.low, env.action_space.high)
            action = action.astype(env.action_space.dtype)
        else:
            action = int(values[0])
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        rewards.append(float(reward))
        if terminated or truncated:
            break
    return np.array(observations), rewards
