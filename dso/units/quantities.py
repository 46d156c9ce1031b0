"""The known units of a problem: of inputs, of y, and of constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.units.dimension import PURE, Dimension
from dso.units.parser import Unit, parse_unit

MAX_MISMATCH = 1e-6
"""Relative size of a factor between two systems of units that is taken for rounding."""


@dataclass(frozen=True)
class Quantities:
    """The units of a table's columns.

    Attributes
    ----------
    inputs : (D,) tuple of (Unit or None)
        None for a unit that is not known: it then fits wherever the input stands.
    target : Unit or None
    pure_constants : bool
        Whether fitted constants are pure numbers; else each may have any unit.
    """

    inputs: tuple[Unit | None, ...]
    target: Unit | None
    pure_constants: bool = False

    @staticmethod
    def of(
        X_units: Any, y_units: Any, names: Sequence[str], *, pure_constants: bool = False
    ) -> Quantities | None:
        """Read the texts of units; None where neither inputs nor y have any.

        Parameters
        ----------
        X_units : sequence of (str or None), or None
            One for each input.
        y_units : str or None
        names : sequence of str
            Of the D inputs, for messages.
        pure_constants : bool

        Raises
        ------
        UserError
            If they are too many or too few, or a text is none of a unit.
        """
        if X_units is None and y_units is None:
            return None
        given = [None] * len(names) if X_units is None else listed(X_units, len(names), "X_units")
        inputs = (
            None if text is None else parse_unit(text, f"X_units[{i}] ({name})")
            for i, (name, text) in enumerate(zip(names, given, strict=True))
        )
        target = None if y_units is None else parse_unit(y_units, "y_units")
        return Quantities(tuple(inputs), target, pure_constants)

    def input_dimension(self, i: int) -> Dimension | None:
        """Return that of one input, None where it may have any."""
        unit = self.inputs[i]
        return None if unit is None else unit.dimension

    @property
    def target_dimension(self) -> Dimension | None:
        """That of y, None where it may have any."""
        return None if self.target is None else self.target.dimension

    @property
    def constant_dimension(self) -> Dimension | None:
        """That of fitted constants, None where they may have any."""
        return PURE if self.pure_constants else None

    def mixture(self) -> list[Unit]:
        """Return units that do not belong to a common system, as km and m/s; empty if all do.

        In one system there are sizes s_i of the base units with factor = prod_i s_i^e_i for each
        unit. In a mixture, numbers do not add up as they stand.
        """
        known = [unit for unit in (*self.inputs, self.target) if unit is not None]
        for n in range(2, len(known) + 1):
            exponents = np.array([[float(e) for e in u.dimension.exponents] for u in known[:n]])
            logs = np.log([unit.factor for unit in known[:n]])
            sizes = np.linalg.lstsq(exponents, logs, rcond=None)[0]
            if np.abs(exponents @ sizes - logs).max() > MAX_MISMATCH:
                return known[:n]
        return []


def listed(given: Any, n: int, name: str) -> list[Any]:
    """Return n texts, or refuse what is given."""
    is_list = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    if not is_list or len(given) != n:
        found = f"{len(given)} of them" if is_list else repr(given)
        raise UserError(f"{name}: {found}; expected a list of {n} units, one for each column.")
    return [text.item() if isinstance(text, np.generic) else text for text in given]
