"""Physical units: parsing them, dimensions, and dimensionless groups."""

from dso.units.buckingham import Groups, buckingham
from dso.units.dimension import BASE_UNITS, PURE, Dimension
from dso.units.parser import Unit, parse_unit
from dso.units.quantities import Quantities

__all__ = [
    "BASE_UNITS",
    "PURE",
    "Dimension",
    "Groups",
    "Quantities",
    "Unit",
    "buckingham",
    "parse_unit",
]
