"""What a prior is: a description of what may be written next, compiled to native rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np

from dso.library import Library
from dso.native import _core


class Prior(ABC):
    """Adjusts the logits of the next token.

    A built-in prior says what it does by `compile`, which fills tables that the native traversal
    state applies while programs are sampled, replayed or checked.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.L = library.L

    @abstractmethod
    def compile(self, rules: _core.RuleSet) -> None:
        """Add what this prior masks or prefers to an empty rule set."""

    @abstractmethod
    def describe(self) -> str:
        """Return one line for people."""

    def validate(self) -> str | None:
        """Return why the prior would do nothing or make no sense, None if it is fine."""
        return None

    def rules(self) -> _core.RuleSet:
        """Return this prior alone as a rule set."""
        rules = _core.RuleSet(np.asarray(self.library.arities).tolist())
        self.compile(rules)
        return rules

    def mask(self, tokens: Iterable[int]) -> np.ndarray:
        """Return a token set, (L,) bool."""
        mask = np.zeros(self.L, dtype=bool)
        mask[list(tokens)] = True
        return mask

    def names(self, tokens: Iterable[int]) -> str:
        """Return token names for a description."""
        return ", ".join(self.library.names[token] for token in tokens)


class Constraint(Prior):
    """A prior that forbids: a program either obeys it or violates it."""
