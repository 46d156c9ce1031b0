"""Examples: mini-batches of tables with the programs that they come from.

The skeletons are those of a pool. All else is drawn afresh for each example: the tokens that may be
used, then a skeleton that they suffice for, and with them how it is spelled; which columns its
inputs are; constants, ranges, rows and noise. Where `const` is allowed, a factor and a summand of
the whole are fitted afterwards, so the network neither sees nor writes them. Where it is not, the
values count as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dso.errors import UserError
from dso.native import _core
from dso.pretraining.canonical import (
    CALL,
    FREE,
    INPUT,
    NUMBER,
    PRODUCT,
    SUM,
    Node,
    UndefinedError,
    add,
    multiply,
    number,
    up_to_affine,
)
from dso.pretraining.distribution import MAX_TOKENS, Distribution
from dso.pretraining.pool import Pool
from dso.pretraining.spelling import Spelled, Speller, UnspellableError, tree_of
from dso.pretraining.tables import Tables, centre_and_spread, level_of, standardised
from dso.pretraining.trees import Choice, Uniforms
from dso.pretraining.vocabulary import LITERALS, Vocabulary
from dso.program import PAD

KOZA = ("add", "sub", "mul", "div", "sin", "cos", "exp", "log")
BASIC = ("add", "sub", "mul", "div", "sqrt", "n2", "exp", "log", "sin", "cos")
RICH = (*BASIC, "n3", "n4", "neg", "inv", "tan", "tanh", "abs", "pow")
FAMILIES = (KOZA, (*KOZA, "sqrt"), BASIC, RICH)

WITH_CONSTANTS = 0.7
"""Share of examples in which `const` is allowed."""
FROM_FAMILY, WITH_POLY, EXTRA_INPUT, MIRRORED = 0.5, 0.08, 0.2, 0.25
MAX_RANGES = 4
MAX_SETS, MAX_SKELETONS, MAX_DRAWS = 100, 100, 2
"""Tried for an example: sets of tokens, skeletons for each, rows for each."""
LARGEST_Y = 1e6
MIN_SPREAD = 1e-4
COUNT_POWER = 0.5
"""A skeleton that was drawn n times counts as n to this power."""
MAX_DEGREE = 3
TAG = 1000.5
"""Numbers to be fitted are written as this and what follows, until they have values."""


@dataclass(frozen=True)
class Examples:
    """B tables with their programs.

    Attributes
    ----------
    tables : Tables
    tokens : (B, T) int16
        Of the vocabulary, padded with `PAD`.
    lengths : (B,) int32
    """

    tables: Tables
    tokens: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Spelling:
    """A skeleton as one example has it.

    Attributes
    ----------
    target : Spelled
        What the network should write.
    formula : Spelled
        What the values come from, with a tag for each number to be fitted.
    n_inputs : int
        Columns of the table.
    allowed : (V,) bool
    is_fitted : bool
        Whether `const` is allowed.
    """

    target: Spelled
    formula: Spelled
    n_inputs: int
    allowed: np.ndarray
    is_fitted: bool


Made = tuple[Spelling, np.ndarray, np.ndarray]
"""An example in parts: how it is spelled, inputs (N, D) and targets (N,)."""


class ExampleMaker:
    """Draws mini-batches.

    Parameters
    ----------
    pool : Pool
    distribution : Distribution
    vocabulary : Vocabulary
    weighted : bool
        Draw a skeleton as often as its count says; else each as often.
    """

    def __init__(
        self,
        pool: Pool,
        distribution: Distribution,
        vocabulary: Vocabulary,
        *,
        weighted: bool = True,
    ) -> None:
        self.pool, self.distribution, self.vocabulary = pool, distribution, vocabulary
        counts = pool.counts.astype(np.float64)
        weights = counts**COUNT_POWER if weighted else np.ones_like(counts)
        is_plain = ~(pool.tokens == vocabulary.index["const"]).any(axis=1)
        self._sums = {True: np.cumsum(weights), False: np.cumsum(weights * is_plain)}
        self._allowed = AllowedSets(vocabulary)
        self._rows = RowMaker(distribution, vocabulary.n_inputs)
        self._full = Speller.whole(vocabulary)

    def __call__(
        self, n: int, generator: np.random.Generator, n_points: int | None = None
    ) -> Examples:
        """Draw `n` examples, all with the same number of rows."""
        low, high = self.distribution.n_points
        if n_points is None:
            n_points = round(np.exp(generator.uniform(np.log(low), np.log(high))))
        uniforms = Uniforms(generator, 4096)
        made = [self._one(n_points, generator, uniforms) for _ in range(n)]
        return _joined(made, self.vocabulary)

    def of_skeleton(
        self, skeleton: int, generator: np.random.Generator, n_points: int
    ) -> Made | None:
        """Return the parts of an example of one skeleton, None where no rows could be had."""
        return self._made(skeleton, self._full, n_points, generator, Uniforms(generator, 512))

    def _one(self, n_points: int, generator: np.random.Generator, uniforms: Uniforms) -> Made:
        for _ in range(MAX_SETS):
            is_fitted = uniforms() < WITH_CONSTANTS
            if not self._sums[is_fitted][-1] > 0:  # every skeleton has constants
                is_fitted = True
            speller = Speller(self.vocabulary, self._allowed(is_fitted, uniforms))
            sums = self._sums[is_fitted]
            for _ in range(MAX_SKELETONS):
                skeleton = int(np.searchsorted(sums, uniforms() * sums[-1], side="right"))
                made = self._made(skeleton, speller, n_points, generator, uniforms)
                if made is not None:
                    return made
        raise UserError(
            f"no example could be made of {MAX_SETS * MAX_SKELETONS} skeletons of the pool: they "
            "cannot be spelled with the tokens drawn, or their values are too large or constant."
        )

    def _made(
        self,
        skeleton: int,
        speller: Speller,
        n_points: int,
        generator: np.random.Generator,
        uniforms: Uniforms,
    ) -> Made | None:
        native = self.vocabulary.library.native
        for _ in range(MAX_DRAWS):
            spelling = self.spelling(self.pool.row(skeleton), speller, uniforms)
            if spelling is None:
                return None
            rows = self._rows.draw(native, spelling, n_points, generator, uniforms)
            if rows is not None:
                return (spelling, *rows)
        return None

    def spelling(self, row: Sequence[int], speller: Speller, uniforms: Uniforms) -> Spelling | None:
        """Draw columns and, without constants, a factor and a summand.

        None if the tokens of the speller do not suffice. They are drawn before the skeleton: one
        that was let in because the skeleton needs it would tell the network what to write.
        """
        is_fitted = "const" in speller.allowed
        row, n_inputs = self._on_columns(row, uniforms)
        try:
            tree = tree_of(row, self.vocabulary)
            tree = up_to_affine(tree) if is_fitted else _with_numbers(tree, uniforms)
        except (UndefinedError, OverflowError):
            return None
        tree = _tagged(tree, iter(range(100)))
        target_tree = with_poly(tree, self.vocabulary) if "poly" in speller.allowed else tree
        try:
            target = speller.spell(target_tree)
            formula = target if target_tree is tree else self._full.spell(tree)
        except UnspellableError:
            return None
        if len(target) > MAX_TOKENS:
            return None
        mask = np.zeros(len(self.vocabulary), dtype=bool)
        mask[:n_inputs] = True
        mask[[self.vocabulary.index[name] for name in speller.allowed]] = True
        return Spelling(target, formula, n_inputs, mask, is_fitted)

    def _on_columns(self, row: Sequence[int], uniforms: Uniforms) -> tuple[list[int], int]:
        """Give the inputs of a skeleton random columns, some others left unused."""
        most = self.vocabulary.n_inputs
        n_used = 1 + max(token for token in row if token < most)
        n_inputs = n_used
        if uniforms() < EXTRA_INPUT and n_used < most:
            n_inputs += 1 + uniforms.below(most - n_used)
        columns = list(range(n_inputs))
        for i in range(n_used):
            j = i + uniforms.below(n_inputs - i)
            columns[i], columns[j] = columns[j], columns[i]
        return [columns[t] if t < most else t for t in row], n_inputs


class AllowedSets:
    """Draws sets of allowed tokens, as names."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._operators = [
            name
            for name, arity in zip(vocabulary.names, vocabulary.arities, strict=True)
            if arity and name not in ("add", "mul")
        ]
        self._literals = [name for name in LITERALS if name in vocabulary.index]

    def __call__(self, with_const: bool, uniforms: Uniforms) -> list[str]:
        """Draw one set."""
        if uniforms() < FROM_FAMILY:
            allowed = list(FAMILIES[uniforms.below(len(FAMILIES))])
        else:
            share = 0.4 + 0.6 * uniforms()
            allowed = ["add", "mul", *(n for n in self._operators if uniforms() < share)]
        if with_const:
            allowed.append("const")
        for name, share in zip(self._literals, (0.4, 0.15, 0.15), strict=True):
            if uniforms() < (share / 3 if with_const else share):
                allowed.append(name)
        if uniforms() < WITH_POLY:
            allowed.append("poly")
        return allowed


