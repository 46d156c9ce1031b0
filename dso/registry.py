"""Load a user's own classes and functions from ``module:Name`` or ``path/to/file.py:Name``."""

import importlib
import importlib.util
import re
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from dso.errors import UserError, nearest

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
