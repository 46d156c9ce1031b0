"""Config values as plain dicts, lists and scalars: copying and merging them."""

import os
from typing import Any

from dso.errors import UserError

MAX_DEPTH = 50


def merge(base: dict, override: dict) -> dict:
    """Return `base` with `override` laid over it; neither is changed nor shared.

    Dicts are merged key by key, to any depth; lists and scalars replace; a key that `base` lacks
    is added. Values come out plain (see `plain`).
    """
    result = plain(base)
    for key, value in plain(override).items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = merge(below, value) if both else value
    return result


def plain(value: Any, depth: int = 0) -> Any:
    """Copy a config value into dicts, lists and scalars.

    Tuples and numpy arrays become lists, numpy scalars Python's, paths strings. A task's
    ``dataset`` may be data itself, possibly large: unless it is a dict, it is passed on as it is.

    Raises
    ------
    UserError
        If the value is nested deeper than any config, or contains itself.
    """
    if depth > MAX_DEPTH:
        raise UserError(f"the config is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        return {
            key: item
            if key == "dataset" and not isinstance(item, dict | os.PathLike)
            else plain(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return plain(value.tolist(), depth + 1)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value
