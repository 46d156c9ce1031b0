"""What subcommands share that load a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dso.errors import UserError
from dso.loader import load

if TYPE_CHECKING:
    from dso.regressor import DeepSymbolicRegressor


def load_one(folder: str, seed: int | None) -> Any:
    """Load a run folder; several targets are refused, as they would need several answers."""
    model: Any = load(folder, seed)
    if getattr(model, "nout_", 1) > 1:
        raise UserError(f"{folder}: has {model.nout_} targets; load it in Python.")
    return model


def is_regressor(model: Any) -> bool:
    """Tell whether a model predicts a column, and not actions."""
    return hasattr(model, "nout_")


def target_name(model: DeepSymbolicRegressor) -> str:
    """Return what the predictions are of, as far as it is known."""
    return model.target_names_[0]
