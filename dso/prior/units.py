"""Only programs whose units are consistent."""

from __future__ import annotations

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint
from dso.program.units import dimension_of, require_units, untold
from dso.units import Quantities
from dso.units.linear import solve


class UnitsConstraint(Constraint):
    """Every argument has the dimension that its operator asks for, and the whole that of y.

    Terms of a sum have one dimension, arguments of exp or sin are pure numbers; what each operator
    asks for is a column of the operator table.

    Parameters
    ----------
    library : Library
    quantities : Quantities, optional
        The units of the task; without them the prior is skipped.
    """

    binds_single_tokens = True

    def __init__(self, library: Library, quantities: Quantities | None = None) -> None:
        super().__init__(library)
        self.quantities = quantities

    def validate(self) -> str | None:
        """Without units the rule does not apply."""
        return "Prior disabled." if self.quantities is None else None

    def compile(self, rules: _core.RuleSet) -> None:
        """Rule, dimension and value of each token."""
        assert self.quantities is not None
        require_units(rules, self.library, self.quantities)

    def check(self, max_length: int) -> None:
        """Refuse a task where no program is consistent.

        Raises
        ------
        UserError
            It says whether the unit of y cannot be made of those of the inputs at all, or not by
            these tokens.
        """
        assert self.quantities is not None
        y, units = self.quantities.target, self.quantities.inputs
        terminals = [token for token in self.library.tokens if token.arity == 0]
        if y is None or any(dimension_of(token, self.quantities) is None for token in terminals):
            return
        names = self.library.input_names or [f"x{i + 1}" for i in range(len(units))]
        known = [(name, unit) for name, unit in zip(names, units, strict=True) if unit is not None]
        inputs = ", ".join(f"{name} [{unit.text}]" for name, unit in known)
        rules = self.rules()
        rules.look_ahead_to(max_length)
        if solve([unit.dimension.exponents for _, unit in known], y.dimension.exponents) is None:
            why = f"no product of powers of {inputs} has the unit of y [{y.text}]"
            hint = "correct the units, or let constants have some"
        elif rules.fewest_tokens() > max_length:
            tokens = self.names(np.flatnonzero(self.library.arities))
            why = f"{tokens} make no y [{y.text}] of {inputs} in {max_length} tokens"
            hint = "add operators such as 'mul', 'div' or 'sqrt', or let constants have units"
        else:
            return
        raise UserError(f"units: no expression is consistent: {why}; {hint}.")

    def describe(self) -> str:
        """Return what y has and constants may have."""
        assert self.quantities is not None
        y = self.quantities.target
        shown = "any unit" if y is None else f"[{y.text}]"
        constants = "none" if self.quantities.pure_constants else "any unit"
        pure = untold(self.library)
        rule = f"units: y has {shown}, constants {constants}; all terms and arguments agree."
        return f"{rule} {', '.join(pure)}: pure numbers alone." if pure else rule
