"""The rule of units of each operator, against how its values change with the size of units."""

import numpy as np
import pytest

from dso.library.functions import OPERATORS

SIZES = np.array([1.7, 0.6])
"""By how much two units are changed."""


@pytest.mark.parametrize("name", OPERATORS)
def test_values_change_as_units_do(name):
    row = OPERATORS[name]
    arguments = np.random.default_rng(0).uniform(0.3, 0.8, (row.arity, 50))
    with np.errstate(all="ignore"):
        before = row.numpy(*arguments)
        if row.units == "pure":
            if row.arity == 1:
                # No power law, or the rule forbids what is consistent.
                a = np.linspace(0.3, 5, 200)  # arcsin and arccosh are each defined on a part of it
                ratios = row.numpy(1.1 * a) / row.numpy(a)
                assert np.ptp(ratios[np.isfinite(ratios)]) > 1e-9
            return
        if row.units == "same":
            after, factor = row.numpy(*(1.7 * arguments)), 1.7
        elif row.units == "power":
            after, factor = row.numpy(1.7 * arguments[0], arguments[1]), 1.7 ** arguments[1]
        else:
            sizes = SIZES[: row.arity]
            after = row.numpy(*(sizes[:, None] * arguments))
            factor = np.prod(sizes ** np.array(row.units, dtype=float))
    np.testing.assert_allclose(after, factor * before, rtol=1e-12)


@pytest.mark.parametrize("row", [row for row in OPERATORS.values() if row.protected])
def test_protected_operators_have_the_same_rule(row):
    assert OPERATORS[row.protected].units == row.units
