"""Programs to scores."""

from dso.evaluation.evaluator import Evaluator, Scores

__all__ = ["Evaluator", "Scores"]
