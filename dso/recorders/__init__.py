"""What a run writes down beside its log, one class per file; nothing here when nothing is asked."""

from dso.recorders.cache_dump import CacheDump
from dso.recorders.constraint_counts import ConstraintCounts
from dso.recorders.parameter_report import ParameterReport, parameter_table
from dso.recorders.recorder import Recorder
from dso.recorders.samples import AllSamples, PositionalEntropy, TokenCount, TopSamples
from dso.recorders.tensorboard import TensorBoard

__all__ = [
    "AllSamples",
    "CacheDump",
    "ConstraintCounts",
    "ParameterReport",
    "PositionalEntropy",
    "Recorder",
    "TensorBoard",
    "TokenCount",
    "TopSamples",
    "parameter_table",
]
