"""A program as a torch module whose constants can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dso.export.walk import constant_slots, fold, number_of, operator_of
from dso.library import HardCodedConstant, StateChecker, Token
from dso.library.operator import apply_form


class _Namespace:
    """torch with the functions that it has elsewhere, or not at all."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch if hasattr(torch, name) else torch.special, name)

    @staticmethod
    def cbrt(a: torch.Tensor) -> torch.Tensor:
        return torch.sign(a) * torch.abs(a) ** (1 / 3)


class TorchProgram(torch.nn.Module):
    """An expression over the columns of its input.

    Parameters
    ----------
    tokens : sequence of Token
        In prefix order, each `const` with its number.

    Attributes
    ----------
    constants : Parameter (K,) float64
        The fitted numbers in prefix order; numbers of the function set are fixed.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__()
        self.tokens = list(tokens)
        self._slots = constant_slots(self.tokens)
        for token in self.tokens:
            if token.arity and not isinstance(token, StateChecker):
                operator_of(token, "torch")
        values = [number_of(self.tokens[position]) for position in self._slots]
        self.constants = torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the predictions (N,) for rows `X` (N, D), in the precision of `X`."""
        constants = self.constants.to(X)
        namespace = _Namespace()

        def node(position: int, token: Token, arguments: list[torch.Tensor]) -> torch.Tensor:
            if token.input_var is not None:
                return X[:, token.input_var]
            if position in self._slots:
                return constants[self._slots[position]]
            if isinstance(token, HardCodedConstant):
                return X.new_tensor(token.value)
            if isinstance(token, StateChecker):
                a, b = arguments
                return torch.where(X[:, token.state_index] < token.threshold, a, b)
            return apply_form(operator_of(token, "torch").array, namespace, *arguments)

        values: torch.Tensor = fold(self.tokens, node)
        return values.expand(X.shape[0])  # not len(X), which tracing takes for a fixed number
