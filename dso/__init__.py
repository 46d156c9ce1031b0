"""Deep symbolic optimisation: search for the expression that a task rewards most.

The public names are loaded on first use, so that importing one part does not load the others.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dso.core import DeepSymbolicOptimizer
    from dso.regressor import DeepSymbolicRegressor

__all__ = ["DeepSymbolicOptimizer", "DeepSymbolicRegressor"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'dso' has no attribute {name!r}")
    from importlib import import_module

    module = "dso.core" if name == "DeepSymbolicOptimizer" else "dso.regressor"
    return getattr(import_module(module), name)
