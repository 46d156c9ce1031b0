"""The complexity of programs: how much there is to read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dso.library import OPERATORS, Library
from dso.program import ProgramBatch

Measure = Callable[[ProgramBatch], np.ndarray]
OF_EXPONENTIALS = "exp_"


def complexity_measure(kind: str | None, library: Library) -> Measure:
    """Return the function (programs) -> (B,) float64 that the Pareto front is drawn over.

    Parameters
    ----------
    kind : {"token", "length", "exp_token", "exp_length", None}
        Sum of the tokens' complexities, to the nearest whole number; number of tokens; one of them
        for exp(f) in place of f, see `_of_exponentials`; or 0 for every program.
    library : Library
    """
    if kind is None:
        return lambda programs: np.zeros(len(programs))
    if kind.startswith(OF_EXPONENTIALS):
        return _of_exponentials(kind.removeprefix(OF_EXPONENTIALS), library)
    if kind == "length":
        return lambda programs: programs.lengths.astype(np.float64)
    if kind != "token":
        raise ValueError(
            f"complexity is {kind!r}; allowed: 'token', 'length', 'exp_token', 'exp_length', None"
        )
    # The last entry answers for PAD, which is index -1.
    table = np.append(np.asarray(library.complexities, dtype=np.float64), 0.0)

    def total(programs: ProgramBatch) -> np.ndarray:
        longest = int(programs.lengths.max(initial=0))
        sums = table[programs.tokens[:, :longest]].sum(axis=1)
        # Halves go up, as under the limits of size; what is nearly one is one.
        return sums if is_whole else np.floor(sums + 0.5 + 1e-9)

    is_whole = bool((table == np.round(table)).all())
    return total


def _of_exponentials(kind: str, library: Library) -> Measure:
    """Return what exp(f) takes as people write it, a product where f is a sum.

    exp(c + p log(u) + log(v) + g) is k u^p v exp(g): log is saved in each term of f that is a
    logarithm or a multiple of one, and exp comes to it where other terms are left.
    """
    measure = complexity_measure(kind, library)

    def price(name: str) -> float:
        if kind == "length":
            return 1.0
        tokens = [token for token in library.tokens if token.name == name]
        return float(tokens[0].complexity if tokens else OPERATORS[name].complexity)

    of_log, of_exp = price("log"), price("exp")
    of_power = price("mul") + of_log - price("pow")

    def of_exponentials(programs: ProgramBatch) -> np.ndarray:
        n_logs, n_powers, has_others = _terms(programs, library)
        return measure(programs) - of_log * n_logs - of_power * n_powers + of_exp * has_others

    return of_exponentials


def _terms(programs: ProgramBatch, library: Library) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the terms of programs that are a log, and a multiple of one; tell if there are others.

    A constant is neither, nor one of the others.
    """
    names = np.array([token.name for token in library.tokens] + [""])  # the last is PAD
    arities = np.append(library.arities, 0)
    is_sum, is_log = np.isin(names, ("add", "sub", "neg")), names == "log"
    is_product = np.isin(names, ("mul", "div"))
    is_number = arities == 0
    is_number[[*library.input_tokens, -1]] = False
    n_rows = len(programs)
    counts = np.zeros((3, n_rows), dtype=np.int64)  # logs, multiples of logs, all terms but numbers
    open_slots = np.zeros(n_rows, dtype=np.int64)  # of the term under way
    first = np.full(n_rows, -1)  # of its tokens, where it is a product
    left = first.copy()  # the token that begins its first factor
    for t in range(int(programs.lengths.max(initial=0))):
        token = programs.tokens[:, t]
        is_new = (open_slots == 0) & ~is_sum[token] & (token >= 0)
        is_left = (open_slots == 2) & (first >= 0) & (left < 0)
        is_right = (open_slots == 1) & (left >= 0)
        is_power = is_right & is_log[left] & is_number[token]
        is_power |= is_right & is_number[left] & is_log[token] & (names[first] == "mul")
        counts[0] += is_new & is_log[token]
        counts[1] += is_power
        counts[2] += is_new & ~is_number[token]
        first = np.where(is_new, np.where(is_product[token], token, -1), first)
        left = np.where(is_new | is_right, -1, np.where(is_left, token, left))
        first = np.where(is_right, -1, first)
        is_inside = is_new | (open_slots > 0)
        open_slots += np.where(is_inside, arities[token] - (~is_new), 0)
    return counts[0], counts[1], counts[2] > counts[0] + counts[1]
