"""Bounds on the number of tokens."""

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint


class LengthConstraint(Constraint):
    """Keep the length within [`min_`, `max_`]; a program of one token is never written.

    Parameters
    ----------
    library : Library
    min_, max_ : int or None
        At least one is given.
    """

    def __init__(self, library: Library, min_: int | None = None, max_: int | None = None) -> None:
        super().__init__(library)
        if min_ is None and max_ is None:
            raise UserError("prior.length: give min_, max_ or both.")
        if max_ is not None and max_ < max(min_ or 1, 2):
            raise UserError(f"prior.length: max_ = {max_} must be at least 2 and min_ = {min_}.")
        self.min = min_
        self.max = max_

    def compile(self, rules: _core.RuleSet) -> None:
        """A token of arity a fits while open slots + a <= max - tokens chosen."""
        rules.limit_length(self.min or 1, self.max)
        rules.forbid_first(self.mask(self.library.terminal_tokens))

    def describe(self) -> str:
        """Return the bounds."""
        bounds = [f"at least {self.min}"] * (self.min is not None)
        bounds += [f"at most {self.max}"] * (self.max is not None)
        return f"length: programs have {' and '.join(bounds)} tokens."
