"""Neighbours: programs that differ from one by what stands at one node, the promising ones first.

At a node t with values v and slopes s = d program / d v, another expression with the values f makes
the residuals r of the program, to first order, r + s (f - v) + J d, where J d is what the constants
outside the node make up for. With P the projection that takes J out, and u = P (r - s v)::

    f = e          |u + P s e|^2
    f = a          least over a of |u + a P s|^2
    f = k e        least over k of |u + k P s e|^2
    f = a + k e    least over both

e runs through the cheapest expressions of a library of values and through all that stands at the
node and below it. So one product of matrices asks of thousands of forms what they are worth to the
whole: a subtree that is constant on the data, a factor or a term that does nothing, a number in the
guise of a function, two constants that only act together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dso.library import Library
from dso.program import FitData, ProgramBatch
from dso.program.derivatives import derivatives_in_nodes
from dso.program.traversal import child_positions

BLIND = 1e-13
"""Share of the squares of y up to which a loss cannot be told from none to first order."""
SLACK = 3.0
"""A shorter form may look so many times worse than it has to be: the rest is for the fit."""

Row = tuple[list[int], list[float]]
"""Tokens in prefix order and the numbers of each `const` among them."""


@dataclass(frozen=True)
class Entries:
    """M expressions to try, without constants.

    Attributes
    ----------
    programs : ProgramBatch
    values : (M, N) float64
        On the rows of the data, finite.
    """

    programs: ProgramBatch
    values: np.ndarray


@dataclass(frozen=True)
class Grammar:
    """The tokens that forms are made of; -1 is one that the library lacks.

    Attributes
    ----------
    add, mul, const : int
    costs : (L,) float64
        Complexity of each token.
    """

    add: int
    mul: int
    const: int
    costs: np.ndarray

    @staticmethod
    def of(library: Library, complexity: Callable[[ProgramBatch], np.ndarray]) -> Grammar:
        """Find the tokens, and ask what each adds to a complexity."""
        numbers = {name: i for i, name in enumerate(library.names)}
        const = -1 if library.const_token is None else library.const_token
        costs = complexity(ProgramBatch.from_rows([[i] for i in range(library.L)]))
        return Grammar(numbers.get("add", -1), numbers.get("mul", -1), const, costs)

    def forms(self) -> list[tuple[list[int], int, bool]]:
        """Return what may stand before an entry: tokens, how many constants, whether one scales."""
        found: list[tuple[list[int], int, bool]] = [([], 0, False)]
        if self.const < 0:
            return found
        if self.mul >= 0:
            found.append(([self.mul, self.const], 1, True))
        if self.add >= 0:
            found.append(([self.add, self.const], 1, False))
        if self.mul >= 0 and self.add >= 0:
            found.append(([self.add, self.const, self.mul, self.const], 2, True))
        return found


def neighbours(
    data: FitData,
    program: ProgramBatch,
    entries: Entries,
    grammar: Grammar,
    bar: Callable[[np.ndarray], np.ndarray],
    n_kept: int,
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
        Complexities (n,) -> the least losses (n,) so far at up to these.
    n_kept : int
        Neighbours returned at most.
    """
    tree = _Tree(data, program, grammar)
    if not tree.is_usable:
        return []
    found: list[tuple[float, int, Row]] = []
    for t in range(tree.size):
        found += _at_node(tree, t, entries, grammar, bar, n_kept)
    found.sort(key=lambda candidate: candidate[0])
    rows: dict[tuple[int, ...], Row] = {}
    for _, _, row in found:
        rows.setdefault(tuple(row[0]), row)
        if len(rows) == n_kept:
            break
    return list(rows.values())


