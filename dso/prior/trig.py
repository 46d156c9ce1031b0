"""No trigonometric function inside another."""

from dso.library import Library
from dso.prior.relational import RelationalConstraint


class TrigConstraint(RelationalConstraint):
    """Trigonometric tokens may not be descendants of trigonometric tokens."""

    def __init__(self, library: Library) -> None:
        super().__init__(library, library.trig_tokens, library.trig_tokens, "descendant")

    def describe(self) -> str:
        """Return the tokens."""
        return f"trig: [{self.names(self.targets)}] may not be nested."
