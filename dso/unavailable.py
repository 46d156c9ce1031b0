"""What a config may ask for and this version does not have."""

from __future__ import annotations

from dso.config import Config
from dso.errors import UserError

OFF: dict[tuple[str, str], object] = {
    ("semantic", "on"): False,
}
"""Keys whose part does not exist yet, each with the value that asks for nothing."""


def refuse_unavailable(config: Config) -> None:
    """Refuse a config that asks for a part that does not exist.

    Raises
    ------
    UserError
        Naming every such key with its value.
    """
    asked = {place: _value(config, place) for place in OFF}
    refused = [
        f"{section}.{key} = {value!r}"
        for (section, key), value in asked.items()
        if value != OFF[section, key]
    ]
    if refused:
        verb = "are" if len(refused) > 1 else "is"
        raise UserError(f"{' and '.join(refused)} {verb} not available in this version.")


def _value(config: Config, place: tuple[str, str]) -> object:
    """Return a value, the one that asks for nothing where a plug-in's section lacks the key."""
    section, key = place
    return getattr(getattr(config, section), key, OFF.get(place))
