"""Operators that take only certain tokens."""

from collections.abc import Sequence

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint


class ArgumentTypeConstraint(Constraint):
    """The arguments of `tokens` are nothing but `allowed`.

    Parameters
    ----------
    library : Library
    tokens : str or sequence
        Operators, comma-separated or listed.
    allowed : str or sequence
        Tokens, or ``"inputs"`` for all input variables.
    """

    def __init__(
        self,
        library: Library,
        tokens: str | Sequence[str] = (),
        allowed: str | Sequence[str] = "inputs",
    ) -> None:
        super().__init__(library)
        self.tokens = [int(t) for t in library.actionize(tokens)]
        chosen = library.input_tokens if allowed == "inputs" else library.actionize(allowed)
        self.allowed = [int(t) for t in chosen]

    def validate(self) -> str | None:
        """Terminals take no arguments, and something must be allowed."""
        if not self.tokens:
            return "There are no Tokens to limit."
        if not self.allowed:
            return "There are no allowed Tokens."
        terminal = [t for t in self.tokens if self.library.arities[t] == 0]
        return f"Terminals ({self.names(terminal)}) take no arguments." if terminal else None

    def compile(self, rules: _core.RuleSet) -> None:
        """Everything else is masked as a child."""
        rules.forbid_child(self.mask(self.tokens), np.logical_not(self.mask(self.allowed)))

    def describe(self) -> str:
        """Return both sets."""
        return (
            f"argument_type: arguments of [{self.names(self.tokens)}] "
            f"are one of [{self.names(self.allowed)}]."
        )
