"""Equal chances for every arity."""

import numpy as np

from dso.native import _core
from dso.prior.prior import Prior


class UniformArityPrior(Prior):
    """Make the untrained policy choose each arity equally often, for any number of tokens."""

    def compile(self, rules: _core.RuleSet) -> None:
        """A token of arity k gets -ln(number of tokens of arity k)."""
        arities = np.asarray(self.library.arities)
        rules.add_logits((-np.log(np.bincount(arities)[arities])).tolist())

    def describe(self) -> str:
        """Return what is equalised."""
        return "uniform_arity: every arity is equally likely at first."
