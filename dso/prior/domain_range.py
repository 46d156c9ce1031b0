"""No function outside its domain, and no root whose range misses the data."""

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.prior.prior import Constraint


class DomainRangeConstraint(Constraint):
    """Use the data's bounds.

    An input may not be the argument of a unary token whose domain does not contain all its values;
    a unary token that no input may follow is not written where only an input could follow; the
    first token's range contains every target value. Domains and ranges are columns of the operator
    table.

    Parameters
    ----------
    library : Library
    input_ranges : (D, 2) array or None
        Least and greatest value of each input.
    output_range : (2,) array or None
        Least and greatest target value.
    """

    def __init__(
        self,
        library: Library,
        input_ranges: np.ndarray | None = None,
        output_range: np.ndarray | None = None,
    ) -> None:
        super().__init__(library)
        self.output_range = output_range
        inputs = [int(t) for t in library.input_tokens]
        self.forbidden_inputs: dict[int, list[int]] = {}
        if input_ranges is not None:
            for token in map(int, library.unary_tokens):
                outside = [
                    i
                    for i in inputs
                    if not self._contains(token, "domain", input_ranges[library[i].input_var])
                ]
                if outside:
                    self.forbidden_inputs[token] = outside
        self.dead_ends = [t for t, out in self.forbidden_inputs.items() if len(out) == len(inputs)]
        self.forbidden_first = [
            token
            for token in range(library.L)
            if output_range is not None and not self._contains(token, "range", output_range)
        ]

    def _contains(self, token: int, column: str, bounds: np.ndarray) -> bool:
        operator = self.library[token].operator
        if operator is None:
            return True
        if column == "range":
            return operator.range.covers(*bounds)
        return not operator.domain or operator.domain[0].covers(*bounds)

    def validate(self) -> str | None:
        """Data that every domain and range contains need no rule."""
        if self.forbidden_inputs or self.forbidden_first:
            return None
        return "The data lie within every domain and range."

    def compile(self, rules: _core.RuleSet) -> None:
        """Child rules, the first token, and the last chance before the length limit."""
        for token, inputs in self.forbidden_inputs.items():
            rules.forbid_child(self.mask([token]), self.mask(inputs))
        rules.forbid_first(self.mask(self.forbidden_first))
        rules.forbid_at_last_chance(self.mask(self.dead_ends))

    def describe(self) -> str:
        """Return what is masked."""
        parts = [
            f"[{self.names(inputs)}] may not be the argument of {self.library.names[token]}"
            for token, inputs in self.forbidden_inputs.items()
        ]
        if self.forbidden_first:
            parts.append(f"[{self.names(self.forbidden_first)}] may not come first")
        return f"domain_range: {'; '.join(parts)}."
