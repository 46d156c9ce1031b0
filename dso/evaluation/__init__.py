"""Programs to scores."""

from dso.evaluation.archive import ProgramArchive
from dso.evaluation.evaluator import Evaluator, Scores

__all__ = ["Evaluator", "ProgramArchive", "Scores"]
