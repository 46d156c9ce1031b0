"""Finding and reading the JSON files that hold configs, before their content is looked at."""

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from dso.errors import UserError, nearest

logger = logging.getLogger("dso")

_PACKAGE = Path(__file__).resolve().parent.parent
# Where the reference files and examples are: inside an installed package, next to it in a clone.
SHIPPED = (_PACKAGE / "shipped_config", _PACKAGE.parent / "config")

# Strings and the comments that json5 knows come first: a '#' inside them starts no comment.
_STRING_OR_COMMENT = re.compile(
    r""" "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | //[^\n]* | /\*.*?\*/ | \#[^\n]* """,
    re.DOTALL | re.VERBOSE,
)


def shipped_directory(places: Sequence[Path] = SHIPPED) -> Path | None:
    """Return the folder of our reference files and examples, or None where it is missing."""
    return next((path for path in places if (path / "config_common.json").is_file()), None)


def shipped_configs(places: Sequence[Path] = SHIPPED) -> Iterator[Path]:
    """Yield every config that comes with dso, in a fixed order."""
    root = shipped_directory(places)
    if root is not None:
        yield from (path for path in sorted(root.rglob("*.json")) if path.name != "schema.json")


def find_config(name: str | os.PathLike[str], places: Sequence[Path] = SHIPPED) -> Path:
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
    ours = list(shipped_configs(places))
    wanted = Path(name).parts
    for shipped in ours:
        relative = ("config", *shipped.relative_to(shipped_directory(places) or shipped).parts)
        if wanted and relative[-len(wanted) :] == wanted:
            return shipped
    match = nearest(path.name, [shipped.name for shipped in ours])
    hint = f" Did you mean '{match}', which comes with dso?" if match else ""
    raise UserError(f"config {str(name)!r}: no such file.{hint}")


def find_table(name: str, beside: Path | None, places: Sequence[Path] = SHIPPED) -> str:
    """Return the path of a table that a config names: as written, next to the config, or ours.

    One that is nowhere is returned as it is written.
    """
    if os.path.isfile(os.path.expanduser(name)):
        return name
    if beside is not None and (path := beside / name).is_file():
        return str(path)
    root = shipped_directory(places)
    if root is None or os.path.isabs(name):
        return name
    ours = next((path for path in sorted(root.rglob("*")) if path.name == Path(name).name), None)
    if ours is None:
        return name
    logger.warning(
        "config: task.dataset: there is no %r; the one that comes with dso is taken.", name
    )
    return str(ours)


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
    blank = _STRING_OR_COMMENT.sub(_blank_hash_comment, text)
    if not re.sub(r"//[^\n]*|/\*.*?\*/", "", blank, flags=re.DOTALL).strip():
        raise UserError(f"config {name!r} is empty; the least config is {{}}.")
    try:
        config = _parse(blank)
    except RecursionError:
        raise UserError(f"config {name!r} is nested too deeply.") from None
    except ValueError as error:
        message = str(error).removeprefix("<string>:")
        raise UserError(f"config {name!r} is not JSON, line {message}.") from None
    if not isinstance(config, dict):
        raise UserError(f"config {name!r}: an object of sections is expected, {{...}}.")
    return config


def _parse(text: str) -> object:
    try:
        # Plain JSON, as runs write it: faster, and json5 misreads escaped surrogate pairs.
        return _loads(json.loads, text)
    except json.JSONDecodeError:
        import json5  # here, because a run from a dict needs no parser

        return _loads(json5.loads, text)


def _loads(loads: Callable[..., object], text: str) -> object:
    """Parse, and warn of keys given twice once that has succeeded."""
    repeated: list[str] = []

    def unique_keys(pairs: Iterable[tuple[str, object]]) -> dict:
        result: dict = {}
        for key, value in pairs:
            if key in result:
                repeated.append(key)
            result[key] = value
        return result

    config = loads(text, object_pairs_hook=unique_keys)
    for key in repeated:
        logger.warning("config: key '%s' is given twice in one section; the last counts.", key)
    return config


def _blank_hash_comment(match: re.Match[str]) -> str:
    return "" if match[0].startswith("#") else match[0]
