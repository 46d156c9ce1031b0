"""Programs: as arrays, and one at a time for people to read."""

from dso.program.columns import PAD, Columns
from dso.program.data import FitData
from dso.program.execute import (
    CAUSES,
    execute,
    fraction_within,
    has_poly,
    has_python_token,
    mean_loss,
    mean_squared_error,
)
from dso.program.inversion import Wanted, wanted_values
from dso.program.program import Program, from_str_tokens, from_tokens, traversal_texts
from dso.program.program_batch import ProgramBatch, Row, padded

__all__ = [
    "CAUSES",
    "PAD",
    "Columns",
    "FitData",
    "Program",
    "ProgramBatch",
    "Row",
    "Wanted",
    "execute",
    "fraction_within",
    "from_str_tokens",
    "from_tokens",
    "has_poly",
    "has_python_token",
    "mean_loss",
    "mean_squared_error",
    "padded",
    "traversal_texts",
    "wanted_values",
]
