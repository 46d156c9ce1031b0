"""Every program uses an input."""

from dso.native import _core
from dso.prior.prior import Constraint


class NoInputsConstraint(Constraint):
    """At least one input variable must appear."""

    def validate(self) -> str | None:
        """Where every terminal is an input, or none is, there is nothing to demand."""
        if not len(self.library.input_tokens):
            return "There are no input Tokens."
        return None if len(self.library.float_tokens) else "All terminal Tokens are inputs."

    def compile(self, rules: _core.RuleSet) -> None:
        """Other terminals may not fill the last open slot before an input was written."""
        rules.require_count(self.mask(self.library.input_tokens), 1)

    def describe(self) -> str:
        """Return the rule in words."""
        return "no_inputs: every program contains at least one input variable."
