"""Random trees: all unary-binary trees of a size are equally likely (Lample and Charton).

A tree is written from left to right into a row with holes. Some of the holes that are left become
leaves, and then an operator comes. How many leaves, and the arity of the operator, are drawn by the
number of trees that can still be completed.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import OPERATORS
from dso.pretraining.distribution import Distribution
from dso.pretraining.vocabulary import Vocabulary

HOLE = -1


class Uniforms:
    """Uniform numbers in [0, 1), drawn many at a time."""

    def __init__(self, generator: np.random.Generator, block: int = 8192) -> None:
        self._generator = generator
        self._block = block
        self._left: list[float] = []

    def __call__(self) -> float:
        if not self._left:
            self._left = self._generator.random(self._block).tolist()
        return self._left.pop()

    def below(self, n: int) -> int:
        """Return an integer in [0, n)."""
        return int(self() * n)


class Choice:
    """Draws one of several items by their weights."""

    def __init__(self, items: Sequence, weights: Iterable[float]) -> None:
        self.items = items
        self._sums = list(accumulate(weights))

    def __call__(self, uniforms: Uniforms) -> Any:
        return self.items[bisect(self._sums, uniforms() * self._sums[-1])]


class TreeSampler:
    """Draws prefix rows from a distribution.

    Parameters
    ----------
    distribution : Distribution
    vocabulary : Vocabulary
    """

    def __init__(self, distribution: Distribution, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        index = vocabulary.index
        by_arity: dict[int, list[tuple[int, float]]] = {1: [], 2: []}
        for name, weight in distribution.operators.items():
            by_arity[OPERATORS[name].arity].append((index[name], weight))
        self._operators = {k: Choice(*zip(*pairs, strict=True)) for k, pairs in by_arity.items()}
        self._n_operators = _counts(distribution.n_operators)
        most = max(map(int, distribution.n_inputs))
        if most > vocabulary.n_inputs:
            raise UserError(
                f"distribution.n_inputs has {most}; the vocabulary has {vocabulary.n_inputs} "
                "inputs."
            )
        self._n_inputs = _counts(distribution.n_inputs)
        self._n_constants = _counts(distribution.n_constants)
        kinds = distribution.constant_kinds
        self._kinds = Choice(list(kinds), kinds.values())
        self._one, self._one_token = distribution.one, index["1.0"]
        self._shapes = shape_choices(max(map(int, distribution.n_operators)))

    def __call__(self, uniforms: Uniforms) -> list[int]:
        """Draw one row."""
        row = self._with_leaves(self._shape(self._n_operators(uniforms), uniforms), uniforms)
        for _ in range(self._n_constants(uniforms)):
            row = self._with_constant(row, uniforms)
        return row

    def _shape(self, n_operators: int, uniforms: Uniforms) -> list[int]:
        """Return a row of operators and holes."""
        row, n_open, first = [HOLE], 1, 0
        for n_left in range(n_operators, 0, -1):
            n_leaves, arity = self._shapes[n_open, n_left](uniforms)
            place = _hole(row, first + n_leaves)
            row[place : place + 1] = [self._operators[arity](uniforms), *[HOLE] * arity]
            n_open += arity - 1 - n_leaves
            first += n_leaves
        return row

    def _with_leaves(self, row: list[int], uniforms: Uniforms) -> list[int]:
        """Fill the holes; inputs come in order, each as likely as those used before."""
        most, n_used = self._n_inputs(uniforms), 0
        for place, token in enumerate(row):
            if token != HOLE:
                continue
            if n_used and uniforms() < self._one:
                row[place] = self._one_token
                continue
            column = uniforms.below(min(n_used + 1, most))
            row[place] = column
            n_used = max(n_used, column + 1)
        return row

    def _with_constant(self, row: list[int], uniforms: Uniforms) -> list[int]:
        """Put a constant to be fitted at a random node."""
        index = self.vocabulary.index
        constant = index["const"]
        kind = self._kinds(uniforms)
        if kind == "exponent":
            before = [index["exp"], index["mul"], constant, index["log"]]
        else:
            before = [index["mul" if kind == "factor" else "add"], constant]
        place = uniforms.below(len(row))
        return [*row[:place], *before, *row[place:]]


def _counts(weights: dict[str, float]) -> Choice:
    return Choice([int(key) for key in weights], weights.values())


def _hole(row: list[int], n: int) -> int:
    """Return the place of the hole number `n`."""
    place = -1
    for _ in range(n + 1):
        place = row.index(HOLE, place + 1)
    return place


def shape_choices(most: int) -> dict[tuple[int, int], Choice]:
    """Return how to go on with e holes and n operators left: (e, n) -> leaves first, then arity."""
    n_trees = [[1] * (2 * most + 2) for _ in range(most + 1)]  # [n][e]
    for n in range(1, most + 1):
        n_trees[n][0] = 0
        for e in range(1, 2 * most + 2 - n):
            n_trees[n][e] = n_trees[n][e - 1] + n_trees[n - 1][e] + n_trees[n - 1][e + 1]
    choices = {}
    for n in range(1, most + 1):
        for e in range(1, most + 2 - n + 1):
            items = [(k, arity) for k in range(e) for arity in (1, 2)]
            weights = [n_trees[n - 1][e - k - 1 + arity] for k, arity in items]
            choices[e, n] = Choice(items, weights)
    return choices
