"""Joins: contexts and entries that together have the values of y, found from both ends.

Backwards. A context is y taken apart: where y = f(h, s) for an operator f, an entry s and a hole h,
the hole must have the values f^-1(y, s). That is done again in the hole, so that a context is a
chain of functions with at most two entries in it. It costs what its parts cost.

Forwards. What a context wants, w, may be an entry. Or it is a sum, difference, product or quotient
of two entries s and t:

    w = s + t  if  t = w - s        w = t - s  if  t = w + s
    w = s t    if  t = w / s        w = t / s  if  t = w s

So each s takes four look-ups of the values of t in a hash table, signs aside, where trying all t
would take as many steps as there are entries. Contexts, s and t then make expressions of three
times the size that enumeration reaches. Pairs are looked up in order of cost, so that the first hit
is a cheap one; it is executed on all rows, since keys are values on four rows only.

This is meeting in the middle (Horowitz & Sahni, Computing partitions with applications to the
knapsack problem, 1974). Entries that are equal on the data are one entry, as in program synthesis
(Albarghouthi et al., Recursive program synthesis, 2013); contexts are the semantic backpropagation
of genetic programming (Pawlak, Wieloch & Krawiec, 2015). The work is done in native code:
`native/semantic/backward.hpp` makes contexts, `native/semantic/join.hpp` looks up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dso.native import _core
from dso.program import ProgramBatch
from dso.semantic.budget import Budget
from dso.semantic.problem import Problem
from dso.semantic.strategies.strategy import Strategy
from dso.semantic.value_library import ValueLibrary

VECTORS_PER_CONTEXT = 6
"""Vectors to have left for each context: more than it takes, as a rule, to make one."""
MAX_PARTNERS, MAX_SECOND_PARTNERS = 2000, 60
"""Cheapest entries that y is combined with, and what comes of that: the dearest are rarely used."""
MAX_CONTEXT_COST = 12
"""Units of cost: dearer contexts do not come in a library's turn."""
MAX_HITS = 64
"""Programs of one cost: the nicest is chosen from these."""


def make_joins(
    problem: Problem,
    values: ValueLibrary,
    budget: Budget,
    *,
    max_contexts: int,
    sameness: str = "exact",
    prefix: Sequence[int] = (),
) -> _core.SemanticSearch:
    """Make the contexts of y, as many as the budget has vectors for, and count them.

    Parameters
    ----------
    problem : Problem
    values : ValueLibrary
    budget : Budget
    max_contexts : int
    sameness : {"exact", "scale", "shift"}
        Whether y is wanted as it is, up to a factor, or up to an offset.
    prefix : list of int
        Tokens of the factor or the offset, which will stand before what is found.
    """
    data = problem.data
    joins = _core.SemanticSearch(
        values.native,
        problem.library.native,
        problem.prior.rules,
        data.y[values.rows],
        _core.Data(data.sample, data.sample_y, protected=data.protected),
        data.native,
        tolerance=data.tolerance,
        max_contexts=min(max_contexts, 1 + budget.vectors_left // VECTORS_PER_CONTEXT),
        first_partners=MAX_PARTNERS,
        second_partners=MAX_SECOND_PARTNERS,
        max_cost=MAX_CONTEXT_COST,
        sameness=sameness,
        prefix=prefix,
    )
    budget.count(vectors=joins.n_vectors)
    return joins


class JoinSearch(Strategy):
    """Joins contexts with entries, cost by cost, until programs with the values of y are found."""

    shortens: ClassVar[bool] = True
    looks_up: ClassVar[bool] = True

    def run(
        self, values: ValueLibrary, joins: _core.SemanticSearch, budget: Budget
    ) -> ProgramBatch:
        hits, stopped_by = first_hits(self.problem, joins, budget)
        budget.stop(stopped_by)
        return hits


def first_hits(
    problem: Problem, joins: _core.SemanticSearch, budget: Budget, prefix: Sequence[int] = ()
) -> tuple[ProgramBatch, str]:
    """Join cost by cost until something is found.

    Returns
    -------
    programs : ProgramBatch
        Those of the lowest cost that the priors allow, each with the prefix before it.
    stopped_by : {"exhausted", "lookups", "seconds"}
    """
    cost, stopped_by = 0, "exhausted"
    hits = ProgramBatch.from_rows([])
    while not len(hits) and joins.has_layer(cost):
        is_complete, tokens, lengths = joins.run_layer(
            cost, budget.max_lookups, MAX_HITS, budget.is_up
        )
        rows = zip(tokens.tolist(), lengths.tolist(), strict=True)
        hits = problem.allowed(ProgramBatch.from_rows([[*prefix, *row[:n]] for row, n in rows]))
        cost += 1
        if not is_complete:
            stopped_by = "seconds" if budget.seconds_left <= 0 else "lookups"
            break
    budget.count(lookups=joins.n_lookups)
    return hits, stopped_by
