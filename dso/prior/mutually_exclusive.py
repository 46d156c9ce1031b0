"""Tokens that exclude each other."""

from collections.abc import Sequence

from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint


class MutuallyExclusiveConstraint(Constraint):
    """A program holds at most one kind of the tokens, that one as often as it likes.

    Parameters
    ----------
    library : Library
    tokens : str or sequence
        Token names, comma-separated or listed.
    """

    def __init__(self, library: Library, tokens: str | Sequence[str] = ()) -> None:
        super().__init__(library)
        self.tokens = [int(t) for t in library.actionize(tokens)]

    def validate(self) -> str | None:
        """One token alone excludes nothing."""
        return None if len(set(self.tokens)) > 1 else "There are fewer than two Tokens."

    def compile(self, rules: _core.RuleSet) -> None:
        """Once one has appeared the others are masked."""
        rules.exclude_each_other(self.mask(self.tokens))

    def describe(self) -> str:
        """Return the tokens."""
        return f"mutually_exclusive: at most one kind of [{self.names(self.tokens)}]."
