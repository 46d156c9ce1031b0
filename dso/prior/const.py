"""No operator over constants alone."""

from dso.library import Library
from dso.prior.relational import RelationalConstraint


class ConstConstraint(RelationalConstraint):
    """`const` may not be the only distinct child of any operator: it would be a constant again."""

    def __init__(self, library: Library) -> None:
        operators = [t for t, arity in enumerate(library.arities) if arity > 0]
        super().__init__(library, "const", operators, "uchild")

    def describe(self) -> str:
        """Return the rule in words."""
        return "const: no operator has only const as its children."
