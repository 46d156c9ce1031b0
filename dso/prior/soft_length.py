"""A preference for programs of about a given length."""

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Prior


class SoftLengthPrior(Prior):
    """Discourage ending before `loc` tokens and growing after them.

    With t tokens chosen the adjustment is -(t - loc)^2 / (2 scale): on terminals while t < loc and
    one slot is open, on operators from then on.

    Parameters
    ----------
    library : Library
    loc : float
        Preferred length.
    scale : float
        Width of the preference, > 0.

    References
    ----------
    Landajuela et al., "Improving exploration in policy gradient search", 2021.
    """

    def __init__(
        self, library: Library, loc: float | None = None, scale: float | None = None
    ) -> None:
        super().__init__(library)
        if scale is not None and not scale > 0:
            raise UserError(f"prior.soft_length.scale: {scale} must be positive.")
        self.loc = loc
        self.scale = scale

    def validate(self) -> str | None:
        """Without location and scale the prior prefers nothing."""
        return "Needs loc and scale." if self.loc is None or self.scale is None else None

    def compile(self, rules: _core.RuleSet) -> None:
        """The formula above, from the second token on."""
        assert self.loc is not None  # validate has looked
        assert self.scale is not None
        rules.add_soft_length(self.loc, self.scale)

    def describe(self) -> str:
        """Return what it does, and the location."""
        return f"soft_length: fewer programs end before, or grow after, {self.loc:g} tokens."
