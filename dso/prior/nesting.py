"""Bounds on how often operators occur below others."""

from collections.abc import Mapping

from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint


class NestingConstraint(Constraint):
    """On no path below an operator do others occur more often than given.

    Parameters
    ----------
    library : Library
    limits : mapping
        Outer operator to inner tokens and how often each may occur below it, the outer one itself
        not counted: ``{"sin": {"sin": 0, "cos": 1}}``.
    """

    def __init__(
        self, library: Library, limits: Mapping[str, Mapping[str, int]] | None = None
    ) -> None:
        super().__init__(library)
        self.limits = [
            (library.index(outer), library.index(inner), limit)
            for outer, inners in (limits or {}).items()
            for inner, limit in inners.items()
        ]

    def validate(self) -> str | None:
        """Without a bound there is nothing to forbid."""
        return None if self.limits else "There are no limits."

    def compile(self, rules: _core.RuleSet) -> None:
        """One counter of levels per pair."""
        for outer, inner, limit in self.limits:
            rules.limit_nesting(self.mask([outer]), self.mask([inner]), limit)

    def describe(self) -> str:
        """Return the bounds."""
        names = self.library.names
        bounds = [f"{names[i]} at most {n} times below {names[o]}" for o, i, n in self.limits]
        return f"nesting: {', '.join(bounds)}."
