"""Constants inside functions: a factor in the argument of a function within an entry.

No look-up or regression finds sin(3.7 x) from sin(x): its values are another curve. So the entry is
rewritten with a factor in the argument, 1 or -1 to start from, and combined as if it were fitted
already,

    a + k s[c u]    and    k s[c u] + m t    with k, a and m of the fit for c = 1,

and the least-squares fit of all constants is left to find c from there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dso.library import Library
from dso.semantic.candidates import Start
from dso.semantic.contexts import Comparison
from dso.semantic.writing import Tokens, Writer

FACTORS = (1.0, -1.0)
"""Where the fit of an inner factor starts."""
MAX_ALONE = 400
"""Entries that are given a factor and combined with an offset."""
MAX_PAIRED = 40
"""Entries that are given a factor, each of which is combined with every other one."""


def with_inner_factors(
    writer: Writer, compared: Comparison, numbers: np.ndarray
) -> Iterator[Start]:
    """Yield a + k s, then k s + m t, for cheap entries with a factor in an argument in s.

    Parameters
    ----------
    writer : Writer
    compared : Comparison
    numbers : (m,) int
        Entries that may be used, the cheapest first.
    """
    entries, columns, y = compared.entries, compared.columns, compared.y
    for number in numbers[:MAX_ALONE]:
        column = columns[number] - columns[number].mean()
        k = column @ y / (column @ column)
        a = (y - k * columns[number]).mean()
        for inner, factor in _factored(writer, entries.row(number).tolist()):
            whole = writer.sum(writer.const, writer.scaled(inner))
            if whole is not None:
                yield Start(whole, [a, k, factor])
    few = numbers[:MAX_PAIRED]
    for number in few:
        for inner, factor in _factored(writer, entries.row(number).tolist()):
            for other in few:
                table = columns[[number, other]].T
                k, m = np.linalg.lstsq(table, y, rcond=None)[0]
                whole = writer.sum(writer.scaled(inner), writer.scaled(entries.row(other).tolist()))
                if other != number and whole is not None:
                    yield Start(whole, [k, factor, m])


def _factored(writer: Writer, row: Tokens) -> Iterator[tuple[Tokens, float]]:
    """Yield a program with a factor in the argument of one of its functions, and a start."""
    for t, token in enumerate(row):
        if writer.library.arities[token] != 1:
            continue
        end = end_of(writer.library, row, t + 1)
        argument = writer.scaled(row[t + 1 : end])
        if argument is not None:
            for factor in FACTORS:
                yield [*row[: t + 1], *argument, *row[end:]], factor


def end_of(library: Library, row: Tokens, begin: int) -> int:
    """Return where the subtree that begins at a position ends."""
    missing, t = 1, begin
    while missing:
        missing += int(library.arities[row[t]]) - 1
        t += 1
    return t
