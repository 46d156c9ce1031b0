"""No function directly inside its inverse."""

from dso.native import _core
from dso.prior.prior import Constraint


class InverseUnaryConstraint(Constraint):
    """Each unary token may not be the child of its inverse, e.g. log of exp or exp of log."""

    def validate(self) -> str | None:
        """Without a pair of inverses there is nothing to forbid."""
        return None if self.library.inverse_tokens else "There are no inverse pairs of Tokens."

    def compile(self, rules: _core.RuleSet) -> None:
        """One child rule per ordered pair."""
        for token, inverse in self.library.inverse_tokens.items():
            rules.forbid_child(self.mask([inverse]), self.mask([token]))

    def describe(self) -> str:
        """Return the pairs."""
        pairs = {tuple(sorted(pair)) for pair in self.library.inverse_tokens.items()}
        named = ", ".join(f"({self.names(pair)})" for pair in sorted(pairs))
        return f"inverse: no token is the child of its inverse: {named}."
