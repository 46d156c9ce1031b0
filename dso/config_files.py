"""Find, read and merge the JSON files that configs are written in.

Knows nothing of the sections and keys in them; those are in `dso.config`.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dso.errors import UserError, nearest

logger = logging.getLogger("dso")

MAX_DEPTH = 50

_PACKAGE = Path(__file__).resolve().parent
# Where the reference files and examples are: inside an installed package, beside it in a clone.
_SHIPPED = (_PACKAGE / "shipped_config", _PACKAGE.parent / "config")

# Strings and the comments that json5 knows come first: a '#' inside them starts no comment.
_STRING_OR_COMMENT = re.compile(
    r""" "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | //[^\n]* | /\*.*?\*/ | \#[^\n]* """,
    re.DOTALL | re.VERBOSE,
)


def shipped_directory() -> Path | None:
    """Return the folder of our reference files and examples, or None where it is missing."""
    return next((path for path in _SHIPPED if (path / "config_common.json").is_file()), None)


def shipped_configs() -> Iterator[Path]:
    """Yield every config that comes with dso, in a fixed order."""
    root = shipped_directory()
    if root is not None:
        yield from (path for path in sorted(root.rglob("*.json")) if path.name != "schema.json")


def find_config(name: str | os.PathLike[str]) -> Path:
    """Return the file that `name` means: a file of the user, or else one of ours.

    One of ours is named by the end of its path: ``"Nguyen-2.json"``,
    ``"examples/regression/Nguyen-2.json"`` or ``"config/config_regression.json"``.

    Raises
    ------
    UserError
        If there is no such file, or it is a directory.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"config {str(name)!r} is a directory; a JSON file is expected.")
    ours = list(shipped_configs())
    wanted = Path(name).parts
    for shipped in ours:
        relative = ("config", *shipped.relative_to(shipped_directory() or shipped).parts)
        if wanted and relative[-len(wanted) :] == wanted:
            return shipped
    match = nearest(path.name, [shipped.name for shipped in ours])
    hint = f" Did you mean '{match}', which comes with dso?" if match else ""
    raise UserError(f"config {str(name)!r}: no such file.{hint}")


def read_config(path: Path) -> dict:
    """Read one JSON file with ``//``, ``/* */`` and ``#`` comments and trailing commas.

    Raises
    ------
    UserError
        If the file cannot be read, is not UTF-8 or not JSON, is empty, or holds no object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config '{path}' cannot be read: {error}.") from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> dict:
    """Parse the text of a config file; `name` is what messages call it."""
    import json5  # here, because a run from a dict needs no parser

    blank = _STRING_OR_COMMENT.sub(_blank_hash_comment, text)
    if not re.sub(r"//[^\n]*|/\*.*?\*/", "", blank, flags=re.DOTALL).strip():
        raise UserError(f"config {name!r} is empty; the least config is {{}}.")
    try:
        config = json5.loads(blank, object_pairs_hook=_unique_keys)
    except RecursionError:
        raise UserError(f"config {name!r} is nested too deeply.") from None
    except ValueError as error:
        message = str(error).removeprefix("<string>:")
        raise UserError(f"config {name!r} is not JSON, line {message}.") from None
    if not isinstance(config, dict):
        raise UserError(f"config {name!r}: an object of sections is expected, {{...}}.")
    return config


def _blank_hash_comment(match: re.Match[str]) -> str:
    return "" if match[0].startswith("#") else match[0]


def _unique_keys(pairs: Iterable[tuple[str, object]]) -> dict:
    result: dict = {}
    for key, value in pairs:
        if key in result:
            logger.warning("config: key '%s' is given twice in one section; the last counts.", key)
        result[key] = value
    return result


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
