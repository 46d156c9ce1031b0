"""Relations between two sets of tokens that may not occur."""

from collections.abc import Iterable

from dso.errors import unknown
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint

RELATIONSHIPS = {
    "child": "a child",
    "descendant": "a descendant",
    "sibling": "a sibling",
    "uchild": "the only distinct child",
    "lchild": "the first child",
    "rchild": "a later child",
}


class RelationalConstraint(Constraint):
    """`targets` may not be the `relationship` of `effectors`.

    Parameters
    ----------
    library : Library
    targets, effectors : str or iterable
        Token names, comma-separated or listed, of any arity.
    relationship : {"child", "descendant", "sibling", "uchild", "lchild", "rchild"}
        ``sibling`` is symmetric. ``uchild`` masks a target as the last child where every child
        before it is that same target (for a unary effector: as its child).
    """

    def __init__(
        self,
        library: Library,
        targets: str | Iterable[str | int],
        effectors: str | Iterable[str | int],
        relationship: str,
    ) -> None:
        super().__init__(library)
        if relationship not in RELATIONSHIPS:
            raise unknown(
                "relationship", relationship, RELATIONSHIPS, "prior.relational.relationship"
            )
        self.targets = [int(t) for t in library.actionize(targets)]
        self.effectors = [int(t) for t in library.actionize(effectors)]
        self.relationship = relationship

    def validate(self) -> str | None:
        """Terminals have no children; empty sets relate to nothing."""
        if not self.targets:
            return "There are no target Tokens."
        if not self.effectors:
            return "There are no effector Tokens."
        terminal = [e for e in self.effectors if self.library.arities[e] == 0]
        if self.relationship != "sibling" and terminal:
            return f"Terminals ({self.names(terminal)}) have no {self.relationship}."
        return None

    def compile(self, rules: _core.RuleSet) -> None:
        """One table entry per relationship."""
        targets, effectors = self.mask(self.targets), self.mask(self.effectors)
        match self.relationship:
            case "child":
                rules.forbid_child(effectors, targets)
            case "lchild":
                rules.forbid_child(effectors, targets, first=True, later=False)
            case "rchild":
                rules.forbid_child(effectors, targets, first=False, later=True)
            case "uchild":
                rules.forbid_only_child(effectors, targets)
            case "descendant":
                rules.forbid_descendant(effectors, targets)
            case "sibling":
                rules.forbid_sibling(effectors, targets)
                rules.forbid_sibling(targets, effectors)

    def describe(self) -> str:
        """Return the relation in words."""
        return (
            f"relational: [{self.names(self.targets)}] may not be "
            f"{RELATIONSHIPS[self.relationship]} of [{self.names(self.effectors)}]."
        )
