"""Vocabulary: the tokens that the network knows, and where they are in a user's library."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from dso.errors import UserError, unknown
from dso.library import OPERATORS, HardCodedConstant, Library, create_tokens
from dso.pretraining.canonical import OPERATIONS

LITERALS = ("1.0", "2.0", "3.0")
OPERATOR_NAMES = (
    "add", "sub", "mul", "div", "neg", "inv", "n2", "n3", "n4", "sqrt", "pow", "exp", "expneg",
    "log", "logabs", "sin", "cos", "tan", "tanh", "abs", "arcsin", "arctan",
)  # fmt: skip


class Vocabulary:
    """The V tokens of a network in their order: inputs, `const`, `poly`, literals, operators.

    Parameters
    ----------
    n_inputs : int
    functions : sequence of str
        What follows the inputs, as in a function set.

    Attributes
    ----------
    names : tuple of str
    const : int
        The token `const`, -1 without one.
    library : Library
        The same tokens in the same order, to execute programs.
    """

    def __init__(
        self,
        n_inputs: int = 3,
        functions: Sequence[str] = ("const", "poly", *LITERALS, *OPERATOR_NAMES),
    ) -> None:
        if n_inputs < 1:
            raise UserError(f"a vocabulary needs at least one input, not {n_inputs}.")
        for name in functions:
            if name in OPERATORS and name not in OPERATIONS:
                raise unknown("operator", name, OPERATIONS, "vocabulary")
        self.n_inputs = n_inputs
        self.functions = tuple(functions)
        self.library = Library(create_tokens(n_inputs, list(functions)))
        self.names = tuple(self.library.names)
        self.index = {name: i for i, name in enumerate(self.names)}
        self.const = self.index.get("const", -1)
        self.arities = [int(arity) for arity in self.library.arities]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def literals(self) -> dict[float, int]:
        """Tokens of the numbers that have one."""
        return {
            token.value: i
            for i, token in enumerate(self.library.tokens)
            if isinstance(token, HardCodedConstant)
        }

    def tokens_in(self, library: Library) -> np.ndarray:
        """Return which token of a library each of ours is, (V,) int, -1 where it has none.

        A protected operator is taken for the one that it guards.
        """
        found = np.full(len(self), -1)
        for token, name in enumerate(self.names):
            found[token] = self._index_in(library, name)
        return found

    def _index_in(self, library: Library, name: str) -> int:
        token = self.library.tokens[self.index[name]]
        if isinstance(token, HardCodedConstant):
            literal = library.find_literal(token.value)
            return -1 if literal is None else literal
        if name not in library.names:
            return -1
        index = library.names.index(name)
        is_ours = token.arity == library.arities[index] and token.input_var == (
            library.tokens[index].input_var
        )
        return index if is_ours else -1
