"""Decision trees without contradictory or useless branches."""

from dso.library import StateChecker
from dso.native import _core
from dso.prior.prior import Constraint


class StateCheckerConstraint(Constraint):
    """Order the conditions ``x_i < t`` of a decision tree.

    Below ``x_i < t`` the first branch holds no condition on an earlier input nor on x_i at t or
    above; the second none on x_i or an earlier input. Conditions stand at the root or below
    conditions, and the branches of one are not the same terminal. Added by itself where the library
    has conditions.
    """

    def compile(self, rules: _core.RuleSet) -> None:
        """Child rules by slot, and the only-child rule."""
        library = self.library
        checkers = {
            t: token for t, token in enumerate(library.tokens) if isinstance(token, StateChecker)
        }
        for index, parent in checkers.items():
            first = [
                other
                for other, child in checkers.items()
                if child.state_index < parent.state_index
                or (child.state_index == parent.state_index and child.threshold >= parent.threshold)
            ]
            later = [
                other
                for other, child in checkers.items()
                if child.state_index <= parent.state_index
            ]
            rules.forbid_child(self.mask([index]), self.mask(first), first=True, later=False)
            rules.forbid_child(self.mask([index]), self.mask(later), first=False, later=True)
        operators = [
            t for t, arity in enumerate(library.arities) if arity > 0 and t not in checkers
        ]
        rules.forbid_child(self.mask(operators), self.mask(checkers))
        rules.forbid_only_child(self.mask(checkers), self.mask(library.terminal_tokens))

    def describe(self) -> str:
        """Return the rule in words."""
        return "state_checker: conditions of a decision tree are ordered and their branches differ."
