"""Bounds on the complexity of arguments."""

from collections.abc import Mapping, Sequence

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint, present
from dso.prior.sizes import in_units, whole_sizes

NO_LIMIT = -1


class ArgumentSizeConstraint(Constraint):
    """Each argument of an operator has at most the complexity given for it.

    Parameters
    ----------
    library : Library
    limits : mapping
        Operator to a bound for each of its arguments, in order, or to one for all; -1 is none:
        ``{"pow": [-1, 1], "cos": 5}``.
    """

    def __init__(
        self, library: Library, limits: Mapping[str, int | Sequence[int]] | None = None
    ) -> None:
        super().__init__(library)
        shape = self.L, int(library.arities.max(initial=0))
        self.limits = np.full(shape, NO_LIMIT, dtype=np.int32)
        self.given = present(library, limits or {}, "prior.argument_size.limits")
        for name, bounds in self.given.items():
            token = library.index(name)
            arity = int(library.arities[token])
            if isinstance(bounds, Sequence) and len(bounds) != arity:
                raise UserError(
                    f"prior.argument_size.limits.{name}: {list(bounds)} has {len(bounds)} bounds; "
                    f"{name} takes {arity} arguments."
                )
            self.limits[token, :arity] = bounds
            if (self.limits[token, :arity] < NO_LIMIT).any():
                raise UserError(
                    f"prior.argument_size.limits.{name}: {bounds}; a bound is 0 or more, or -1 for "
                    "none."
                )

    def validate(self) -> str | None:
        """Without a bound there is nothing to forbid."""
        return None if (self.limits != NO_LIMIT).any() else "There are no limits."

    def compile(self, rules: _core.RuleSet) -> None:
        """Each open node knows the room left for its next argument."""
        sizes, q = whole_sizes(self.library)
        limits = self.limits
        if q > 1:
            limits = np.where(limits == NO_LIMIT, NO_LIMIT, in_units(limits, q)).astype(np.int32)
        rules.limit_size(sizes, None, limits)

    def describe(self) -> str:
        """Return the bounds."""
        bounds = ", ".join(f"{name} {bound}" for name, bound in self.given.items())
        return f"argument_size: complexities of arguments are at most: {bounds}."
