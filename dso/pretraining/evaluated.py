"""Functions that must not be learned, because the network is evaluated on them.

They are the benchmarks that ship with dso, equations of physics, and what a distribution names. A
skeleton is excluded if it has the values of one of them, in any order of inputs, up to a factor and
a summand, and with any of its numbers a constant to be fitted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from dso.library import OPERATORS
from dso.library.expression import Expression, parse
from dso.pretraining.canonical import (
    FREE,
    INPUT,
    OPERATIONS,
    Node,
    UndefinedError,
    is_plain,
    number,
    up_to_affine,
)
from dso.pretraining.identity import CONSTANTS, NO_KEY, Identifier, Keys
from dso.pretraining.spelling import Speller, UnspellableError
from dso.pretraining.vocabulary import Vocabulary
from dso.program import ProgramBatch
from dso.task.regression.benchmarks import benchmark_names, find_benchmark

PHYSICS = Path(__file__).with_name("evaluated.json")
MAX_SUBSETS = 6
"""Up to this many plain numbers, any subset may be free; else none, all, or all but exponents."""


def evaluated_formulas() -> dict[str, Expression]:
    """Return the formulas on which results are reported, by name."""
    found = {name: find_benchmark(name).formula for name in benchmark_names()}
    for name, text in json.loads(PHYSICS.read_text(encoding="utf-8"))["physics"].items():
        found[name] = parse(text, f"physics {name}")
    return found


def excluded_keys(identifier: Identifier, more: Iterable[str] = ()) -> np.ndarray:
    """Return the sorted keys of all functions that must not be generated.

    Parameters
    ----------
    identifier : Identifier
    more : iterable of str
        Further formulas.
    """
    formulas = [*evaluated_formulas().values(), *(parse(text, "excluded") for text in more)]
    return keys_of(identifier, formulas)


def keys_of(identifier: Identifier, formulas: Iterable[Expression]) -> np.ndarray:
    """Return the sorted keys of formulas, with some, none or all of their numbers to be fitted."""
    rows = [row for formula in formulas for row in spellings(formula, identifier.vocabulary)]
    keys = identifier.keys(ProgramBatch.from_rows(rows))
    found = np.unique(np.concatenate([keys.positive, keys.whole]))
    return found[found != NO_KEY]


def is_excluded(keys: Keys, excluded: np.ndarray) -> np.ndarray:
    """Tell which functions (B,) have a key among the sorted `excluded`."""
    return np.isin(keys.positive, excluded) | np.isin(keys.whole, excluded)


def spellings(formula: Expression, vocabulary: Vocabulary) -> Iterator[list[int]]:
    """Yield programs for a formula with some, none or all of its numbers to be fitted."""
    if formula.n_inputs > vocabulary.n_inputs:
        return
    speller = Speller.whole(vocabulary)
    constant = vocabulary.index["const"]
    for free in _free(formula):
        try:
            tree = up_to_affine(tree_of_formula(formula, free))
            row = [token for token, _ in speller.spell(tree)]
        except (UndefinedError, UnspellableError, KeyError):
            continue  # nothing that the generator could write
        if row.count(constant) <= len(CONSTANTS):
            yield row


def _free(formula: Expression) -> Iterator[frozenset[int]]:
    """Yield sets of places of numbers that are to be fitted; one that is not plain always is."""
    nodes = formula.nodes
    places = [place for place, node in enumerate(nodes) if isinstance(node, float)]
    always = frozenset(place for place in places if not is_plain(float(nodes[place])))
    others = [place for place in places if place not in always]
    if len(others) > MAX_SUBSETS:
        exponents = {place for place in others if _is_exponent(formula, place)}
        yield from (always, frozenset(places) - exponents, frozenset(places))
        return
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            yield always.union(chosen)


def _is_exponent(formula: Expression, place: int) -> bool:
    """Tell whether a number is the second argument of a power of an input."""
    return place > 1 and formula.nodes[place - 2] == "pow"


def tree_of_formula(formula: Expression, free: frozenset[int] = frozenset()) -> Node:
    """Return the canonical tree of a formula; the numbers at some places are to be fitted.

    Raises
    ------
    UndefinedError
        If it is nowhere defined.
    KeyError
        For an operator without canonical form.
    """
    stack: list[Node] = []
    for place, node in reversed(list(enumerate(formula.nodes))):
        if isinstance(node, str):
            arguments = [stack.pop() for _ in range(OPERATORS[node].arity)]
            stack.append(OPERATIONS[node](*arguments))
        elif isinstance(node, int):
            stack.append((INPUT, node))
        else:
            stack.append(number(FREE if place in free else float(node)))
    return stack[0]
