"""Neighbours: programs that differ from a given one at one node, the promising ones first.

At a node with values v and slopes s = d program / d v, another expression with the values f makes
the residuals r of the program, to first order, r + s (f - v) + J d, where J d is what the constants
outside the node make up for. With P the projection that takes J out, and u = P (r - s v)::

    f = e          |u + P s e|^2
    f = a          least over a of |u + a P s|^2
    f = k e        least over k of |u + k P s e|^2
    f = a + e, f = a + k e

e runs through the cheapest expressions of a library of values, and through the parts of the program
and functions of these. The same is asked with an operator around: for f = g(h) it is h that is
linear in e, with the values w = g^-1(v) and the slopes s g'(w). So some products of matrices and
vectors ask of thousands of forms what they are worth to the whole: a subtree that is constant on
the data, a factor or a term that does nothing, a number in the guise of a function, two constants
that only act together, and exp(0.53 asin(v / c)^2) where 1 / sqrt(1 - (v / c)^2) belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dso.finishing.grammar import Form, Grammar, Wrap
from dso.library import Library
from dso.program import FitData, ProgramBatch, Row
from dso.program.derivatives import derivatives_in_nodes
from dso.program.traversal import child_positions

BLIND = 1e-13
"""Share of the squares of y up to which a loss cannot be told from none to first order."""
SLACK = 3.0
"""A shorter form may look this many times worse than it has to be: the rest is for the fit."""
N_WRAPPED = 300
"""Of the expressions that are tried with an operator around."""
N_PER_FORM = 5
"""Expressions that are kept for a form at a node."""
COLLINEAR = 1e-9
FACTOR = 0.98
"""Squared cosine from which on a constant is taken for a factor of the node."""
PER_TOKEN = 1e-3
"""Of forms that are as good as each other the shorter one comes first."""

Bar = Callable[[np.ndarray], np.ndarray]
"""Complexities (n,) -> the least losses (n,) so far at up to these."""


@dataclass(frozen=True)
class Entries:
    """M expressions to try.

    Attributes
    ----------
    rows : list of (tokens, numbers)
    values : (M, N) float64
        On the rows of the data, finite.
    costs : (M,) float64
        Complexities.
    """

    rows: list[Row]
    values: np.ndarray
    costs: np.ndarray

    @cached_property
    def squares(self) -> np.ndarray:
        """Squares of the values, (M, N)."""
        return np.square(self.values)

    @cached_property
    def sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """The different costs, and which of them each entry has, (M,)."""
        sizes, which = np.unique(self.costs, return_inverse=True)
        return sizes, which

    def with_first(self, others: Entries, n: int) -> Entries:
        """Return these and the first n of others."""
        return Entries(
            [*self.rows, *others.rows[:n]],
            np.concatenate([self.values, others.values[:n]]),
            np.append(self.costs, others.costs[:n]),
        )


@dataclass(frozen=True)
class _Option:
    """A form at a node.

    Attributes
    ----------
    merit : float
        Logarithm of its loss over the one that it has to beat; the lower the better.
    wrap, form : Wrap, Form
    entry : (tokens, numbers)
    numbers : list of float
        Of the constants of the form.
    """

    merit: float
    wrap: Wrap
    form: Form
    entry: Row
    numbers: list[float]


def neighbours(
    data: FitData, program: ProgramBatch, entries: Entries, grammar: Grammar, bar: Bar, n_kept: int
) -> list[Row]:
    """Return the neighbours of a program that promise a place on the front, the best first.

    Parameters
    ----------
    data : FitData
        Of the rows that `entries` were computed on.
    program : ProgramBatch
        One row with its constants.
    entries : Entries
    grammar : Grammar
    bar : callable
    n_kept : int
        Neighbours returned at most.
    """
    with np.errstate(all="ignore"):
        tree = _Tree(data, program, grammar, entries)
        if not np.isfinite(tree.residuals).all():
            return []
        nodes = [_Node(tree, t) for t in range(tree.size)]
        found = [
            (option, node)
            for node in nodes
            if node.is_usable
            for option in _options(node, grammar, bar)
        ]
    found.sort(key=lambda pair: pair[0].merit)
    rows: dict[tuple[int, ...], Row] = {}
    for option, node in found:
        row = node.with_form(option)
        rows.setdefault(tuple(row[0]), row)
        if len(rows) == n_kept:
            break
    return list(rows.values())


def _options(node: _Node, grammar: Grammar, bar: Bar) -> list[_Option]:
    """Return the promising forms at a node."""
    tree, found = node.tree, list[_Option]()
    for wrap in grammar.wraps:
        inner = wrap.inverse(node.values)
        slopes = node.slopes * wrap.slope(inner)
        if not (np.isfinite(inner).all() and np.isfinite(slopes).all() and slopes.any()):
            continue
        tried = tree.all if wrap is grammar.wraps[0] else tree.cheapest
        sums = _Sums.of(node, tried, inner, slopes)
        for form in grammar.forms:
            losses, offsets, factors = sums.best(form)
            size = node.size_of_rest + wrap.cost + form.cost
            sizes, which = tried.sizes if form.has_entry else (np.zeros(1), np.zeros(1, dtype=int))
            promising = _promising(tree, losses, size + sizes, which, bar)
            if len(promising) and wrap is not grammar.wraps[0]:
                values = offsets[promising][:, None] * form.has_offset
                if form.has_entry:
                    values = values + factors[promising][:, None] * tried.values[promising]
                # What is linear in the argument of an operator is not linear in its value.
                losses[promising] = node.losses(wrap.value(values))
                promising = _promising(tree, losses, size + sizes, which, bar, promising)
            merits = _merits(tree, losses[promising], (size + sizes)[which[promising]], bar)
            for entry, merit in zip(promising.tolist(), merits.tolist(), strict=True):
                numbers = [float(offsets[entry])] if form.has_offset else []
                numbers += [float(factors[entry])] if form.has_factor else []
                row = tried.rows[entry] if form.has_entry else ([], [])
                found.append(_Option(merit, wrap, form, row, numbers))
    return found


def _promising(
    tree: _Tree,
    losses: np.ndarray,
    sizes: np.ndarray,
    which: np.ndarray,
    bar: Bar,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """Return which of forms (M,), or of those in `rows`, may be better than what is known.

    Their sizes are ``sizes[which]``, as there are few different ones.
    """
    known = np.minimum(bar(sizes), tree.spread)
    limits = np.where(sizes < tree.complexity, np.maximum(SLACK * known, tree.blind), known)
    if rows is None:
        rows = np.flatnonzero(losses <= limits[which])
    else:
        rows = rows[losses[rows] <= limits[which[rows]]]
    merits = _merits(tree, losses[rows], sizes[which[rows]], bar)
    return rows[np.argsort(merits, kind="stable")[:N_PER_FORM]]


def _merits(tree: _Tree, losses: np.ndarray, sizes: np.ndarray, bar: Bar) -> np.ndarray:
    """Return how losses (n,) of forms compare with those that they have to beat, as logarithms."""
    if not len(losses):
        return losses
    known = np.maximum(np.minimum(bar(sizes), tree.spread), tree.blind)
    return np.log(np.maximum(losses, tree.blind) / known) + PER_TOKEN * sizes


class _Tree:
    """A program with the values and slopes of its nodes, and its residuals."""

    def __init__(
        self, data: FitData, program: ProgramBatch, grammar: Grammar, entries: Entries
    ) -> None:
        self.library = data.library
        self.tokens = program.row(0)
        self.size = len(self.tokens)
        constants = program.constants[0]
        self.constants = constants[~np.isnan(constants)]
        self.values, self.slopes = derivatives_in_nodes(
            self.library, self.tokens, self.constants, data.columns
        )
        roots = np.ones(len(data.y)) if data.weights is None else np.sqrt(data.weights)
        self.residuals = roots * (self.values[0] - data.y)
        self.slopes = self.slopes * roots
        self.total = float(np.sum(roots**2))
        self.spread = float(np.sum((roots * data.y) ** 2)) / self.total
        self.blind = BLIND * self.spread
        self.ends = ends(self.library, self.tokens)
        self.is_constant = self.tokens == self.library.const_token
        self.costs = grammar.costs[self.tokens]
        self.complexity = float(self.costs.sum())
        parts = self._parts(grammar)
        self.all = parts.with_first(entries, len(entries.rows))
        self.cheapest = parts.with_first(entries, N_WRAPPED)

    def _parts(self, grammar: Grammar) -> Entries:
        """Return the subtrees, but for constants, and functions of them."""
        rows: dict[tuple[int, ...], Row] = {}
        values: list[np.ndarray] = []
        for t in np.flatnonzero(~self.is_constant).tolist():
            end = int(self.ends[t])
            first, last = self.n_constants_before(t), self.n_constants_before(end)
            tokens, numbers = self.tokens[t:end].tolist(), self.constants[first:last].tolist()
            columns = [(tokens, self.values[t])]
            for token, function in grammar.functions:
                columns.append(([token, *tokens], function(self.values[t])))
            for whole, column in columns:
                row = whole, numbers
                if np.isfinite(column).all() and tuple(row[0]) not in rows:
                    rows[tuple(row[0])] = row
                    values.append(column)
        costs = [float(grammar.costs[tokens].sum()) for tokens, _ in rows.values()]
        table = np.array(values).reshape(len(values), self.values.shape[1])
        return Entries(list(rows.values()), table, np.array(costs))

    def n_constants_before(self, t: int) -> int:
        """How many constants stand before a position."""
        return int(self.is_constant[:t].sum())


class _Node:
    """A node of a program, with what may take its place."""

    def __init__(self, tree: _Tree, t: int) -> None:
        self.tree, self.t, self.end = tree, t, int(tree.ends[t])
        self.values, self.slopes = tree.values[t], tree.slopes[t]
        self.is_usable = bool(
            np.isfinite(self.slopes).all() and self.slopes.any() and np.isfinite(self.values).all()
        )

    @cached_property
    def size_of_rest(self) -> float:
        """Complexity of what stands outside."""
        return self.tree.complexity - float(self.tree.costs[self.t : self.end].sum())

    @cached_property
    def basis(self) -> np.ndarray:
        """What the constants outside can change: orthonormal vectors (k, N)."""
        tree = self.tree
        is_outside = tree.is_constant.copy()
        is_outside[self.t : self.end] = False
        table = tree.slopes[is_outside]
        table = table[np.isfinite(table).all(axis=1) & (table != 0).any(axis=1)]
        # A factor of the node does not keep the effect that it has now.
        own = self.slopes * self.values
        cosines = (table @ own) ** 2 / (np.square(table).sum(axis=1) * (own @ own))
        table = table[~(cosines > FACTOR)]
        found: list[np.ndarray] = []
        for column in table:
            length = np.linalg.norm(column)
            for _ in range(2):  # the second time for what rounding has left
                for other in found:
                    column = column - (other @ column) * other
            rest = np.linalg.norm(column)
            if rest > 1e-9 * length:
                found.append(column / rest)
        return np.array(found).reshape(len(found), len(self.values))

    def without_constants(self, vector: np.ndarray) -> np.ndarray:
        """Return what of a vector (N,) the constants outside cannot make up for."""
        for other in self.basis:
            vector = vector - (other @ vector) * other
        return vector

    def losses(self, values: np.ndarray) -> np.ndarray:
        """Return the losses (n,) where the node has other values (n, N), linear above it."""
        changed = self.tree.residuals + self.slopes * (values - self.values)
        for other in self.basis:
            changed -= (changed @ other)[:, None] * other
        sums = np.square(changed).sum(axis=1) / self.tree.total
        return np.where(np.isfinite(sums), sums, np.inf)

    def with_form(self, option: _Option) -> Row:
        """Return the program with a form at this node."""
        tree, entry = self.tree, option.entry
        tokens = [*option.wrap.tokens, *option.form.tokens, *entry[0]]
        numbers = [*option.wrap.numbers, *option.numbers, *entry[1]]
        before, after = map(tree.n_constants_before, (self.t, self.end))
        return (
            [*tree.tokens[: self.t].tolist(), *tokens, *tree.tokens[self.end :].tolist()],
            [*tree.constants[:before].tolist(), *numbers, *tree.constants[after:].tolist()],
        )


@dataclass(frozen=True)
class _Sums:
    """Products of u, P s and P s e (w), with `rest` for w w and NaN where that is only rounding."""

    n: float
    uu: float
    us: float
    ss: float
    uw: np.ndarray
    sw: np.ndarray
    ww: np.ndarray
    rest: np.ndarray

    @staticmethod
    def of(node: _Node, tried: Entries, values: np.ndarray, slopes: np.ndarray) -> _Sums:
        u = node.without_constants(node.tree.residuals - slopes * values)
        s = node.without_constants(slopes)
        table = tried.values
        # One column at a time: for a matrix, BLAS would start threads, which take longer.
        uw, sw, *others = (table @ (slopes * column) for column in (u, s, *node.basis))
        whole = tried.squares @ slopes**2
        rest = whole - sum((product**2 for product in others), np.zeros(len(whole)))
        # Of what the constants outside can make up for only rounding is left.
        ww = np.where(rest > COLLINEAR * whole, rest, np.nan)
        # These stay numbers of numpy, which overflow without a word.
        ss = s @ s
        if not ss > COLLINEAR * (slopes @ slopes):
            ss = np.float64(np.nan)
        return _Sums(node.tree.total, u @ u, u @ s, ss, uw, sw, ww, rest)

    def best(self, form: Form) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the losses (M,) of a form, or (1,) without an entry, with offsets and factors."""
        zeros, ones = np.zeros_like(self.uw), np.ones_like(self.uw)
        if not form.has_entry:
            offsets = np.array([-self.us / self.ss])
            return self._losses(np.array([self.uu - self.us**2 / self.ss])), offsets, ones[:1]
        whole = self.uu + 2 * self.uw + self.rest
        if not form.has_offset:
            if not form.has_factor:
                return self._losses(whole), zeros, ones
            return self._losses(self.uu - self.uw**2 / self.ww), zeros, -self.uw / self.ww
        if not form.has_factor:
            offsets = -(self.us + self.sw) / self.ss
            return self._losses(whole - (self.us + self.sw) ** 2 / self.ss), offsets, ones
        determinant = self.ss * self.ww - self.sw**2
        determinant = np.where(determinant > COLLINEAR * self.ss * self.ww, determinant, np.nan)
        offsets = (self.sw * self.uw - self.ww * self.us) / determinant
        factors = (self.sw * self.us - self.ss * self.uw) / determinant
        return self._losses(self.uu + offsets * self.us + factors * self.uw), offsets, factors

    def _losses(self, sums: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(sums), np.maximum(sums, 0.0), np.inf) / self.n


def ends(library: Library, tokens: np.ndarray) -> np.ndarray:
    """Return where the subtree at each position ends, (T,)."""
    found = np.arange(1, len(tokens) + 1)
    children = child_positions(tokens, library.arities)
    for t in reversed(range(len(tokens))):
        if children[t]:
            found[t] = found[children[t][-1]]
    return found
