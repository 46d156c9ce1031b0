"""Dimensions of what a reduction leaves, and the groups that they propose."""

import numpy as np
import pytest

from dso.reduction import Reduction, reduce
from dso.reduction.dimensions import dimensions, unit_groups
from dso.reduction.formula import Formula
from dso.units import PURE, Dimension, Quantities

RANDOM = np.random.default_rng(0)
NAMES = ["m", "v", "r", "w"]
X = RANDOM.uniform(1.0, 3.0, (60, 4))
M, V, R, W = X.T
Y = M * V**2 / R * np.exp(W / V)
QUANTITIES = Quantities.of(["kg", "km/h", "m", "m/s"], "N", NAMES)
START = Reduction.none(NAMES)


@pytest.mark.parametrize(
    ("column", "dimension"),
    [
        ((1,), Dimension.of(m=1, s=-1)),
        (("sqrt", "mul", 0, 2), Dimension.of(kg=1, m=1) ** 0.5),
        (("sub", 1, "mul", 2.0, 3), Dimension.of(m=1, s=-1)),
        (("add", "n2", 1, "n2", 3), Dimension.of(m=2, s=-2)),
        (("exp", "div", 3, 1), PURE),
        (("add", 1, "n2", 1), None),
        (("exp", 1), None),
    ],
)
def test_columns_have_dimensions(column: Formula, dimension: Dimension | None) -> None:
    found = dimensions(START.onto([column]), QUANTITIES, X, Y)
    if dimension is None:
        assert found is None
    else:
        assert found == [dimension, Dimension.of(kg=1, m=1, s=-2)]


def test_a_target_has_one_after_a_factor_but_not_after_a_term_of_no_unit() -> None:
    found = dimensions(START.divided([((2,), -1.0)]), QUANTITIES, X, Y)
    assert found is not None
    assert found[-1] == Dimension.of(kg=1, m=2, s=-2)
    assert dimensions(START.minus(2.5, (2,)), QUANTITIES, X, Y) is None


def test_what_is_not_known_says_nothing() -> None:
    unknown = Quantities.of(["kg", None, "m", "m/s"], "N", NAMES)
    assert unit_groups(START, unknown, X, Y) == []
    assert unit_groups(START.without(1), unknown, X, Y) != []
    assert unit_groups(START, Quantities.of(["kg"] * 4, "N", NAMES), X, Y) == []


def test_groups_are_proposed_and_hold() -> None:
    found = unit_groups(START, QUANTITIES, X, Y)
    assert found[0].text(START) == "by the units y is m*v**2/r times a function of w/v"
    for move in found:
        left = move.applied(START)
        (column,) = left.inputs(X).T
        # What is left is exp(w/v) times a power of w/v: a line in logarithms.
        line = np.column_stack([np.ones(60), np.log(column)])
        rest = np.log(left.target(X, Y)) - W / V
        np.testing.assert_allclose(line @ np.linalg.lstsq(line, rest)[0], rest, atol=1e-10)


def test_where_no_model_describes_the_data_units_speak() -> None:
    x = RANDOM.uniform(1.0, 3.0, (80, 4))
    noise = RANDOM.standard_normal(80)
    found = reduce(x, noise, NAMES, quantities=QUANTITIES)
    assert len(found.reductions) == 1
    assert "by the units" in found.why
    assert "no smooth model" in found.why
    assert len(found.reductions[0].columns) == 1
