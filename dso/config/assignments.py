"""Single values that change a config: ``section.key=value`` of a command, and those of a sweep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dso.config.base import Section
from dso.config.config import Config, model_at, section_of
from dso.config.plain import merge
from dso.config.wording import unknown_key
from dso.errors import UserError


def read_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Return what ``section.key=value`` texts say, from dotted keys to values.

    A value is JSON, or else the text itself: ``true``, ``0.1``, ``[1, 2]``, ``Nguyen-5``.

    Raises
    ------
    UserError
        If a text has another form.
    """
    values: dict[str, Any] = {}
    for text in texts:
        place, is_there, value = (part.strip() for part in text.partition("="))
        if not is_there or not all(place.split(".")) or "." not in place:
            raise UserError(
                f"--set {text!r}: expected section.key=value, e.g. training.n_samples=1000."
            )
        values[place] = _value(value, text)
    return values


def _value(text: str, whole: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        if text[:1] in ("[", "{", '"'):
            raise UserError(f"--set {whole!r}: {text!r} is not JSON.") from None
        return text


def with_values(
    config: Mapping[str, Any], values: Mapping[str, Any], origin: str = "--set"
) -> dict[str, Any]:
    """Return a config with the values of dotted keys laid over it.

    Parameters
    ----------
    config, values : dict
    origin : str
        Where the keys come from, as errors call it.

    Raises
    ------
    UserError
        If there is no such key, with the nearest one.
    """
    changed = dict(config)
    for place, value in values.items():
        nested: Any = value
        for name in reversed(place.split(".")):
            nested = {name: nested}
        changed = merge(changed, nested)
    for place in values:
        _check_key(tuple(place.split(".")), changed, origin)
    return changed


def _check_key(place: tuple[str, ...], config: dict[str, Any], origin: str) -> None:
    """Refuse a key that no section has; those of plug-ins are checked by the plug-in."""

    def at(path: list) -> type[Section]:
        return model_at(path, config)

    model: type[Section] | None = Config
    for depth, name in enumerate(place):
        if model is None or (depth == 1 and _is_own(config.get(place[0]))):
            return
        if ":" in name:
            return
        if name not in model.model_fields:
            raise UserError(f"{origin}: {unknown_key(place[: depth + 1], at, section_of)}")
        is_section = isinstance(model.model_fields[name].default, Section)
        model = at(list(place[: depth + 1])) if is_section else None


def _is_own(section: Any) -> bool:
    """Tell whether a section is that of a user's own task, policy or policy optimiser."""
    if not isinstance(section, dict):
        return False
    kinds = (v for name, v in section.items() if name.endswith("_type") and isinstance(v, str))
    return any(":" in kind for kind in kinds)
