"""Where a fitted polynomial may occur."""

from dso.library import OPERATORS
from dso.native import _core
from dso.prior.prior import Constraint

NOT_ABOVE_POLY = tuple(dict.fromkeys(row.shown for row in OPERATORS.values() if not row.above_poly))
"""Shown names of the operators below which a polynomial may not stand."""


class PolyConstraint(Constraint):
    """At most one `poly`, not together with `const`, and not below functions of no single inverse.

    Added by itself where the library has `poly`.
    """

    def compile(self, rules: _core.RuleSet) -> None:
        """Count limits and one ancestor group."""
        library = self.library
        assert library.poly_token is not None  # or it would not have been added
        poly = self.mask([library.poly_token])
        rules.limit_count(poly, 1, poly)
        above = [t for t, name in enumerate(library.names) if name in NOT_ABOVE_POLY]
        if above:
            rules.forbid_descendant(self.mask(above), poly)
        if library.const_token is not None:
            const = self.mask([library.const_token])
            rules.limit_count(poly, 1, const)
            rules.limit_count(const, 1, poly)

    def describe(self) -> str:
        """Return the rule in words."""
        return (
            "poly: at most one poly per program, not with const, "
            f"not below {', '.join(NOT_ABOVE_POLY)}."
        )