def _with_numbers(tree: Node, uniforms: Uniforms) -> Node:
    """Change sign, add or multiply by a small number, now and then."""
    r = uniforms()
    if r < 0.12:
        return multiply(number(-1.0), tree)
    if r < 0.3:
        return add(tree, number(1.0 + uniforms.below(2)), number(-2.0 * uniforms.below(2)))
    if r < 0.4:
        return multiply(number((2.0, 0.5, 3.0)[uniforms.below(3)]), tree)
    return tree


def _tagged(tree: Node, tags: Iterator[int]) -> Node:
    """Give each number to be fitted its own tag."""
    kind = tree[0]
    if kind == NUMBER:
        return (NUMBER, TAG + next(tags)) if tree[1] == FREE else tree
    if kind == PRODUCT:
        return (PRODUCT, tuple((_tagged(base, tags), e) for base, e in tree[1]))
    if kind == SUM:
        constant = TAG + next(tags) if tree[1] == FREE else tree[1]
        terms = tuple(
            (_tagged(term, tags), TAG + next(tags) if c == FREE else c) for term, c in tree[2]
        )
        return (SUM, constant, terms)
    return tree if kind == INPUT else (*tree[:2], _tagged(tree[2], tags))


# ---- polynomials ---------------------------------------------------------------------------------


