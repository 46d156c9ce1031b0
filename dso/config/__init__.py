"""Configs: JSON with comments, its sections, keys, defaults and meanings, and their checks."""

from dso.config.assignments import read_assignments, with_values
from dso.config.config import Config
from dso.config.loading import load_config, read_source, validate
from dso.config.plain import merge

__all__ = [
    "Config",
    "load_config",
    "merge",
    "read_assignments",
    "read_source",
    "validate",
    "with_values",
]
