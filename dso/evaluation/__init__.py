"""From programs to scores."""

from dso.evaluation.archive import ProgramArchive
from dso.evaluation.evaluator import Evaluator
from dso.evaluation.row_batches import RowBatches

__all__ = [
    "Evaluator",
    "ProgramArchive",
    "RowBatches",
]
