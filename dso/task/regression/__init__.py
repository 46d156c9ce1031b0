"""The regression task: fit a formula to rows of numbers."""

from dso.task.regression.dataset import Dataset, load_dataset
from dso.task.regression.regression import RegressionTask

__all__ = ["Dataset", "RegressionTask", "load_dataset"]
