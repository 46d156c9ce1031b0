"""The scikit-learn estimator, `DeepSymbolicRegressor`, and what reads its results."""

from dso.regressor.estimator import DeepSymbolicRegressor

__all__ = ["DeepSymbolicRegressor"]
