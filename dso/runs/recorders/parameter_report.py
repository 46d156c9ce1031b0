"""The policy's parameters as text: their sizes once, their statistics around every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dso.runs.recorders.recorder import Recorder

if TYPE_CHECKING:
    from torch import Tensor

    from dso.policy import Policy
    from dso.training.trainer import Iteration


def named_parameters(policy: Policy) -> dict[str, Tensor]:
    """Return the parameters by their names in `state_dict`, numbered where these do not fit."""
    parameters = list(policy.parameters())
    state = policy.state_dict()
    shapes = [tuple(value.shape) for value in state.values()]
    names = list(state)
    if shapes != [tuple(parameter.shape) for parameter in parameters]:
        names = [f"parameter{i}" for i in range(len(parameters))]
    return dict(zip(names, parameters, strict=True))


def parameter_table(policy: Policy) -> str:
    """Return a line per parameter with its shape and number of weights, and their sum."""
    parameters = named_parameters(policy)
    lines = [
        f"  {name}: {' x '.join(map(str, value.shape))} = {value.numel()}"
        for name, value in parameters.items()
    ]
    total = sum(value.numel() for value in parameters.values())
    return "\n".join(["policy parameters:", *lines, f"  in all: {total}"])


class ParameterReport(Recorder):
    """Print mean and variance of every parameter of the policy.

    Parameters
    ----------
    policy : Policy
    level : int
        1: before each iteration; 2: after it too.
    write : callable
        Takes the lines.
    """

    writes = "the report on parameters"

    def __init__(self, policy: Policy, level: int, write: Callable[[str], object] = print) -> None:
        self.level = level
        self.write = write
        self._parameters = named_parameters(policy)

    def start(self, number: int) -> None:
        """See `Recorder.start`."""
        self._report(f"iteration {number}, start:")

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        if self.level >= 2:
            self._report(f"iteration {iteration.number}, end:")

    def _report(self, title: str) -> None:
        lines = [title]
        for name, value in self._parameters.items():
            values = value.detach().cpu().numpy()
            lines.append(f"  {name}: mean {values.mean():.6e}, variance {values.var():.6e}")
        self.write("\n".join(lines))
