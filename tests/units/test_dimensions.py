"""Images of dimensions, groups without one, and what belongs to one system of units."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.errors import UserError
from dso.units import BASE_UNITS, PURE, Dimension, Quantities, buckingham, parse_unit
from dso.units.images import ANY, PRIME, image, image_of_number

exponents = st.integers(-12, 12).map(lambda n: Fraction(n, 6))
dimensions = st.lists(exponents, min_size=len(BASE_UNITS), max_size=len(BASE_UNITS)).map(
    lambda powers: Dimension(tuple(powers))
)


def dimension(text: str) -> Dimension:
    return parse_unit(text).dimension


@settings(max_examples=40, deadline=None)
@given(dimensions, dimensions, exponents)
def test_images_are_linear(a, b, power):
    assert image(a * b) == (image(a) + image(b)) % PRIME
    assert image(a**power) == image_of_number(power) * image(a) % PRIME
    assert (image(a) == image(b)) == (a == b)


def test_images_of_numbers_and_of_what_is_not_known():
    assert image(PURE) == 0
    assert image(None) == ANY


whole = st.lists(st.integers(-2, 2), min_size=3, max_size=3).map(
    lambda powers: Dimension.of(**dict(zip(BASE_UNITS[:3], powers, strict=True)))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(whole, min_size=1, max_size=6), whole)
def test_groups_are_pure_and_the_prefactor_is_what_y_has(inputs, y):
    matrix = np.array([[float(e) for e in one.exponents] for one in inputs]).T
    n_basis = np.linalg.matrix_rank(matrix)
    target = np.array([float(e) for e in y.exponents])
    ways = buckingham(inputs, y)
    reaches = np.linalg.matrix_rank(np.column_stack([matrix, target])) == n_basis
    assert bool(ways) == reaches
    for way in ways:
        assert _product(inputs, way.prefactor) == y
        assert len(way.groups) == len(inputs) - n_basis
        rows = np.array(way.groups, dtype=float).reshape(-1, len(inputs))
        assert np.linalg.matrix_rank(rows) == len(way.groups)
        for group in way.groups:
            assert _product(inputs, group) == PURE
            assert all(power.denominator == 1 for power in group)
    sizes = [way.size for way in ways]
    assert sizes == sorted(sizes)


def _product(inputs, powers) -> Dimension:
    product = PURE
    for one, power in zip(inputs, powers, strict=True):
        product *= one**power
    return product


def test_the_pendulum():
    ways = buckingham([dimension(text) for text in ("m", "m/s^2", "kg", "rad")], dimension("s"))
    assert [way.texts(["l", "g", "m", "angle"]) for way in ways] == [("l^(1/2)/g^(1/2)", ["angle"])]


def test_gravity_in_several_bases():
    inputs = [dimension(text) for text in ("m^3/(kg s^2)", "kg", "kg", "m", "m")]
    ways = buckingham(inputs, dimension("N"))
    names = ["G", "m1", "m2", "x", "z"]
    assert len(ways) == 4
    assert ("G*m1^2/x^2", ["z/x", "m2/m1"]) in [way.texts(names) for way in ways]


def test_no_group_has_what_no_input_has():
    assert buckingham([dimension("m"), dimension("s")], dimension("kg")) == []


def test_quantities():
    given = Quantities.of(["m", None, ""], "m/s", ["a", "b", "c"])
    assert given.input_dimension(0) == Dimension.of(m=1)
    assert given.input_dimension(1) is None
    assert given.input_dimension(2) == PURE
    assert given.target_dimension == Dimension.of(m=1, s=-1)
    assert given.constant_dimension is None
    assert Quantities.of(None, None, ["a"]) is None
    assert Quantities.of(np.array(["m"]), None, ["a"]).target is None


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (["m"], "X_units: 1 of them; expected a list of 2 units"),
        ("m", "X_units: 'm'; expected a list of 2 units"),
        (["m", "x"], r"X_units\[1\] \(b\): unknown unit 'x'"),
        (["m", 3.0], r"X_units\[1\] \(b\): 3.0; expected the text of a unit"),
    ],
)
def test_wrong_units_are_refused_by_name(units, message):
    with pytest.raises(UserError, match=message):
        Quantities.of(units, "m", ["a", "b"])


@pytest.mark.parametrize(
    ("texts", "is_mixed"),
    [
        (["km", "km/hour", "hour"], False),
        (["km", "m"], True),
        (["km", "s", "m/s"], True),
        (["mg", "mm", "mg mm/s^2"], False),
        (["m", "m^2", "1000 m^3"], True),
        (["%", "m"], True),
    ],
)
def test_mixtures_of_systems_of_units(texts, is_mixed):
    *inputs, y = texts
    found = Quantities.of(inputs, y, [f"x{i}" for i in range(len(inputs))]).mixture()
    assert bool(found) == is_mixed


def test_fractions_are_kept_exactly():
    assert (dimension("m") ** Fraction(1, 3)) ** 3 == dimension("m")
