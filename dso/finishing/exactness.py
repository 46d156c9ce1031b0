"""Whether a program is the law behind exact data, judged row by row, not on average."""

from __future__ import annotations

import numpy as np

from dso.program import FitData, ProgramBatch, execute
from dso.program.execute import VALID, Polynomials
from dso.semantic.target import Target

SMALL = 1e-3
"""Share of the root mean square of y below which a residual is not compared with its own y."""


def is_exact(data: FitData, program: ProgramBatch, polynomials: Polynomials = None) -> bool:
    """Tell whether a program has the values of y in every row, to the digits that y has.

    A mean over rows is ruled by the large ones: what errs by a thousandth where y is small may have
    a mean squared error of 1e-12 of the variance.

    Parameters
    ----------
    data : FitData
    program : ProgramBatch
        One row with its constants.
    polynomials : sequence, optional
        What its `poly` stands for.
    """
    values, cause, _ = execute(
        data.library, program, data.columns, data.protected, polynomials=polynomials
    )
    if cause[0] != VALID:
        return False
    size = np.abs(data.y).max()  # whose square may be too large
    scale = np.abs(data.y) + SMALL * size * np.sqrt(np.mean((data.y / (size or 1.0)) ** 2))
    return bool((np.abs(values[0] - data.y) <= Target.of(data, 0).tolerance * scale).all())
