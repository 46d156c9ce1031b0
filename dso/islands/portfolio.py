"""How islands differ where the config leaves it open: by what functions they may use.

The first has all, the others do without sin, cos and tan, without exp and log, and without both. On
noisy data the smaller sets fit as well with fewer forms to choose from; see docs/batches.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dso.library import create_tokens

WAVES = frozenset({"sin", "cos", "tan"})
GROWTH = frozenset({"exp", "log", "expneg", "log10"})
GROUPS: tuple[frozenset[str], ...] = (GROWTH, WAVES, GROWTH | WAVES)


def function_sets(function_set: Sequence[Any] | None) -> list[dict[str, Any]]:
    """Return the portfolio of the functions of a task.

    Parameters
    ----------
    function_set : sequence, optional
        ``task.function_set``; tasks without one have islands that do not differ.
    """
    functions = list(function_set or ())
    names = [create_tokens(0, [each])[0].name for each in functions]
    varied: list[dict[str, Any]] = [{}]
    for group in GROUPS:
        kept = [each for each, name in zip(functions, names, strict=True) if name not in group]
        one = {"task.function_set": kept}
        if 0 < len(kept) < len(functions) and one not in varied:
            varied.append(one)
    return varied
