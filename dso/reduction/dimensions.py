"""What units say: y is a product of powers of the columns times a function of pure numbers.

The dimension of a formula is read off its values. If each base unit u_k is halved, the number of a
quantity of dimension prod_k u_k^e_k grows by the factor 2^e_k, the same in every row. Where the
factors differ from row to row the formula has no dimension: x + x^2 has none, nor has a term whose
coefficient has a unit that nobody knows. So any reduction's columns and target have dimensions, or
are seen to have none, and `dso.units.buckingham` finds the groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dso.reduction.proposals import Scaling
from dso.reduction.reduction import Reduction
from dso.units import Dimension, Quantities, buckingham

MAX_BASES = 3
MAX_DENOMINATOR = 12
MAX_SPREAD = 1e-6
"""Of an exponent over the rows; what differs more has no dimension."""


@dataclass(frozen=True)
class UnitGroups(Scaling):
    """The groups that the units of the columns allow."""

    def text(self, reduction: Reduction) -> str:
        """See `Move`."""
        return f"by the units {super().text(reduction)}"


def unit_groups(
    reduction: Reduction, quantities: Quantities, X: np.ndarray, y: np.ndarray
) -> list[UnitGroups]:
    """Return the steps that units allow, the simplest first.

    Parameters
    ----------
    reduction : Reduction
    quantities : Quantities
        Of the user's inputs and y.
    X, y : (N, D) and (N,) float64
        Rows, in these inputs.
    """
    found = dimensions(reduction, quantities, X, y)
    if found is None:
        return []
    *columns, target = found
    return [
        UnitGroups(0.0, _floats(one.prefactor), tuple(map(_floats, one.groups)))
        for one in buckingham(columns, target, max_bases=MAX_BASES)
        if len(one.groups) < len(columns)
    ]


def _floats(powers: tuple[Fraction, ...]) -> tuple[float, ...]:
    return tuple(map(float, powers))


def dimensions(
    reduction: Reduction, quantities: Quantities, X: np.ndarray, y: np.ndarray
) -> list[Dimension] | None:
    """Return the dimensions of a reduction's columns and target; None where one has none."""
    inputs = [quantities.input_dimension(j) for j in range(len(reduction.names))]
    known = [*inputs, quantities.target_dimension]
    used = [*reduction.used_inputs, len(inputs)]
    if any(known[j] is None for j in used):
        return None
    powers = np.array([(d or Dimension()).exponents for d in known], dtype=float)
    start = _values(reduction, X, y)
    exponents = []
    for power in powers.T:
        factors = 2.0**power
        with np.errstate(all="ignore"):
            logs = np.log2(_values(reduction, X * factors[:-1], y * factors[-1]) / start)
        logs[start == 0] = np.nan
        exponents.append([_exponent(column[~np.isnan(column)]) for column in logs.T])
    found = []
    for of_column in zip(*exponents, strict=True):
        if None in of_column:
            return None
        found.append(Dimension(tuple(e for e in of_column if e is not None)))
    return found


def _values(reduction: Reduction, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.column_stack([reduction.inputs(X), reduction.target(X, y)])


def _exponent(logs: np.ndarray) -> Fraction | None:
    """Return the fraction that all logarithms are, None where they are not one."""
    if not len(logs) or not np.isfinite(logs).all():
        return None
    nearest = Fraction(float(np.median(logs))).limit_denominator(MAX_DENOMINATOR)
    return nearest if np.abs(logs - float(nearest)).max() < MAX_SPREAD else None
