"""Chains of discrete actions."""

from collections import defaultdict

from dso.library import Library, MultiDiscreteAction
from dso.native import _core
from dso.prior.prior import Constraint


class MultiDiscreteConstraint(Constraint):
    """Each dimension of an action is set at most once in a branch.

    Parameters
    ----------
    library : Library
    dense : bool
        Every branch sets all dimensions before it stops.
    ordered : bool
        Dimensions are set in rising order.
    """

    def __init__(self, library: Library, dense: bool = False, ordered: bool = False) -> None:
        super().__init__(library)
        self.dense = dense
        self.ordered = ordered
        self.dimensions: dict[int, list[int]] = defaultdict(list)
        for t, token in enumerate(library.tokens):
            if isinstance(token, MultiDiscreteAction):
                self.dimensions[token.dimension].append(t)
        self.stop = [int(t) for t in library.stop_tokens]

    def validate(self) -> str | None:
        """Without such actions there is nothing to order."""
        return None if self.dimensions else "There are no multi-discrete action Tokens."

    def compile(self, rules: _core.RuleSet) -> None:
        """Ancestor groups per dimension; `stop` needs them all where `dense`."""
        actions = sorted(self.dimensions.items())
        groups = [rules.forbid_descendant(self.mask(same), self.mask(same)) for _, same in actions]
        if self.ordered:
            for dimension, tokens in actions:
                before = [t for other, same in actions if other <= dimension for t in same]
                rules.forbid_child(self.mask(tokens), self.mask(before))
        if not self.dense:
            return
        rules.require_ancestors(self.mask(self.stop), groups)
        if self.ordered:
            for i, (_, tokens) in enumerate(actions):
                rules.require_ancestors(self.mask(tokens), groups[:i])

    def describe(self) -> str:
        """Return the rule in words."""
        extra = [" and all are set"] * self.dense + [" and in rising order"] * self.ordered
        return f"multi_discrete: each dimension is set at most once in a branch{''.join(extra)}."
