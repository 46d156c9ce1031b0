"""The scikit-learn face: `DeepSymbolicRegressor`, and what its results are read with."""

from dso.regressor.estimator import DeepSymbolicRegressor

__all__ = ["DeepSymbolicRegressor"]
