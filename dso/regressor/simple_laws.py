"""Laws to try first: lines, powers, logarithms and exponentials of one or two inputs; polynomials.

They are what everything else is compared with, and too short to be drawn soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from dso.program import FitData

MAX_PAIRS = 200
"""With more pairs of inputs than this, none are tried."""


class Law(NamedTuple):
    """A form of x (and z) in tokens, its constants an offset and then a slope for each input.

    Attributes
    ----------
    text : str
    is_line_in : {"", "inputs", "logs"}
        In what log(y) is a line, whose least squares are where the fit starts; empty: none.
    has_factor : bool
        Whether the first constant is the exponential of the offset.
    """

    text: str
    is_line_in: str = ""
    has_factor: bool = False


OF_NONE = [Law("const"), Law("poly")]
OF_POLYNOMIALS = "{f},poly"
"""For each function f of one argument."""
OF_ONE = [
    Law("{x}"),
    Law("mul,const,{x}"),
    Law("add,const,mul,const,{x}"),
    Law("add,const,mul,const,log,{x}"),
    Law("mul,const,pow,{x},const", "logs", True),
    Law("exp,add,const,mul,const,log,{x}", "logs"),
    Law("mul,const,exp,mul,const,{x}", "inputs", True),
]
OF_TWO = [
    Law("add,const,add,mul,const,{x},mul,const,{z}"),
    Law("add,const,add,mul,const,log,{x},mul,const,log,{z}"),
    Law("mul,const,mul,pow,{x},const,pow,{z},const", "logs", True),
    Law("exp,add,const,add,mul,const,log,{x},mul,const,log,{z}", "logs"),
]


def simple_laws(data: FitData) -> Iterator[tuple[str, list[float]]]:
    """Yield laws that the library can write, with constants to start a fit from.

    Parameters
    ----------
    data : FitData

    Yields
    ------
    text : str
        Names of tokens.
    start : list of float
        Empty where nothing is known of them.
    """
    library = data.library
    inputs = [int(token) for token in library.input_tokens]
    pairs = list(combinations(range(len(inputs)), 2))
    wanted: list[tuple[Law, tuple[int, ...]]] = [(law, ()) for law in OF_NONE]
    functions = [str(library.names[token]) for token in np.flatnonzero(library.arities == 1)]
    wanted += [(Law(OF_POLYNOMIALS.format(f=name)), ()) for name in functions]
    wanted += [(law, (i,)) for law in OF_ONE for i in range(len(inputs))]
    if len(pairs) <= MAX_PAIRS:
        wanted += [(law, pair) for law in OF_TWO for pair in pairs]
    known = set(library.names)
    for law, which in wanted:
        names = [library.names[inputs[i]] for i in which]
        text = law.text.format(**dict(zip("xz", names, strict=False)))
        if set(text.split(",")) <= known:
            yield text, _start(law, data.columns[list(which)], data.y)


def _start(law: Law, columns: np.ndarray, y: np.ndarray) -> list[float]:
    """Return offset and slopes of the line (see `Law`) through the rows that have logarithms."""
    if not law.is_line_in:
        return []
    sign = np.sign(np.median(y)) or 1.0
    is_usable = sign * y > 0
    if law.is_line_in == "logs":
        is_usable &= (columns > 0).all(axis=0)
    if is_usable.sum() <= len(columns):
        return []
    X = columns[:, is_usable]
    X = np.log(X) if law.is_line_in == "logs" else X
    design = np.column_stack([np.ones(X.shape[1]), *X])
    offset, *slopes = np.linalg.lstsq(design, np.log(sign * y[is_usable]), rcond=None)[0].tolist()
    if not law.has_factor:
        return [offset, *slopes]
    with np.errstate(over="ignore"):
        factor = float(sign * np.exp(offset))
    return [factor, *slopes] if np.isfinite(factor) else []
