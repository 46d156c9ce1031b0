"""Local search over the numbers of one policy: thresholds, literals and constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dso.library import HardCodedConstant, Library, PlaceholderConstant, StateChecker, Token
from dso.program import Program, ProgramBatch
from dso.task.control.composition import Policies

FIRST_STEP = 0.25
"""Of a number's own size, at least of `MIN_SIZE`."""
MIN_SIZE = 0.1
MAX_HALVINGS = 5
"""In a row, after which the search ends."""


def refined(
    program: Program,
    play: Callable[[Policies], np.ndarray],
    policies: Policies,
    n_rounds: int,
) -> Program:
    """Return the program with better numbers, the same one where none are found.

    In each round every number is moved up and down alone; the best of these variants is taken if it
    is better, otherwise steps are halved, five times in a row at most.

    Parameters
    ----------
    program : Program
    play : callable
        Policies to returns (P, E), of the same episodes each time; NaN once time is over.
    policies : Policies
        The program as a policy.
    n_rounds : int
    """
    places = [i for i, token in enumerate(program.traversal) if _number(token) is not None]
    if not places:
        return program
    numbers = np.array([_number(program.traversal[i]) for i in places], dtype=np.float64)
    steps = FIRST_STEP * np.maximum(np.abs(numbers), MIN_SIZE)

    def returns(candidates: np.ndarray) -> np.ndarray:
        variants, library = _variants(program, places, candidates)
        return play(Policies(variants, policies.of_library(library).composition)).mean(axis=1)

    (best,) = returns(numbers[None])
    start, n_halvings = best, 0
    for _ in range(n_rounds):
        if n_halvings == MAX_HALVINGS:
            break
        moves = np.concatenate([np.diag(steps), -np.diag(steps)])
        results = returns(numbers + moves)
        if results[i := int(np.nanargmax(results))] > best:
            numbers, best, n_halvings = numbers + moves[i], results[i], 0
        else:
            steps, n_halvings = steps / 2, n_halvings + 1
        if np.isnan(results).any():
            break
    if best == start:
        return program
    variants, library = _variants(program, places, numbers[None])
    return Program(library, variants.row(0), protected=program.protected)


def _number(token: Token) -> float | None:
    if isinstance(token, StateChecker):
        return token.threshold
    if isinstance(token, HardCodedConstant):
        return token.value
    return token.value if isinstance(token, PlaceholderConstant) else None


def _variants(
    program: Program, places: list[int], numbers: np.ndarray
) -> tuple[ProgramBatch, Library]:
    """Return a program for each row of numbers (n, K), in a library that has them as tokens."""
    tokens = list(program.library.tokens)
    index = {token.name: i for i, token in enumerate(tokens)}
    rows = np.repeat(program.tokens[None], len(numbers), axis=0)
    for k, place in enumerate(places):
        old = program.traversal[place]
        for row, value in enumerate(numbers[:, k].tolist()):
            new = (
                StateChecker(old.state_index, value)
                if isinstance(old, StateChecker)
                else HardCodedConstant(value)
            )
            if new.name not in index:
                index[new.name] = len(tokens)
                tokens.append(new)
            rows[row, place] = index[new.name]
    return ProgramBatch.from_rows(rows.tolist()), Library(tokens, program.library.input_names)