def with_poly(tree: Node, vocabulary: Vocabulary) -> Node:
    """Write `poly` for the longest polynomial in a tree, if there is one of several terms."""
    sums = [(n, part) for part in _sums(tree) if (n := _n_monomials(part)) > 1]
    if not sums:
        return tree
    longest = max(sums)[1]
    poly = (INPUT, vocabulary.index["poly"])
    others = tuple(item for item in longest[2] if not _is_monomial(item[0]))
    written = (SUM, 0.0, ((poly, 1.0), *others)) if others else poly
    return _replaced(tree, longest, written)


def _sums(tree: Node) -> Iterator[Node]:
    kind = tree[0]
    if kind == SUM:
        yield tree
    if kind == CALL:
        yield from _sums(tree[2])
    if kind in (PRODUCT, SUM):
        for child, _ in tree[-1]:
            yield from _sums(child)


def _n_monomials(part: Node) -> int:
    return sum(_is_monomial(term) for term, _ in part[2])


def _is_monomial(term: Node) -> bool:
    if term[0] == INPUT:
        return True
    if term[0] != PRODUCT:
        return False
    return (
        all(base[0] == INPUT and e > 0 and e == int(e) for base, e in term[1])
        and sum(e for _, e in term[1]) <= MAX_DEGREE
    )


def _replaced(tree: Node, part: Node, other: Node) -> Node:
    if tree is part:
        return other
    kind = tree[0]
    if kind == CALL:
        return (*tree[:2], _replaced(tree[2], part, other))
    if kind in (PRODUCT, SUM):
        children = tuple((_replaced(child, part, other), n) for child, n in tree[-1])
        return (*tree[:-1], children)
    return tree


# ---- rows ----------------------------------------------------------------------------------------


