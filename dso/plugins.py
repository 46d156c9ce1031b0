"""Load a user's own classes and functions from ``module:Name`` or ``path/to/file.py:Name``."""

import importlib
import importlib.util
import inspect
import re
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from dso.errors import UserError, nearest, unknown

_REFERENCE = re.compile(r"^(?P<module>[\w.]+|.+\.py):(?P<name>\w+)$")


def is_reference(text: object) -> bool:
    """Tell whether `text` has the form of a reference to a user's own object."""
    return isinstance(text, str) and ":" in text


def import_object(reference: str, where: str) -> object:
    """Import what ``module:Name`` or ``file.py:Name`` names.

    Parameters
    ----------
    reference : str
    where : str
        Section and key, for the error message.

    Raises
    ------
    UserError
        If the reference is malformed, or the module or the name in it does not exist.
    """
    match = _REFERENCE.match(reference)
    if match is None:
        raise UserError(
            f"{where}: {reference!r} is malformed; "
            "expected 'module:Name' or 'path/to/file.py:Name'."
        )
    module = _load_module(match["module"], where)
    try:
        return getattr(module, match["name"])
    except AttributeError:
        near = nearest(match["name"], dir(module))
        hint = f" Did you mean '{near}'?" if near else ""
        raise UserError(
            f"{where}: {match['module']!r} has no attribute {match['name']!r}.{hint}"
        ) from None


def _load_module(name: str, where: str) -> ModuleType:
    if name.endswith(".py"):
        path = Path(name).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"{where}: no file {str(path)!r}.")
        # A name of its own, so that two files of the same name do not replace each other.
        spec = importlib.util.spec_from_file_location(
            f"dso_plugin_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}", path
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"{where}: cannot import module {name!r} ({error}).") from None


def construct(
    made: type, where: str, *arguments: object, common: dict[str, Any], own: dict[str, Any]
) -> Any:
    """Build an object of a user's class, or of one of ours, from the keys of a section.

    Parameters
    ----------
    made : type
    where : str
        The section and the class, for the error message.
    *arguments
        Come before the keys.
    common : dict
        Keys that any class may take; those that the constructor does not know are left out.
    own : dict
        Keys that the user wrote for this class alone.

    Raises
    ------
    UserError
        For a key in `own` that the constructor does not take, or a parameter without a value.
    """
    accepted = _accepted_keys(made, len(arguments))
    if accepted is not None:
        for key in own:
            if key not in accepted:
                raise unknown("key", key, accepted, where)
        common = {key: value for key, value in common.items() if key in accepted}
    section = {**common, **own}
    try:
        inspect.signature(made).bind(*arguments, **section)
    except TypeError as error:
        raise UserError(f"{where}: the class cannot be built: {error}.") from None
    return made(*arguments, **section)


def _accepted_keys(made: type, n_arguments: int) -> set[str] | None:
    """Return the keyword arguments of a constructor, None where it takes any.

    One that takes ``**section`` to pass it on takes what the next class in line takes.
    """
    names: set[str] = set()
    for base in made.__mro__[:-1]:
        if "__init__" not in base.__dict__:
            continue
        parameters = list(inspect.signature(base.__dict__["__init__"]).parameters.values())
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names |= {p.name for p in parameters[1 + n_arguments :] if p.kind in named}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None
