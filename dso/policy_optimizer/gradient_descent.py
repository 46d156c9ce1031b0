"""Adam, RMSProp and SGD as short in-place updates, equal to torch.optim with its defaults.

For weights w, their gradient g and the learning rate a, after t steps:

    SGD      w <- w - a g
    RMSProp  v <- 0.99 v + 0.01 g^2
             w <- w - a g / (sqrt v + 1e-8)
    Adam     m <- 0.9 m + 0.1 g,        v <- 0.999 v + 0.001 g^2
             M = m / (1 - 0.9^t),       V = v / (1 - 0.999^t)
             w <- w - a M / (sqrt V + 1e-8)

A step is divided by the recent size of its own gradient, so that all weights move alike however
large rewards are. M and V make up for moments that start at zero.

torch.optim itself is not imported: constructing one of its classes loads the compiler stack, which
costs more than a short run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from dso.errors import UserError

State = dict[str, Any]


def _square_root(tensor: torch.Tensor) -> torch.Tensor:
    # On a CPU torch.sqrt wakes the thread pool from 2048 elements on: 7 us of work, 8 ms of spin.
    if tensor.device.type != "cpu":
        return tensor.sqrt()
    return torch.from_numpy(np.sqrt(tensor.numpy()))


def adam_(parameter: torch.Tensor, gradient: torch.Tensor, state: State, lr: float) -> None:
    """Kingma & Ba, Adam (ICLR 2015), with beta 0.9 and 0.999 and epsilon 1e-8."""
    if not state:
        state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
    state["step"] += 1
    state["mean"].lerp_(gradient, 0.1)
    state["square"].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    scale = math.sqrt(1.0 - 0.999 ** state["step"])
    root = _square_root(state["square"]).div_(scale).add_(1e-8)
    parameter.addcdiv_(state["mean"], root, value=-lr / (1.0 - 0.9 ** state["step"]))


def rmsprop_(parameter: torch.Tensor, gradient: torch.Tensor, state: State, lr: float) -> None:
    """Tieleman & Hinton's RMSProp with decay 0.99 and epsilon 1e-8."""
    if not state:
        state["square"] = torch.zeros_like(parameter)
    state["square"].mul_(0.99).addcmul_(gradient, gradient, value=0.01)
    parameter.addcdiv_(gradient, _square_root(state["square"]).add_(1e-8), value=-lr)


def sgd_(parameter: torch.Tensor, gradient: torch.Tensor, state: State, lr: float) -> None:
    """Plain gradient descent; `state` stays empty."""
    parameter.sub_(gradient, alpha=lr)


RULES: dict[str, Callable[[torch.Tensor, torch.Tensor, State, float], None]] = {
    "adam": adam_,
    "rmsprop": rmsprop_,
    "sgd": sgd_,
}
"""Names of `policy_optimizer.optimizer`."""


STATES = {"adam": ("step", "mean", "square"), "rmsprop": ("square",), "sgd": ()}
"""What each rule remembers of a parameter."""


class GradientDescent:
    """Apply one rule to a list of parameters.

    Parameters
    ----------
    rule : {"adam", "rmsprop", "sgd"}
    parameters : sequence of Tensor
    learning_rate : float
    """

    def __init__(self, rule: str, parameters: Sequence[torch.Tensor], learning_rate: float) -> None:
        if rule not in RULES:
            raise ValueError(f"optimizer is {rule!r}; allowed: {', '.join(RULES)}")
        self.rule = rule
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.states: list[State] = [{} for _ in self.parameters]

    def step(self, loss: torch.Tensor) -> None:
        """Descend one step along the gradient of `loss` (a scalar).

        Parameters that are frozen, or that the loss does not depend on, stay as they are.
        """
        learned = [i for i, parameter in enumerate(self.parameters) if parameter.requires_grad]
        gradients = torch.autograd.grad(
            loss, [self.parameters[i] for i in learned], allow_unused=True
        )
        with torch.no_grad():
            for i, gradient in zip(learned, gradients, strict=True):
                if gradient is not None:
                    RULES[self.rule](
                        self.parameters[i], gradient, self.states[i], self.learning_rate
                    )

    def state_dict(self) -> dict[str, Any]:
        """Return the moments of every parameter as arrays."""
        return {"rule": self.rule, "states": [_as_arrays(state) for state in self.states]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the moments.

        Raises
        ------
        UserError
            If they belong to another rule or to other parameters.
        """
        if state["rule"] != self.rule:
            raise UserError(
                f"policy_optimizer.optimizer: the state belongs to {state['rule']!r}, "
                f"not to {self.rule!r}."
            )
        self.states = [
            _as_tensors(one, like, STATES[self.rule])
            for one, like in zip(state["states"], self.parameters, strict=True)
        ]


def _as_arrays(state: State) -> State:
    return {
        name: value.detach().cpu().numpy().copy() if torch.is_tensor(value) else value
        for name, value in state.items()
    }


def _as_tensors(state: State, like: torch.Tensor, names: tuple[str, ...]) -> State:
    """Return the moments of the parameter `like`, whose shape they have; none before the first."""
    if set(state) not in (set(), set(names)):
        raise UserError(f"moments {', '.join(map(str, state))}; expected {', '.join(names)}.")
    tensors: State = {}
    for name, value in state.items():
        if name == "step":
            tensors[name] = int(value)
            continue
        if not isinstance(value, np.ndarray) or value.shape != tuple(like.shape):
            raise UserError(f"a moment of shape {np.shape(value)} for weights {tuple(like.shape)}.")
        tensors[name] = torch.from_numpy(value.copy()).to(like)
    return tensors
