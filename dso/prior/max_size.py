"""A bound on the complexity of programs."""

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint
from dso.prior.sizes import in_units, whole_sizes


class MaxSizeConstraint(Constraint):
    """The sum of token complexities is at most `max_`.

    Parameters
    ----------
    library : Library
    max_ : int
    """

    binds_single_tokens = True

    def __init__(self, library: Library, max_: int | None = None) -> None:
        super().__init__(library)
        if max_ is None:
            raise UserError("prior.max_size.max_: give the greatest complexity.")
        self.max = max_

    def compile(self, rules: _core.RuleSet) -> None:
        """Every slot still open is counted with the cheapest terminal."""
        no_limits = np.full((self.L, int(self.library.arities.max(initial=0))), -1, dtype=np.int32)
        sizes, q = whole_sizes(self.library)
        rules.limit_size(sizes, in_units(self.max, q), no_limits)

    def describe(self) -> str:
        """Return the bound."""
        return f"max_size: the complexity of a program is at most {self.max}."
