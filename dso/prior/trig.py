"""No trigonometric function inside another."""

from dso.library import Library
from dso.prior.relational import RelationalConstraint


class TrigConstraint(RelationalConstraint):
    """Trigonometric tokens may not be descendants of trigonometric tokens.

    Parameters
    ----------
    library : Library
    arc : bool
        Whether `arcsin` and its like count as trigonometric. The sine of an angle that is an
        `arccos`, or the `arcsin` of a sine, is common in optics and astronomy.
    """

    def __init__(self, library: Library, arc: bool = True) -> None:
        tokens = [t for t in library.trig_tokens if arc or not library.names[t].startswith("arc")]
        super().__init__(library, tokens, tokens, "descendant")

    def describe(self) -> str:
        """Return the tokens."""
        return f"trig: [{self.names(self.targets)}] may not be nested."
