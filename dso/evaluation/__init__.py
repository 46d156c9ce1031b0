"""Programs to scores."""

from dso.evaluation.archive import ProgramArchive
from dso.evaluation.constants import ConstantFitter, FitOptions, ScipyFitter, make_fitter
from dso.evaluation.evaluator import Evaluator, Scores
from dso.evaluation.row_batches import RowBatches

__all__ = [
    "ConstantFitter",
    "Evaluator",
    "FitOptions",
    "ProgramArchive",
    "RowBatches",
    "ScipyFitter",
    "Scores",
    "make_fitter",
]
