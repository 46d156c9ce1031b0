"""A preference for tokens that occur in similar places in known formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.prior.prior import Prior

Corpus = Callable[[str | None], Sequence[Sequence[int]]]


class LanguageModelPrior(Prior):
    """Add the log-probability of a token in its place, as an n-gram model over trees has it.

    The model counts which kind k of token stands below a parent p and after a sibling s. All inputs
    are one kind, and all numbers; each operator is its own. With n(.) occurrences of a context and
    d(.) different kinds seen in it (Witten and Bell, 1991),

        P(k | p, s) = [n(p, s, k) + d(p, s) P(k | p)] / [n(p, s) + d(p, s)],

    where P(k | p) is the same of the parent alone, based on P(k) and that on equal shares. To the
    logit of a token goes `weight` times the log of its share in ``P ** (1 / temperature)``, which
    tokens of a kind divide equally.

    Parameters
    ----------
    library : Library
    corpus : callable
        From `formulas` to rows of tokens of the library.
    weight : float
        0 changes nothing, 1 makes an untrained policy write what the formulas are like.
    temperature : float
        Above 1, rare tokens are less rare.
    formulas : str, optional
        A file, one formula a line; default: those that ship with dso.
    """

    def __init__(
        self,
        library: Library,
        corpus: Corpus | None = None,
        weight: float | None = None,
        temperature: float = 1.0,
        formulas: str | None = None,
    ) -> None:
        super().__init__(library)
        if not temperature > 0:
            raise UserError(f"prior.language_model.temperature: {temperature} must be positive.")
        self.weight = 1.0 if weight is None else weight
        self.temperature = temperature
        self.rows = [] if corpus is None else list(corpus(formulas))
        self.kinds = kinds_of(library)

    def validate(self) -> str | None:
        """Without formulas there is nothing to count."""
        return None if self.rows else "No formula can be written with the tokens of the library."

    def compile(self, rules: _core.RuleSet) -> None:
        """The formula above, by the kinds of parent and sibling."""
        shares = self.shares() ** (1 / self.temperature)
        shares /= shares.sum(axis=2, keepdims=True)
        sizes = np.bincount(self.kinds)
        logits = self.weight * np.log(shares / sizes)
        none = int(self.kinds.max()) + 1
        context = [*self.kinds.tolist(), none]
        rules.add_context_logits(context, context, np.ascontiguousarray(logits[..., self.kinds]))

    def shares(self) -> np.ndarray:
        """Return P(k | p, s) as (parents, siblings, kinds); the last of both stands for none."""
        n = int(self.kinds.max()) + 1
        counts = np.zeros((n + 1, n + 1, n))
        for row in self.rows:
            for parent, sibling, token in contexts(row, self.library.arities.tolist()):
                places = [n if t is None else self.kinds[t] for t in (parent, sibling)]
                counts[(*places, self.kinds[token])] += 1
        shares = np.full(n, 1 / n)
        for summed in (counts.sum(axis=(0, 1)), counts.sum(axis=1), counts):
            if summed.ndim == 3:
                shares = shares[:, None]
            total = summed.sum(axis=-1, keepdims=True)
            different = np.maximum(np.count_nonzero(summed, axis=-1, keepdims=True), 1)
            shares = (summed + different * shares) / (total + different)
        return shares

    def describe(self) -> str:
        """Return weight, temperature and the number of formulas."""
        return (
            f"language_model: prefers what {len(self.rows)} formulas are like "
            f"(weight {self.weight:g}, temperature {self.temperature:g})."
        )


def kinds_of(library: Library) -> np.ndarray:
    """Return the kind of each token, (L,), counted from 0."""
    names: list[str | int] = list(range(library.L))
    for token in library.float_tokens.tolist():
        names[token] = token if token == library.poly_token else "number"
    for token in library.input_tokens.tolist():
        names[token] = "input"
    order = {name: kind for kind, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names])


def contexts(
    row: Sequence[int], arities: Sequence[int]
) -> list[tuple[int | None, int | None, int]]:
    """Return parent, sibling before, and token at each place of a prefix row."""
    found: list[tuple[int | None, int | None, int]] = []
    above: list[list] = []  # of each open node: token, children left, child before
    for token in row:
        parent, sibling = (above[-1][0], above[-1][2]) if above else (None, None)
        found.append((parent, sibling, int(token)))
        if above:
            above[-1][1] -= 1
            above[-1][2] = int(token)
        above.append([int(token), int(arities[token]), None])
        while above and above[-1][1] == 0:
            above.pop()
    return found
