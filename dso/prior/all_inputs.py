"""Every program uses every input."""

from dso.native import _core
from dso.prior.prior import Constraint


class AllInputsConstraint(Constraint):
    """Each input variable appears at least once."""

    binds_single_tokens = True

    def validate(self) -> str | None:
        """Without inputs there is nothing to require."""
        return None if len(self.library.input_tokens) else "There are no inputs."

    def compile(self, rules: _core.RuleSet) -> None:
        """What would leave too little room for the inputs still missing is masked."""
        rules.require_each(self.mask(self.library.input_tokens))

    def describe(self) -> str:
        """Return the rule in words."""
        return f"all_inputs: every program contains [{self.names(self.library.input_tokens)}]."
