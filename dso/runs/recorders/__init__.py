"""The files that a run writes, one class for each."""

from dso.runs.recorders.cache_dump import CacheDump
from dso.runs.recorders.constraint_counts import ConstraintCounts
from dso.runs.recorders.data_file import DataFile
from dso.runs.recorders.parameter_report import ParameterReport, parameter_table
from dso.runs.recorders.recorder import Recorder
from dso.runs.recorders.run_log import RunLog
from dso.runs.recorders.samples import AllSamples, PositionalEntropy, TokenCount, TopSamples
from dso.runs.recorders.tensorboard import TensorBoard

__all__ = [
    "AllSamples",
    "CacheDump",
    "ConstraintCounts",
    "DataFile",
    "ParameterReport",
    "PositionalEntropy",
    "Recorder",
    "RunLog",
    "TensorBoard",
    "TokenCount",
    "TopSamples",
    "parameter_table",
]
