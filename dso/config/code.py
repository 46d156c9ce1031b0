"""The code that a config names. Before code of somebody else runs, the user must allow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dso.plugins import references

_NEVER_IMPORTED = ("experiment", "checkpoint", "postprocess", "logging")


def code_in(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a config names that is imported or unpickled: references, and an anchor model."""
    for section, values in config.items():
        if section in _NEVER_IMPORTED:
            continue
        if section != "task" or not isinstance(values, Mapping):
            yield from references(values)
            continue
        yield from references({**values, "dataset": None})
        anchor = values.get("anchor")
        if isinstance(anchor, str) and not anchor.endswith(".npz") and ":" not in anchor:
            yield anchor  # a model of Stable-Baselines3 is a pickle