class _Tree:
    """A program with the values and slopes of its nodes, and its residuals."""

    def __init__(self, data: FitData, program: ProgramBatch, grammar: Grammar) -> None:
        self.tokens = program.row(0)
        self.size = len(self.tokens)
        constants = program.constants[0]
        self.constants = constants[~np.isnan(constants)]
        library = data.library
        with np.errstate(all="ignore"):
            self.values, self.slopes = derivatives_in_nodes(
                library, self.tokens, self.constants, data.columns
            )
            self.roots = np.ones(len(data.y)) if data.weights is None else np.sqrt(data.weights)
            self.residuals = self.roots * (self.values[0] - data.y)
            self.slopes = self.slopes * self.roots
        self.total = float(np.sum(self.roots**2))
        self.blind = BLIND * float(np.sum((self.roots * data.y) ** 2)) / self.total
        self.ends = _ends(self.tokens, library.arities)
        self.is_constant = self.tokens == grammar.const
        self.costs = grammar.costs[self.tokens]
        self.complexity = float(self.costs.sum())
        self.is_usable = bool(np.isfinite(self.residuals).all())

    def constants_before(self, t: int) -> int:
        """How many constants stand before a node."""
        return int(self.is_constant[:t].sum())

    def outside(self, t: int) -> np.ndarray:
        """Return an orthonormal basis (N, k) of what the constants outside a node can change."""
        is_outside = self.is_constant.copy()
        is_outside[t : self.ends[t]] = False
        table = self.slopes[is_outside]
        table = table[np.isfinite(table).all(axis=1) & (table != 0).any(axis=1)]
        if not len(table):
            return np.empty((len(self.roots), 0))
        table = table / np.linalg.norm(table, axis=1, keepdims=True)
        u, sizes, _ = np.linalg.svd(table.T, full_matrices=False)
        return u[:, sizes > 1e-9 * sizes[0]]

    def replaced(self, t: int, tokens: list[int], constants: list[float]) -> Row:
        """Return the row with other tokens at a node."""
        end, before = self.ends[t], self.constants_before(t)
        after = self.constants_before(end)
        numbers = self.constants.tolist()
        return (
            [*self.tokens[:t].tolist(), *tokens, *self.tokens[end:].tolist()],
            [*numbers[:before], *constants, *numbers[after:]],
        )

    def part(self, t: int) -> Row:
        """Return the tokens and constants of a subtree."""
        first, last = self.constants_before(t), self.constants_before(self.ends[t])
        return self.tokens[t : self.ends[t]].tolist(), self.constants[first:last].tolist()


def _at_node(
    tree: _Tree,
    t: int,
    entries: Entries,
    grammar: Grammar,
    bar: Callable[[np.ndarray], np.ndarray],
    n_kept: int,
) -> list[tuple[float, int, Row]]:
    """Return the promising forms at one node, each with how it compares with what is known."""
    slopes, end = tree.slopes[t], tree.ends[t]
    if not np.isfinite(slopes).all() or not slopes.any():
        return []
    below = np.arange(t, end)
    below = below[np.isfinite(tree.values[below]).all(axis=1)]
    below = below[tree.tokens[below] != grammar.const]
    table = np.concatenate([entries.values, tree.values[below]])
    costs = np.concatenate(
        [
            np.append(grammar.costs, 0.0)[entries.programs.tokens].sum(axis=1),
            [tree.costs[b : tree.ends[b]].sum() for b in below],
        ]
    )
    basis = tree.outside(t)
    with np.errstate(all="ignore"):
        sums = _Sums.of(tree, t, table, basis)
        rest = tree.complexity - tree.costs[t:end].sum()
        options: list[tuple[float, int, int, list[float]]] = []
        for number, (head, n_constants, scales) in enumerate(grammar.forms()):
            losses, offsets, factors = sums.best(n_constants, scales)
            sizes = rest + costs + grammar.costs[head].sum()
            options += _promising(
                tree, losses, sizes, bar, n_kept, number, n_constants, scales, offsets, factors
            )
        if grammar.const >= 0 and end - t > 1:
            loss, offset = sums.constant()
            size = rest + grammar.costs[grammar.const]
            known = float(bar(np.array([size]))[0])
            if loss <= max(SLACK * known, tree.blind):
                merit = np.log(max(loss, tree.blind)) - np.log(max(known, tree.blind))
                options.append((float(merit), -1, 0, [offset]))
    found = []
    heads = [head for head, _, _ in grammar.forms()]
    for merit, number, entry, numbers in options:
        if number < 0:
            row = tree.replaced(t, [grammar.const], numbers)
        else:
            part: Row
            if entry < len(entries.programs):
                part = entries.programs.row(entry).tolist(), []
            else:
                part = tree.part(int(below[entry - len(entries.programs)]))
            row = tree.replaced(t, [*heads[number], *part[0]], [*numbers, *part[1]])
        found.append((merit, len(row[0]), row))
    return found