class RowMaker:
    """Draws constants, ranges, rows and noise.

    Parameters
    ----------
    distribution : Distribution
    n_inputs : int
        D of the vocabulary.
    """

    def __init__(self, distribution: Distribution, n_inputs: int) -> None:
        self.distribution = distribution
        self.n_inputs = n_inputs
        self._kinds = Choice(list(distribution.supports), distribution.supports.values())

    def constants(self, formula: Spelled, uniforms: Uniforms) -> list[float]:
        """Return a value for each `const` of a formula, the same for the same tag."""
        known: dict[float, float] = {}
        for _, value in formula:
            if abs(value) >= TAG and abs(value) not in known:
                known[abs(value)] = self._constant(uniforms)
        # A spelling may turn the sign of a constant, as exp(c x) is expneg(-c x).
        return [
            float(np.copysign(1.0, value)) * known[abs(value)] if abs(value) in known else value
            for _, value in formula
        ]

    def _constant(self, uniforms: Uniforms) -> float:
        about = self.distribution.constant_values
        if uniforms() < about["heavy"]:
            size = about["low"] + abs(np.tan(np.pi * (uniforms() - 0.5)))
        else:
            size = about["low"] * (about["high"] / about["low"]) ** uniforms()
        return -size if uniforms() < about["negative"] else size

    def draw(
        self,
        native: _core.Library,
        spelling: Spelling,
        n_points: int,
        generator: np.random.Generator,
        uniforms: Uniforms,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return inputs (n_points, D) and targets (n_points,) of a formula, None if unlucky."""
        values = self.constants(spelling.formula, uniforms)
        tokens = np.array([[token for token, _ in spelling.formula]], dtype=np.int16)
        lengths = np.array([tokens.shape[1]], dtype=np.int32)
        constants = np.array(
            [[v for (_, tag), v in zip(spelling.formula, values, strict=True) if tag]]
        )
        program = _core.Programs(tokens, lengths, constants)
        for attempt in range(MAX_RANGES):
            x = self._inputs(spelling.n_inputs, 2 * n_points, attempt, generator, uniforms)
            y = _core.execute(native, program, _core.Data(x, protected=True))[0][0]
            is_fine = np.abs(y) < LARGEST_Y
            if np.count_nonzero(is_fine) < n_points:
                continue
            rows = np.flatnonzero(is_fine)[:n_points]
            x, y = x[:, rows], y[rows]
            if np.ptp(y) > MIN_SPREAD * np.abs(y).max():
                return x.T, self._noisy(y, spelling, generator, uniforms)
        return None

    def _inputs(
        self, n: int, n_rows: int, attempt: int, generator: np.random.Generator, uniforms: Uniforms
    ) -> np.ndarray:
        """Return inputs (D, n_rows); after failures they are positive, later small too."""
        x = np.zeros((self.n_inputs, n_rows))
        x[:n] = generator.random((n, n_rows))
        kind = self._kinds(uniforms)
        is_mixed = uniforms() < 0.3
        if n == 1 and uniforms() < 0.2:
            # The points of a grid, in random order, since some of the rows may be left out.
            x[0] = generator.permutation(n_rows) / (n_rows - 1)
        for column in range(n):
            kind = self._kinds(uniforms) if is_mixed else kind
            low, high = self._range("positive" if attempt else kind, uniforms)
            if attempt > 1:
                low, high = low / 3, low / 3 + (high - low) / 5
            x[column] = low + (high - low) * x[column]
        return x

    def _range(self, kind: str, uniforms: Uniforms) -> tuple[float, float]:
        widest = self.distribution.widest
        if kind == "unit":
            return (0.0 if uniforms() < 0.5 else -1.0), 1.0
        if kind == "signed":
            low, high = sorted((widest * (2 * uniforms() - 1), widest * (2 * uniforms() - 1)))
            return low, max(high, low + 0.5)
        if kind == "symmetric":
            high = 0.5 * (2 * widest) ** uniforms()
            return -high, high
        low = 0.0 if uniforms() < 0.2 else 0.05 * (3 / 0.05) ** uniforms()
        return low, min(widest, low + 0.5 * (2 * widest) ** uniforms())

    def _noisy(
        self, y: np.ndarray, spelling: Spelling, generator: np.random.Generator, uniforms: Uniforms
    ) -> np.ndarray:
        noise = self.distribution.noise
        if uniforms() < noise["share"]:
            size = noise["max"] * uniforms() * y.std()
            y = y + size * generator.standard_normal(len(y))
        return -y if spelling.is_fitted and uniforms() < MIRRORED else y


def _joined(made: Sequence[Made], vocabulary: Vocabulary) -> Examples:
    n, n_points = len(made), len(made[0][2])
    lengths = np.array([len(spelling.target) for spelling, _, _ in made], dtype=np.int32)
    tokens = np.full((n, lengths.max()), PAD, dtype=np.int16)
    x = np.empty((n, n_points, vocabulary.n_inputs), dtype=np.float32)
    y = np.empty((n, n_points), dtype=np.float32)
    level = np.zeros((n, 2), dtype=np.float32)
    for i, (spelling, inputs_, targets) in enumerate(made):
        tokens[i, : lengths[i]] = [token for token, _ in spelling.target]
        centre, spread = centre_and_spread(targets)
        x[i], y[i] = inputs_, standardised(targets, centre, spread)
        if not spelling.is_fitted:
            level[i] = level_of(centre, spread)
    allowed = np.stack([spelling.allowed for spelling, _, _ in made])
    return Examples(Tables(x, y, level, allowed), tokens, lengths)
