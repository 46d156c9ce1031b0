"""Texts of units, against dimensions and sizes that everybody knows."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.errors import UserError
from dso.units import BASE_UNITS, PURE, Dimension, parse_unit

of = Dimension.of


@pytest.mark.parametrize(
    ("text", "dimension", "factor"),
    [
        ("m/s^2", of(m=1, s=-2), 1),
        ("kg*m**2/s", of(kg=1, m=2, s=-1), 1),
        ("kg m^2 s^-3 A^-1", of(kg=1, m=2, s=-3, A=-1), 1),
        ("V", of(kg=1, m=2, s=-3, A=-1), 1),
        ("F/m", of(A=2, s=4, kg=-1, m=-3), 1),
        ("km", of(m=1), 1e3),
        ("kg", of(kg=1), 1),
        ("mg", of(kg=1), 1e-6),
        ("min", of(s=1), 60),
        ("milliseconds", of(s=1), 1e-3),
        ("cd", of(cd=1), 1),
        ("µm", of(m=1), 1e-6),
        ("m s⁻²", of(m=1, s=-2), 1),
        ("m^(1/2)", of(m=Fraction(1, 2)), 1),
        ("m^(-3//2)", of(m=Fraction(-3, 2)), 1),
        ("Hz^0.5", of(s=Fraction(-1, 2)), 1),
        ("sqrt(N/m)", of(kg=Fraction(1, 2), s=-1), 1),
        ("J/(mol K)", of(kg=1, m=2, s=-2, mol=-1, K=-1), 1),
        ("J/mol K", of(kg=1, m=2, s=-2, mol=-1, K=1), 1),
        ("1000 m", of(m=1), 1e3),
        ("1e-3*m", of(m=1), 1e-3),
        ("1/s", of(s=-1), 1),
        ("%", PURE, 0.01),
        ("rad", PURE, 1),
        ("", PURE, 1),
        ("1", PURE, 1),
        (1, PURE, 1),
        ("Constants.M_sun", of(kg=1), 1.98847e30),
        ("Constants.G", of(m=3, kg=-1, s=-2), 6.6743e-11),
    ],
)
def test_dimension_and_size(text, dimension, factor):
    unit = parse_unit(text)
    assert unit.dimension == dimension
    assert unit.factor == pytest.approx(factor, rel=1e-6)


exponents = st.integers(-12, 12).map(lambda n: Fraction(n, 6))


@settings(max_examples=40, deadline=None)
@given(st.lists(exponents, min_size=len(BASE_UNITS), max_size=len(BASE_UNITS)))
def test_what_is_written_is_read_again(powers):
    dimension = Dimension(tuple(powers))
    assert parse_unit(str(dimension)).dimension == dimension


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("KG", "Did you mean 'kg'"),
        ("metr", "Did you mean 'metre'"),
        ("m/", "it ends early"),
        ("m^", "it ends early"),
        ("m^^2", "an exponent is expected before"),
        ("m)", "nothing fits"),
        ("(m", "a bracket is not closed"),
        ("m^(1/0)", "divided by 0"),
        ("m^1000", "beyond 100"),
        ("m!", "is not part of a unit"),
        ("degC", "give the column in 'K'"),
        ("0 m", "no finite size"),
        ("m" * 300, "longer than 200"),
        (3, "expected the text of a unit"),
        (True, "expected the text of a unit"),
    ],
)
def test_what_is_not_a_unit_is_refused_with_its_place(text, message):
    with pytest.raises(UserError, match=r"^X_units\[2\]: ") as error:
        parse_unit(text, "X_units[2]")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("kg m^2/s**2", r"\mathrm{kg\,m^{2}/s^{2}}"),
        ("km s⁻²", r"\mathrm{km\,s^{-2}}"),
        ("m^(1/2)", r"\mathrm{m^{1/2}}"),
        ("N*m", r"\mathrm{N\,m}"),
        ("%", r"\mathrm{\%}"),
    ],
)
def test_latex(text, latex):
    assert parse_unit(text).latex() == latex


def test_latex_of_a_dimension():
    assert of(kg=1, m=2, s=-2).latex() == r"\mathrm{m^{2}\,kg\,s^{-2}}"