def _promising(
    tree: _Tree,
    losses: np.ndarray,
    sizes: np.ndarray,
    bar: Callable[[np.ndarray], np.ndarray],
    n_kept: int,
    number: int,
    n_constants: int,
    scales: bool,
    offsets: np.ndarray,
    factors: np.ndarray,
) -> list[tuple[float, int, int, list[float]]]:
    known = bar(sizes)
    slack = np.where(sizes < tree.complexity, SLACK, 1.0)
    is_promising = losses <= np.maximum(slack * known, np.where(slack > 1, tree.blind, 0.0))
    rows = np.flatnonzero(is_promising)
    merits = np.log(np.maximum(losses[rows], tree.blind) / np.maximum(known[rows], tree.blind))
    # Of forms that are as good as each other, the shorter.
    merits = merits + 1e-3 * sizes[rows]
    best = rows[np.argsort(merits, kind="stable")[:n_kept]]
    merit_of = dict(zip(rows.tolist(), merits.tolist(), strict=True))
    found = []
    for entry in best.tolist():
        numbers = [float(factors[entry])] if scales else []
        if n_constants > len(numbers):
            numbers.insert(0, float(offsets[entry]))
        found.append((merit_of[entry], number, entry, numbers))
    return found


@dataclass(frozen=True)
class _Sums:
    """Products of what a node's forms change, the constants outside taken out."""

    n: float
    uu: float
    us: float
    ss: float
    uw: np.ndarray
    sw: np.ndarray
    ww: np.ndarray

    @staticmethod
    def of(tree: _Tree, t: int, table: np.ndarray, basis: np.ndarray) -> _Sums:
        slopes = tree.slopes[t]
        u = tree.residuals - slopes * tree.values[t]
        u = u - basis @ (basis.T @ u)
        s = slopes - basis @ (basis.T @ slopes)
        # One column at a time: for a matrix, BLAS would start threads, which take longer.
        uw, sw, *others = (table @ (slopes * column) for column in (u, s, *basis.T))
        ww = np.square(table) @ slopes**2
        for product in others:
            ww -= product**2
        return _Sums(tree.total, u @ u, u @ s, s @ s, uw, sw, ww)

    def constant(self) -> tuple[float, float]:
        """Return the loss of a constant, and the constant."""
        if self.ss <= 0:
            return self.uu / self.n, 0.0
        return max(0.0, self.uu - self.us**2 / self.ss) / self.n, -self.us / self.ss

    def best(self, n_constants: int, scales: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the losses (M,) of a form, with its offsets and factors."""
        zeros, ones = np.zeros_like(self.uw), np.ones_like(self.uw)
        if n_constants == 0:
            return self._losses(self.uu + 2 * self.uw + self.ww), zeros, ones
        if n_constants == 1 and scales:
            factors = -self.uw / self.ww
            return self._losses(self.uu - self.uw**2 / self.ww), zeros, factors
        if n_constants == 1:
            offsets = -(self.us + self.sw) / self.ss
            whole = self.uu + 2 * self.uw + self.ww
            return self._losses(whole - (self.us + self.sw) ** 2 / self.ss), offsets, ones
        determinant = self.ss * self.ww - self.sw**2
        is_singular = determinant <= 1e-9 * self.ss * self.ww
        offsets = (self.sw * self.uw - self.ww * self.us) / determinant
        factors = (self.sw * self.us - self.ss * self.uw) / determinant
        losses = self.uu + offsets * self.us + factors * self.uw
        return self._losses(np.where(is_singular, np.inf, losses)), offsets, factors

    def _losses(self, sums: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(sums), np.maximum(sums, 0.0), np.inf) / self.n


def _ends(tokens: np.ndarray, arities: np.ndarray) -> np.ndarray:
    """Return where the subtree at each position ends, (T,)."""
    ends = np.arange(1, len(tokens) + 1)
    children = child_positions(tokens, arities)
    for t in reversed(range(len(tokens))):
        if children[t]:
            ends[t] = ends[children[t][-1]]
    return ends
