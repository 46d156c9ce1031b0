"""The base class of priors: which tokens may come next, and which are preferred.

There are two ways to say it. The built-in priors `compile` to native rules, which cost next to
nothing. A prior of one's own may do that too; or it is called once per step with all rows of the
batch and returns logits (`__call__`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np

from dso.library import Library, TokenNotFoundError
from dso.native import _core

logger = logging.getLogger("dso")

V = TypeVar("V")


def present(library: Library, limits: Mapping[str, V], where: str) -> dict[str, V]:
    """Return what is said of tokens of the library; others that exist elsewhere are told of."""
    kept = {}
    for name, value in limits.items():
        try:
            library.index(name)
        except TokenNotFoundError as error:
            if not error.is_known:  # a slip
                raise
            logger.warning("%s: %r is not in the library; the other limits hold.", where, name)
        else:
            kept[name] = value
    return kept


class Prior:
    """Adjusts the logits of the next token.

    Parameters
    ----------
    library : Library

    Notes
    -----
    A class derived from this one defines `compile` or `__call__`.
    """

    binds_single_tokens = False
    """Whether it forbids answers of one token, which no sampler writes; see `JointPrior`."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.L = library.L

    def compile(self, rules: _core.RuleSet) -> None:
        """Add what this prior masks or prefers to an empty rule set."""

    def __call__(
        self, actions: np.ndarray, parent: np.ndarray, sibling: np.ndarray, dangling: np.ndarray
    ) -> np.ndarray:
        """Return what is added to the logits of the next token, (B, L); -inf forbids it.

        Parameters
        ----------
        actions : (B, t) int32
            Tokens chosen so far, t >= 1. Rows that are finished are among them; what is returned
            for those is ignored.
        parent : (B,) int32
            Parent of the next token as an index among the tokens that have children, the number of
            those where there is none.
        sibling : (B,) int32
            The sibling completed last, L where there is none.
        dangling : (B,) int32
            Open slots.
        """
        raise NotImplementedError

    def initial_prior(self) -> np.ndarray:
        """Return what is added to the logits of the first token, (L,)."""
        return np.zeros(self.L, dtype=np.float32)

    def init_zeros(self, actions: np.ndarray) -> np.ndarray:
        """Return logits to start from, zeros (B, L), for `actions` (B, t)."""
        return np.zeros((len(actions), self.L), dtype=np.float32)

    def validate(self) -> str | None:
        """Return why the prior would do nothing or make no sense, None if it is fine."""
        return None

    def check(self, max_length: int) -> None:
        """Refuse what no program of at most `max_length` tokens can obey; nothing by default."""

    def describe(self) -> str:
        """Return one line for people."""
        return f"{type(self).__name__}: a prior of one's own."

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

    def make_constraint(self, mask: np.ndarray, tokens: Iterable[int]) -> np.ndarray:
        """Return logits (B, L) that forbid `tokens` in the rows where `mask` (B,) is true."""
        logits = np.zeros((len(mask), self.L), dtype=np.float32)
        logits[np.ix_(np.flatnonzero(mask), np.fromiter(tokens, np.intp))] = -np.inf
        return logits
