"""A template with one hole as an ordinary problem: which values there make the whole y?

With the rest of the formula given, y = F(f(x), x) is solved for f from the root down, operator by
operator (`dso.program.inversion`). What is found for these values is put into the form again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dso.library import Library
from dso.library.template import Hole, Template, step_tokens
from dso.prior import JointPrior, RepeatConstraint
from dso.program import FitData, ProgramBatch, wanted_values
from dso.program.columns import PAD


@dataclass(frozen=True)
class OnlyHole:
    """The one hole of a template.

    Attributes
    ----------
    library : Library
    before, behind : list of int
        The tokens that are given, in prefix order.
    inputs : tuple of int
        Columns that may occur in the hole.
    """

    library: Library
    before: list[int]
    behind: list[int]
    inputs: tuple[int, ...]

    @staticmethod
    def of(template: Template, library: Library, data: FitData) -> OnlyHole | None:
        """Return the hole; None where there are several, or it cannot be solved for.

        So it is where numbers are fitted besides, or an operator has no inverse.
        """
        holes = [(s, step) for s, step in enumerate(template.steps) if isinstance(step, Hole)]
        if template.has_parameters or len(holes) != 1:
            return None
        ((place, hole),) = holes
        tokens = step_tokens(template, library)
        found = OnlyHole(library, tokens[:place], tokens[place + 1 :], hole.inputs)
        return found if np.isfinite(found.wanted(data).y).all() else None

    def prior(self, prior: JointPrior, in_holes: Sequence[str]) -> JointPrior:
        """Return what programs for the hole obey.

        Parameters
        ----------
        prior : JointPrior
            Of programs that have no form.
        in_holes : sequence of str
            The tokens that may stand in it besides inputs.
        """
        inputs = {int(self.library.input_tokens[column]) for column in self.inputs}
        others = [
            token.name
            for i, token in enumerate(self.library.tokens)
            if i not in inputs and (token.input_var is not None or token.name not in in_holes)
        ]
        bans = [RepeatConstraint(self.library, others, max_=0)] if others else []
        n_given = len(self.before) + len(self.behind)
        max_length = max(1, prior.max_length - n_given)
        return JointPrior(self.library, [*prior.priors, *bans], max_length=max_length)

    def wanted(self, data: FitData) -> FitData:
        """Return the same rows with what the hole ought to be, NaN where nothing would do.

        Of several solutions it is the principal one.
        """
        filled = [*self.before, int(self.library.input_tokens[0]), *self.behind]
        programs = ProgramBatch.from_rows([filled])
        place = np.array([len(self.before)])
        found = wanted_values(self.library, programs, place, data.columns, data.y)
        return replace(data, y=found.values[0])

    def whole(self, programs: ProgramBatch) -> ProgramBatch:
        """Return formulas with these programs in the hole."""
        n_programs, n = programs.tokens.shape
        first, last = len(self.before), len(self.behind)
        tokens = np.full((n_programs, first + n + last), PAD, dtype=programs.tokens.dtype)
        tokens[:, :first] = self.before
        tokens[:, first : first + n] = programs.tokens
        places = first + programs.lengths[:, None] + np.arange(last)
        np.put_along_axis(tokens, places.astype(np.intp), np.array(self.behind, tokens.dtype), 1)
        return ProgramBatch(tokens, programs.lengths + np.int32(first + last), programs.constants)
