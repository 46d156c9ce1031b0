"""Every program has the form of a template: given tokens, and holes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dso.errors import UserError
from dso.library import Library, StateChecker
from dso.library.template import Hole, Template, step_tokens
from dso.native import _core
from dso.prior.prior import Constraint
from dso.prior.sizes import whole_sizes


class TemplateConstraint(Constraint):
    """What a template gives is written, and its holes hold only their own inputs.

    Parameters
    ----------
    library : Library
    template : Template
    in_holes : iterable of str, optional
        The tokens that may stand in holes besides inputs. Default: all but conditions.
    """

    binds_single_tokens = True

    def __init__(
        self, library: Library, template: Template, in_holes: Iterable[str] | None = None
    ) -> None:
        super().__init__(library)
        self.template = template
        self.tokens = step_tokens(template, library)
        names = library.names if in_holes is None else in_holes
        self._may_stand = self.mask(
            i
            for i, token in enumerate(library.tokens)
            if token.input_var is None and token.name in set(names)
            if not isinstance(token, StateChecker)
        )

    def compile(self, rules: _core.RuleSet) -> None:
        """Each hole leaves room for what the form takes behind it."""
        forbidden = np.zeros((len(self.tokens), self.L), dtype=bool)
        for s, step in enumerate(self.template.steps):
            if isinstance(step, Hole):
                inputs = self.mask(int(self.library.input_tokens[i]) for i in step.inputs)
                forbidden[s] = ~(self._may_stand | inputs)
                if not (~forbidden[s] & (self.library.arities == 0)).any():
                    raise UserError(
                        f"task.template: nothing can stand in {step.name}; give it an input."
                    )
        tokens, sizes = self._behind()
        rules.require_form(self.tokens, forbidden, tokens, sizes)

    def _behind(self) -> tuple[list[int], list[int]]:
        """Return what comes behind each step: tokens and size beyond one for each open slot."""
        costs, _ = whole_sizes(self.library)
        cheapest = min(costs[token] for token in self.library.terminal_tokens)
        n_open, open_after = 1, []
        for token in self.tokens:
            n_open += (0 if token < 0 else int(self.library.arities[token])) - 1
            open_after.append(n_open)
        tokens, sizes = [], []
        for s, n in enumerate(open_after):
            rest = self.tokens[s + 1 :]
            tokens.append(len(rest) - n)
            sizes.append(sum(cheapest if t < 0 else costs[t] for t in rest) - n * cheapest)
        return tokens, sizes

    def describe(self) -> str:
        """Return the template."""
        return f"template: {self.template.text}."
