"""What a row of the operator table is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dso.library.unit_rules import UnitRule

INF = float("inf")


@dataclass(frozen=True)
class Interval:
    """A set of reals: from `low` to `high`, open where said, without the points in `excluded`."""

    low: float = -INF
    high: float = INF
    open_low: bool = False
    open_high: bool = False
    excluded: tuple[float, ...] = ()

    def covers(self, low: float, high: float) -> bool:
        """Tell whether all of [low, high] lies inside, taking open ends for closed ones."""
        inside = self.low <= low and high <= self.high
        return inside and not any(low <= point <= high for point in self.excluded)


Inverse = tuple[Any, ...]
"""Operator and its operands, which solve y = f(a, b) for one argument: ``("sub", "y", "b")``.

An operand is y, the other argument, a number, or again an operator with its operands. What no
operator of the table can say is a function in the place of the operator's name.
"""

Form = str | Callable[..., Any]
"""A function of a namespace by its name, or what is called with the namespace and the arguments."""

Code = str | tuple[str, str]
"""How source code calls an operator; what the language lacks is defined before.

``"sin"`` is a function of the language. ``"cube(a) = a * a * a"`` is one with its value, and
``("name", "definition")`` one whose definition is longer. Empty for arithmetic, which has signs.
"""


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    Attributes
    ----------
    name : str
        Token name in function sets.
    arity, complexity : int
    formula : str
        The value in terms of the arguments a and b.
    numpy : callable
        Vectorised definition; its identity also tells a built-in token from a user's.
    sympy : str or callable
        Form in the namespace sympy. A function that is named is read back where sympy has
        rewritten an expression.
    array : str or callable
        Form in a namespace that has numpy's names, as torch and jax: see `dso.export`. Where a
        protected operator takes its other branch, the first one is to be computed from a harmless
        argument, so that its derivative is a number too.
    numpy_code, c_code : str or tuple of str
        See `Code`.
    scipy : str
        Function of `scipy.special` that the numpy code needs.
    aliases : tuple of str
        Other accepted names (numpy's, PySR's).
    domain : tuple of Interval
        Per argument, where the value is finite and real. Empty stands for all reals.
    range : Interval
    derivative : tuple of str
        Per argument, in terms of the arguments a, b and of the value y; 0 where a guard acts.
    inverse : tuple of Inverse or None
        Per argument, how to solve for it; empty where no argument can be had. Of several solutions
        it is the principal one; a protected operator has those of the one that it guards.
    pole : callable, optional
        Of the arguments: where an infinite value is a division by zero, not an overflow.
    parity : {"", "even", "odd"}
        Whether f(-a) is f(a) or -f(a).
    symmetry : {"", "even", "odd"}
        Whether f(b, a) is f(a, b) or -f(a, b).
    period : float
        0 for none.
    protected : str or None
        Row that replaces this one under ``protected: true``.
    display : str
        Name shown in expressions; `name` where empty.
    guard : callable, optional
        Called like a form of sympy, returns the condition under which the value is that of
        `sympy`, and the number that it is otherwise. Without it there is no other case.
    is_trigonometric : bool
        Whether the prior `trig` counts it.
    cancels : str
        Operator that the prior `inverse` lets stand neither directly above nor below.
    above_poly : bool
        Whether a fitted polynomial may stand below it.
    search_cost : int
        What it adds to the cost of an expression in the search by values.
    units : str, tuple of Fraction or LinearRule
        See `dso.library.unit_rules.UnitRule`.
    definition : Definition, optional
        The formula of operators of the table that it stands for: see `dso.library.definition`.
    """

    name: str
    arity: int
    complexity: int
    formula: str
    numpy: Callable[..., Any]
    sympy: Form
    array: Form
    numpy_code: Code = ""
    c_code: Code = ""
    scipy: str = ""
    aliases: tuple[str, ...] = ()
    domain: tuple[Interval, ...] = ()
    range: Interval = Interval()
    derivative: tuple[str, ...] = ()
    inverse: tuple[Inverse | None, ...] = ()
    pole: Callable[..., np.ndarray] | None = None
    parity: str = ""
    symmetry: str = ""
    period: float = 0.0
    protected: str | None = None
    display: str = ""
    guard: Callable[..., tuple[Any, int]] | None = None
    is_trigonometric: bool = False
    cancels: str = ""
    above_poly: bool = True
    search_cost: int = 1
    units: UnitRule = "pure"
    definition: Any = None

    @property
    def shown(self) -> str:
        """Name of the token in expressions."""
        return self.display or self.name


def apply_form(form: Form, namespace: Any, *arguments: Any) -> Any:
    """Return the value of a form in a namespace."""
    if isinstance(form, str):
        return getattr(namespace, form)(*arguments)
    return form(namespace, *arguments)
