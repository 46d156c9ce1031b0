"""Problem: the input of a search by values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dso.library import Library
from dso.part import WHOLE, Part
from dso.prior import JointPrior
from dso.program import FitData, ProgramBatch
from dso.semantic.target import Target
from dso.semantic.writing import Writer

if TYPE_CHECKING:
    from dso.fitting.polynomial_fitter import PolynomialFitter


@dataclass(frozen=True)
class Problem:
    """Programs that obey the priors and have the values of y are wanted.

    Attributes
    ----------
    prior : JointPrior
    data : Target
    writer : Writer
        Of the tokens of the data's library.
    max_programs : int
        That are wanted.
    part : Part
        What is done of strategies that can be divided.
    """

    prior: JointPrior
    data: Target
    writer: Writer
    max_programs: int
    part: Part = WHOLE

    @staticmethod
    def of(
        prior: JointPrior,
        data: FitData,
        *,
        seed: int,
        max_programs: int,
        polynomials: PolynomialFitter | None = None,
        part: Part = WHOLE,
    ) -> Problem:
        """Look at the data, and at what the library can say about them."""
        writer = Writer(data.library, data.columns, data.protected)
        return Problem(prior, Target.of(data, seed, polynomials), writer, max_programs, part)

    @property
    def library(self) -> Library:
        """The tokens."""
        return self.data.library

    @property
    def has_const(self) -> bool:
        """Whether programs may have numbers that are fitted."""
        return self.library.const_token is not None

    def allowed(self, programs: ProgramBatch) -> ProgramBatch:
        """Return those that the priors allow."""
        return programs[self.prior.allowed(programs)] if len(programs) else programs
