"""What may take the place of a node: a + k e and parts of it, with an operator around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dso.library import Library
from dso.program import ProgramBatch

Values = Callable[[np.ndarray], np.ndarray]

WRAPS: dict[str, tuple[Values, Values, Values]] = {
    "sqrt": (np.sqrt, np.square, lambda w: 0.5 / np.sqrt(w)),
    "n2": (np.square, np.sqrt, lambda w: 2 * w),
    "exp": (np.exp, np.log, np.exp),
    "log": (np.log, np.exp, lambda w: 1 / w),
    "inv": (np.reciprocal, np.reciprocal, lambda w: -1 / w**2),
}
"""Operators that forms are tried in: value, inverse and derivative."""


@dataclass(frozen=True)
class Form:
    """One of e, a, k e, a + e and a + k e.

    Attributes
    ----------
    tokens : tuple of int
        Before the entry.
    cost : float
        Their complexity.
    has_entry, has_offset, has_factor : bool
    """

    tokens: tuple[int, ...]
    cost: float
    has_entry: bool = True
    has_offset: bool = False
    has_factor: bool = False


@dataclass(frozen=True)
class Wrap:
    """An operator around a form.

    Attributes
    ----------
    tokens, numbers : tuple
        Before the form, with the numbers of constants among them.
    cost : float
        Their complexity.
    value, inverse, slope : callable
        Values of the form -> values of the node; the other way round; values of the form ->
        derivatives of the node in them.
    """

    tokens: tuple[int, ...]
    numbers: tuple[float, ...]
    cost: float
    value: Values
    inverse: Values
    slope: Values


@dataclass(frozen=True)
class Grammar:
    """The forms that a library can say.

    Attributes
    ----------
    costs : (L,) float64
        Complexity of each token.
    forms : list of Form
    wraps : list of Wrap
        None at all first.
    functions : list of (int, callable)
        Operators of one argument that are applied to parts of a program: token and values.
    """

    costs: np.ndarray
    forms: list[Form]
    wraps: list[Wrap]
    functions: list[tuple[int, Values]]

    @staticmethod
    def of(library: Library, complexity: Callable[[ProgramBatch], np.ndarray]) -> Grammar:
        """Find the tokens, and ask what each adds to a complexity."""
        costs = complexity(ProgramBatch.from_rows([[i] for i in range(library.L)]))
        functions: list[tuple[int, Values]] = [
            (i, token.operator.numpy)
            for i, token in enumerate(library.tokens)
            if token.operator is not None and token.arity == 1 and not library.is_python[i]
        ]
        return Grammar(costs, _forms(library, costs), _wraps(library, costs), functions)


def _tokens(library: Library) -> dict[str, int]:
    """Return the token of each operator, by its name."""
    return {
        token.operator.name: i
        for i, token in enumerate(library.tokens)
        if token.operator is not None
    }


def _forms(library: Library, costs: np.ndarray) -> list[Form]:
    has, const = _tokens(library), library.const_token
    forms = [Form((), 0.0)]
    if const is None:
        return forms
    forms.append(Form((const,), float(costs[const]), has_entry=False, has_offset=True))
    add, mul = has.get("add"), has.get("mul")
    ways: list[tuple[tuple[int | None, ...], dict[str, bool]]] = [
        ((mul, const), {"has_factor": True}),
        ((add, const), {"has_offset": True}),
        ((add, const, mul, const), {"has_offset": True, "has_factor": True}),
    ]
    for tokens, parts in ways:
        known = tuple(token for token in tokens if token is not None)
        if len(known) == len(tokens):
            forms.append(Form(known, float(costs[list(known)].sum()), **parts))
    return forms


def _wraps(library: Library, costs: np.ndarray) -> list[Wrap]:
    has, const = _tokens(library), library.const_token
    wraps = [Wrap((), (), 0.0, lambda v: v, lambda v: v, np.ones_like)]
    inverted: tuple[tuple[int, ...], tuple[float, ...]] | None = None
    tokens: tuple[int, ...]
    numbers: tuple[float, ...]
    if "inv" in has:
        inverted = (has["inv"],), ()
    elif "div" in has and const is not None:
        inverted = (has["div"], const), (1.0,)
    for name, functions in WRAPS.items():
        if name == "inv" and inverted is not None:
            tokens, numbers = inverted
        elif name in has and name != "inv":
            tokens, numbers = (has[name],), ()
        else:
            continue
        wraps.append(Wrap(tokens, numbers, float(costs[list(tokens)].sum()), *functions))
    if inverted is not None and "sqrt" in has:
        tokens = (*inverted[0], has["sqrt"])
        cost = float(costs[list(tokens)].sum())
        functions = lambda w: 1 / np.sqrt(w), lambda v: 1 / v**2, lambda w: -0.5 * w**-1.5
        wraps.append(Wrap(tokens, inverted[1], cost, *functions))
    return wraps
