"""Complexities as whole numbers, which is how the native rules count them.

Complexities that are not whole are multiples of 1 / q. A sum of them counts as the nearest whole
number, so that it is at most b where the sum of the multiples is less than (b + 1/2) q.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import Library

MAX_DENOMINATOR = 100


def whole_sizes(library: Library) -> tuple[list[int], int]:
    """Return the complexities of the tokens (L,) in units of 1 / q, and q.

    Raises
    ------
    UserError
        If no q up to `MAX_DENOMINATOR` will do.
    """
    for q in range(1, MAX_DENOMINATOR + 1):
        sizes = library.complexities * q
        if np.allclose(sizes, np.round(sizes), rtol=0, atol=1e-9):
            return np.round(sizes).astype(int).tolist(), q
    raise UserError(
        f"task.complexities: {sorted(set(library.complexities.tolist()))}; under limits of size "
        f"they have to be multiples of 1/q for a whole q up to {MAX_DENOMINATOR}."
    )


def in_units(bound: Any, q: int) -> Any:
    """Return the greatest sum, in units of 1 / q, that counts as at most `bound` (or bounds)."""
    return bound if q == 1 else -(-(2 * bound + 1) * q // 2) - 1
