"""What ends a run."""

from __future__ import annotations

from collections.abc import Callable

from dso.config import Config
from dso.training.stopping import Standing, Stopping


def make_stopping(config: Config, callback: Callable[[Standing], object] | None) -> Stopping:
    """Build what ends the run."""
    training = config.training
    return Stopping(
        n_samples=training.n_samples,
        max_seconds=training.max_seconds,
        max_megabytes=training.max_megabytes,
        reward_threshold=training.reward_threshold,
        patience=training.patience,
        early_stopping=training.early_stopping,
        callback=callback,
    )
