"""Physical units: what a text means, dimensions, and groups without one."""

from dso.units.buckingham import Groups, buckingham
from dso.units.dimension import BASE_UNITS, PURE, Dimension
from dso.units.parser import Unit, parse_unit

__all__ = ["BASE_UNITS", "PURE", "Dimension", "Groups", "Unit", "buckingham", "parse_unit"]
