"""Bounds on how often tokens occur."""

from collections.abc import Sequence

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint


class RepeatConstraint(Constraint):
    """The tokens occur, all together, between `min_` and `max_` times.

    Parameters
    ----------
    library : Library
    tokens : str or sequence
        Token names, comma-separated or listed.
    min_, max_ : int or None
        At least one is given.
    """

    binds_single_tokens = True

    def __init__(
        self,
        library: Library,
        tokens: str | Sequence[str],
        min_: int | None = None,
        max_: int | None = None,
    ) -> None:
        super().__init__(library)
        if min_ is None and max_ is None:
            raise UserError("prior.repeat: give min_, max_ or both.")
        if max_ is not None and max_ < (min_ or 0):
            raise UserError(f"prior.repeat: max_ = {max_} is below min_ = {min_}.")
        self.tokens = [int(t) for t in library.actionize(tokens)]
        self.min = min_
        self.max = max_

    def validate(self) -> str | None:
        """An empty set cannot be counted."""
        return None if self.tokens else "There are no Tokens to count."

    def compile(self, rules: _core.RuleSet) -> None:
        """A counter with a ceiling, and a floor that looks ahead to the length limit."""
        group = self.mask(self.tokens)
        if self.max is not None:
            rules.limit_count(group, self.max, group)
        if self.min is not None:
            rules.require_count(group, self.min)

    def describe(self) -> str:
        """Return the bounds."""
        bounds = [f"at least {self.min}"] * (self.min is not None)
        bounds += [f"at most {self.max}"] * (self.max is not None)
        times = " and ".join(bounds)
        return f"repeat: [{self.names(self.tokens)}] occur {times} times in all."
