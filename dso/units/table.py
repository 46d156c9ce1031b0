"""Names of units: symbols and words, what each is in base units, and the prefixes."""

from __future__ import annotations

import math

from dso.units.dimension import PURE, Dimension

_of = Dimension.of
_FORCE = _of(kg=1, m=1, s=-2)
_ENERGY = _of(kg=1, m=2, s=-2)
_POWER = _of(kg=1, m=2, s=-3)
_PRESSURE = _of(kg=1, m=-1, s=-2)
_CHARGE = _of(A=1, s=1)
_VOLTAGE = _of(kg=1, m=2, s=-3, A=-1)
_MASS, _LENGTH, _TIME = _of(kg=1), _of(m=1), _of(s=1)

_PREFIXED: dict[str, tuple[Dimension, float, tuple[str, ...]]] = {
    "m": (_LENGTH, 1.0, ("meter", "metre")),
    "g": (_MASS, 1e-3, ("gram", "gramme")),
    "s": (_TIME, 1.0, ("second", "sec")),
    "A": (_of(A=1), 1.0, ("ampere", "amp")),
    "K": (_of(K=1), 1.0, ("kelvin",)),
    "mol": (_of(mol=1), 1.0, ("mole",)),
    "cd": (_of(cd=1), 1.0, ("candela",)),
    "Hz": (_TIME**-1, 1.0, ("hertz",)),
    "N": (_FORCE, 1.0, ("newton",)),
    "Pa": (_PRESSURE, 1.0, ("pascal",)),
    "J": (_ENERGY, 1.0, ("joule",)),
    "W": (_POWER, 1.0, ("watt",)),
    "C": (_CHARGE, 1.0, ("coulomb",)),
    "V": (_VOLTAGE, 1.0, ("volt",)),
    "F": (_CHARGE / _VOLTAGE, 1.0, ("farad",)),
    "ohm": (_VOLTAGE / _of(A=1), 1.0, ("Ω", "Ω")),
    "S": (_of(A=1) / _VOLTAGE, 1.0, ("siemens",)),
    "Wb": (_VOLTAGE * _TIME, 1.0, ("weber",)),
    "T": (_VOLTAGE * _TIME / _LENGTH**2, 1.0, ("tesla",)),
    "H": (_VOLTAGE * _TIME / _of(A=1), 1.0, ("henry",)),
    "lm": (_of(cd=1), 1.0, ("lumen",)),
    "lx": (_of(cd=1, m=-2), 1.0, ("lux",)),
    "Bq": (_TIME**-1, 1.0, ("becquerel",)),
    "Gy": (_of(m=2, s=-2), 1.0, ("gray",)),
    "Sv": (_of(m=2, s=-2), 1.0, ("sievert",)),
    "kat": (_of(mol=1, s=-1), 1.0, ("katal",)),
    "L": (_LENGTH**3, 1e-3, ("l", "liter", "litre")),
    "eV": (_ENERGY, 1.602176634e-19, ("electronvolt",)),
    "bar": (_PRESSURE, 1e5, ()),
    "t": (_MASS, 1e3, ("tonne",)),
    "pc": (_LENGTH, 3.0856775814913673e16, ("parsec",)),
    "cal": (_ENERGY, 4.184, ("calorie",)),
    "Da": (_MASS, 1.66053906892e-27, ("dalton",)),
    "M": (_of(mol=1, m=-3), 1e3, ("molar",)),
    "rad": (PURE, 1.0, ("radian",)),
    "sr": (PURE, 1.0, ("steradian",)),
}
"""Symbol to dimension, factor and words; all of them take prefixes."""

