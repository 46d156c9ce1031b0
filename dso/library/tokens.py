"""Tokens: the symbols that expressions are made of."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library.definition import defined_operator
from dso.library.functions import BY_FUNCTION, Operator
from dso.library.polynomial import FittedPolynomial
from dso.library.unit_rules import UnitRule


class Token:
    """A symbol with its arity and its cost.

    Parameters
    ----------
    function : callable or None
        Vectorised over rows, one array per child; None for an input.
    name : str
        Shown in expressions, and looked up in text.
    arity, complexity : int
    input_var : int or None
        Zero-based column, if the token is an input.

    Attributes
    ----------
    origin : (callable, tuple) or None
        Where it was imported: what returns it, and its arguments.
    """

    origin: tuple[Callable[..., Token], tuple] | None = None

    def __init__(
        self,
        function: Callable[..., Any] | None,
        name: str,
        arity: int,
        complexity: int,
        input_var: int | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.arity = arity
        self.complexity = complexity
        self.input_var = input_var
        if input_var is not None and (function is not None or arity != 0):
            raise UserError(f"token {name!r}: an input has neither function nor children.")

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Code of a file is found again by its path: pickle can import nothing but modules.
        return self.origin or super().__reduce_ex__(protocol)

    @property
    def operator(self) -> Operator | None:
        """Row of the operator table behind the token; None for anything else."""
        return BY_FUNCTION.get(id(self.function))

    @property
    def units(self) -> UnitRule:
        """What it asks of the dimensions of its arguments."""
        return "pure" if self.operator is None else self.operator.units

    def __call__(self, *arguments: np.ndarray) -> np.ndarray:
        if self.function is None:
            raise UserError(f"token {self.name!r} has no function to call.")
        if len(arguments) != self.arity:
            raise UserError(
                f"token {self.name!r} takes {self.arity} arguments, {len(arguments)} were given."
            )
        return self.function(*arguments)

    def __getstate__(self) -> dict[str, Any]:
        if type(self) is not Token or self.operator is not None:
            return self.__dict__
        try:
            pickle.dumps(self.function)
        except Exception as error:  # pickle raises many kinds
            raise UserError(
                f"token {self.name!r} cannot be stored: its function {self.function!r} has no name "
                "in a module, as lambdas and functions in functions have none. Define it at the "
                "top of a module or notebook, or by a text such as "
                f"'{self.name}(x) = x^2'."
            ) from error
        return self.__dict__

    def __repr__(self) -> str:
        return self.name


class DefinedToken(Token):
    """An operator that is a formula of others: the machine expands it, programs count one token.

    Parameters
    ----------
    row : Operator
        With a `definition`.
    """

    def __init__(self, row: Operator) -> None:
        self.row = row
        super().__init__(row.numpy, row.name, row.arity, row.complexity)

    @property
    def operator(self) -> Operator:
        """The row that the definition stands for."""
        return self.row

    def __reduce__(self) -> tuple[Any, ...]:
        return _token_of_text, (self.row.definition.text,)


def _token_of_text(text: str) -> DefinedToken:
    return DefinedToken(defined_operator(text, "a stored operator"))


class HardCodedConstant(Token):
    """A number of the function set; its name is the number."""

    def __init__(self, value: float, name: str | None = None) -> None:
        self.value = float(value)
        super().__init__(self._get, name or repr(self.value), 0, 1)

    def _get(self) -> np.ndarray:
        return np.array([self.value])


class PlaceholderConstant(Token):
    """The token `const`: a number of the program, shown once it is known."""

    def __init__(self, value: float | None = None) -> None:
        self.value = None if value is None else float(value)
        super().__init__(self._get, "const", 0, 1)

    def _get(self) -> np.ndarray:
        if self.value is None:
            raise UserError("token 'const' has no value yet.")
        return np.array([self.value])

    def __repr__(self) -> str:
        return self.name if self.value is None else repr(self.value)


class Polynomial(Token):
    """The token `poly`: a polynomial of all inputs, shown once it is fitted to the data.

    Its complexity is 1 before, and then its number of terms.
    """

    def __init__(self, fitted: FittedPolynomial | None = None) -> None:
        self.fitted = fitted
        super().__init__(None, "poly", 0, 1 if fitted is None else fitted.n_terms)

    def to_str_tokens(self) -> list[str]:
        """Return the fitted polynomial as names and numbers in prefix order."""
        if self.fitted is None:
            raise UserError("token 'poly' is not fitted yet.")
        return self.fitted.to_str_tokens()

    def __repr__(self) -> str:
        return self.name if self.fitted is None else str(self.fitted)


class StateChecker(Token):
    """The token ``x_i < t``: first child where it holds, second child elsewhere.

    Parameters
    ----------
    state_index : int
        Zero-based column that is compared.
    threshold : float
    """

    def __init__(self, state_index: int, threshold: float) -> None:
        self.state_index = state_index
        self.threshold = float(threshold)
        super().__init__(None, f"x{state_index + 1} < {threshold}", 2, 1)

    @property
    def units(self) -> UnitRule:
        """Both branches are of what the whole is."""
        return "same"


class DiscreteAction(Token):
    """The token ``a_v``: one action of an environment with a single discrete choice.

    Parameters
    ----------
    value : int
        Zero-based action; its name counts from 1.
    """

    def __init__(self, value: int) -> None:
        self.value = value
        super().__init__(self._get, f"a_{value + 1}", 0, 1)

    def _get(self) -> np.ndarray:
        return np.array([float(self.value)])


class MultiDiscreteAction(Token):
    """The token ``ad_v``: sets one dimension of an action vector, the rest is its argument's.

    Parameters
    ----------
    dimension, value : int
        Zero-based; the name counts both from 1.
    """

    def __init__(self, dimension: int, value: int) -> None:
        self.dimension = dimension
        self.value = value
        super().__init__(self._set, f"a{dimension + 1}_{value + 1}", 1, 1)

    def _set(self, action: np.ndarray) -> np.ndarray:
        action = np.array(action)
        action[..., self.dimension] = self.value
        return action


class Stop(Token):
    """The token ``STOP``: the action vector before any component is set.

    Parameters
    ----------
    default : sequence of int
        Value of each dimension that a branch does not set.
    """

    def __init__(self, default: Sequence[int]) -> None:
        self.default = np.asarray(default, dtype=np.float64)
        super().__init__(self._get, "STOP", 0, 1)

    def _get(self) -> np.ndarray:
        return self.default[np.newaxis].copy()  # (1, D)
