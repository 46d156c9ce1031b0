"""Deep symbolic optimisation: search for the expression that a task rewards most.

The public names are loaded on first use, so that importing one part does not load the others.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dso.core import DeepSymbolicOptimizer

__all__ = ["DeepSymbolicOptimizer"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'dso' has no attribute {name!r}")
    from dso import core

    return getattr(core, name)