_UNPREFIXED: dict[str, tuple[Dimension, float, tuple[str, ...]]] = {
    "min": (_TIME, 60.0, ("minute",)),
    "h": (_TIME, 3600.0, ("hr", "hour")),
    "d": (_TIME, 86400.0, ("day",)),
    "wk": (_TIME, 604800.0, ("week",)),
    "yr": (_TIME, 31557600.0, ("year",)),
    "deg": (PURE, math.pi / 180, ("degree", "°")),
    "%": (PURE, 0.01, ("percent",)),
    "ppm": (PURE, 1e-6, ()),
    "ha": (_LENGTH**2, 1e4, ("hectare",)),
    "Å": (_LENGTH, 1e-10, ("Angstrom", "angstrom", "Å")),
    "au": (_LENGTH, 149597870700.0, ("AU",)),
    "ly": (_LENGTH, 9460730472580800.0, ("lightyear",)),
    "inch": (_LENGTH, 0.0254, ()),
    "ft": (_LENGTH, 0.3048, ("foot", "feet")),
    "yd": (_LENGTH, 0.9144, ("yard",)),
    "mi": (_LENGTH, 1609.344, ("mile",)),
    "lb": (_MASS, 0.45359237, ("pound",)),
    "lbf": (_FORCE, 4.4482216152605, ()),
    "psi": (_PRESSURE, 6894.757293168361, ()),
    "atm": (_PRESSURE, 101325.0, ("atmosphere",)),
    "mmHg": (_PRESSURE, 133.322387415, ()),
    "torr": (_PRESSURE, 101325.0 / 760, ("Torr",)),
    "dyn": (_FORCE, 1e-5, ("dyne",)),
    "erg": (_ENERGY, 1e-7, ()),
    "gauss": (_VOLTAGE * _TIME / _LENGTH**2, 1e-4, ("Gauss",)),
    "Wh": (_ENERGY, 3600.0, ()),
    "kWh": (_ENERGY, 3.6e6, ()),
    "rpm": (_TIME**-1, 1 / 60, ()),
    "mph": (_of(m=1, s=-1), 0.44704, ()),
    "knot": (_of(m=1, s=-1), 1852 / 3600, ()),
}

CONSTANTS: dict[str, tuple[Dimension, float]] = {
    "c": (_of(m=1, s=-1), 299792458.0),
    "h": (_ENERGY * _TIME, 6.62607015e-34),
    "hbar": (_ENERGY * _TIME, 6.62607015e-34 / (2 * math.pi)),
    "e": (_CHARGE, 1.602176634e-19),
    "k_B": (_ENERGY / _of(K=1), 1.380649e-23),
    "N_A": (_of(mol=-1), 6.02214076e23),
    "m_e": (_MASS, 9.1093837139e-31),
    "m_p": (_MASS, 1.67262192595e-27),
    "eps_0": (_CHARGE / _VOLTAGE / _LENGTH, 8.8541878188e-12),
    "mu_0": (_VOLTAGE * _TIME / _of(A=1, m=1), 1.25663706127e-6),
    "G": (_of(m=3, kg=-1, s=-2), 6.6743e-11),
    "M_sun": (_MASS, 1.98847e30),
    "R_sun": (_LENGTH, 6.957e8),
    "L_sun": (_POWER, 3.828e26),
    "M_earth": (_MASS, 5.97216787e24),
    "R_earth": (_LENGTH, 6.3781e6),
    "M_jup": (_MASS, 1.89812459e27),
    "R_jup": (_LENGTH, 7.1492e7),
}
"""Constants of nature that serve as units: ``Constants.M_sun``."""

PREFIXES = {
    "da": 1e1, "h": 1e2, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Z": 1e21, "Y": 1e24, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6,
    "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18, "z": 1e-21, "y": 1e-24,
}  # fmt: skip
WORD_PREFIXES = {
    "deca": 1e1, "hecto": 1e2, "kilo": 1e3, "mega": 1e6, "giga": 1e9, "tera": 1e12, "peta": 1e15,
    "exa": 1e18, "deci": 1e-1, "centi": 1e-2, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9,
    "pico": 1e-12, "femto": 1e-15, "atto": 1e-18,
}  # fmt: skip

WITH_OFFSET = ("degC", "°C", "celsius", "Celsius", "degF", "°F", "fahrenheit", "Fahrenheit")
"""Scales whose zero is not that of the unit."""


def _names() -> dict[str, tuple[Dimension, float]]:
    """Return all names; where two readings are possible a name without a prefix wins."""
    table: dict[str, tuple[Dimension, float]] = {}
    for symbol, (dimension, factor, words) in _PREFIXED.items():
        for name in (symbol, *words):
            is_word = len(name) > 3 and name.isascii()
            for prefix, power in (WORD_PREFIXES if is_word else PREFIXES).items():
                table[prefix + name] = dimension, factor * power
                if is_word:
                    table[f"{prefix}{name}s"] = dimension, factor * power
    for symbol, (dimension, factor, words) in (_PREFIXED | _UNPREFIXED).items():
        for name in (symbol, *words):
            table[name] = dimension, factor
            if len(name) > 2 and name.isalpha() and name.isascii():
                table.setdefault(f"{name}s", (dimension, factor))
    table.update({f"Constants.{name}": value for name, value in CONSTANTS.items()})
    return table


UNITS = _names()
"""Every name to its dimension and to what it is in base units."""
SYMBOLS = [*_PREFIXED, *_UNPREFIXED, "kg"]
"""Names to show where one is unknown."""
