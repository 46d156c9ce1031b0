"""Bounds on how often operators occur below others."""

from collections import defaultdict
from collections.abc import Mapping

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint, present


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
            (i, j, limit)
            for outer, inners in present(library, limits or {}, "prior.nesting.limits").items()
            for i in [library.index(str(outer))]
            for inner, limit in present(library, inners, f"prior.nesting.limits.{outer}").items()
            for j in [library.index(str(inner))]
        ]
        for outer, inner, limit in self.limits:
            if limit < 0:
                where = f"prior.nesting.limits.{library.names[outer]}.{library.names[inner]}"
                raise UserError(f"{where}: {limit} is less than 0.")

    def validate(self) -> str | None:
        """Without a bound there is nothing to forbid."""
        return None if self.limits else "There are no limits."

    def compile(self, rules: _core.RuleSet) -> None:
        """One counter of levels for all pairs that can share it.

        With a limit of 0 the tokens below an outer one are simply forbidden, so all inner ones of
        it go together, and outer ones with the same. With others, the highest of several outer ones
        counts for those below it.
        """
        forbidden: dict[int, set[int]] = defaultdict(set)
        counted: dict[tuple[int, int], set[int]] = defaultdict(set)
        for outer, inner, limit in self.limits:
            if limit == 0:
                forbidden[outer].add(inner)
            else:
                counted[inner, limit].add(outer)
        outers: dict[frozenset[int], set[int]] = defaultdict(set)
        for outer, inners in forbidden.items():
            outers[frozenset(inners)].add(outer)
        for below, above in outers.items():
            rules.forbid_descendant(self.mask(above), self.mask(below))
        for (inner, limit), above in counted.items():
            rules.limit_nesting(self.mask(above), self.mask([inner]), limit)

    def describe(self) -> str:
        """Return the bounds."""
        names = self.library.names
        bounds = [f"{names[i]} at most {n} times below {names[o]}" for o, i, n in self.limits]
        return f"nesting: {', '.join(bounds)}."
