"""A bound on the depth of programs."""

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint


class MaxDepthConstraint(Constraint):
    """No path from the root holds more than `max_` tokens; a single token has depth 1.

    Parameters
    ----------
    library : Library
    max_ : int
    """

    def __init__(self, library: Library, max_: int | None = None) -> None:
        super().__init__(library)
        if max_ is None:
            raise UserError("prior.max_depth.max_: give the greatest depth.")
        self.max = max_

    def compile(self, rules: _core.RuleSet) -> None:
        """Only terminals at the deepest level."""
        rules.limit_depth(self.max)

    def describe(self) -> str:
        """Return the bound."""
        return f"max_depth: the depth of a program is at most {self.max}."
