"""The outcome of a run, in whatever process it was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FAILED = "failed"
"""The stop reason of a run that ended with an error."""


@dataclass(frozen=True)
class Outcome:
    """What is left of a run.

    Attributes
    ----------
    number : int
        Of its job.
    seed : int
    stop_reason : str
        `FAILED` where there is an error.
    result : dict
        Of `DeepSymbolicOptimizer.finish`, without ``program`` and with the wall seconds ``t``; of a
        failed run only ``seed`` and ``error``.
    save_path : str or None
    signal : int or None
        The signal that asked for the end while the run was under way; then no other run begins.
    unwritten : list of str
        What could not be written or shown, and why.
    """

    number: int
    seed: int
    stop_reason: str
    result: dict[str, Any] = field(default_factory=dict)
    save_path: str | None = None
    signal: int | None = None
    unwritten: list[str] = field(default_factory=list)

    @property
    def error(self) -> str | None:
        return self.result.get("error")
