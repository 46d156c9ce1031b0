"""Deep symbolic optimisation: search for the expression that a task rewards most.

The public names are loaded on first use, so that importing one part does not load the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from dso.version import version_of_dso

if TYPE_CHECKING:
    from dso.core import DeepSymbolicOptimizer
    from dso.loader import load
    from dso.regressor import DeepSymbolicRegressor
    from dso.task.control import SymbolicPolicy

__all__ = ["DeepSymbolicOptimizer", "DeepSymbolicRegressor", "SymbolicPolicy", "load"]

_HOMES = {
    "DeepSymbolicOptimizer": "dso.core",
    "DeepSymbolicRegressor": "dso.regressor",
    "SymbolicPolicy": "dso.task.control",
    "load": "dso.loader",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version_of_dso()
    if name not in _HOMES:
        raise AttributeError(f"module 'dso' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
