"""From names in a config to objects: entries of our tables, or a user's own classes and functions.

The latter are named by ``module:Name`` or ``path/to/file.py:Name``.
"""

import importlib
import importlib.util
import inspect
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from dso.errors import UserError, nearest, unknown

logger = logging.getLogger("dso")

_OF_FORMULAS = ("=", "->", "?", "::")
_REFERENCE = re.compile(r"^(?P<module>[\w.]+|.+\.py):(?P<name>\w+)$")


def is_reference(text: object) -> bool:
    """Tell whether `text` has the form of a reference to a user's own object.

    A formula may have a colon too, but then one of the marks of `_OF_FORMULAS`.
    """
    return isinstance(text, str) and ":" in text and not any(m in text for m in _OF_FORMULAS)


def references(value: Any) -> Iterator[str]:
    """Yield every text in a config value that names code, keys included."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from references(key)
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)
    elif is_reference(value):
        yield value


def refuse_code(named: Iterable[str], allowed: Collection[str], where: str, how: str) -> None:
    """Refuse code that a file of somebody else's names and the user has not allowed.

    Parameters
    ----------
    named : iterable of str
        See `references`.
    allowed : collection of str
        Modules, files, or references as they stand there.
    where : str
        The file, for the error message.
    how : str
        How the user allows it.

    Raises
    ------
    UserError
        Listing what is named and not allowed.
    """
    modules = {_module_of(name) for name in allowed}
    if refused := [name for name in dict.fromkeys(named) if _module_of(name) not in modules]:
        raise UserError(
            f"{where} names code that would be run: {', '.join(map(repr, refused))}. If you trust "
            f"it, allow its modules: {how}."
        )


def _module_of(name: str) -> str:
    return name.rpartition(":")[0] if is_reference(name) else name


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
    module = load_module(match["module"], where)
    try:
        return getattr(module, match["name"])
    except AttributeError:
        near = nearest(match["name"], dir(module))
        hint = f" Did you mean '{near}'?" if near else ""
        raise UserError(
            f"{where}: {match['module']!r} has no attribute {match['name']!r}.{hint}"
        ) from None


def absolute(reference: str) -> str:
    """Return a reference that holds in every folder."""
    module, _, name = reference.rpartition(":")
    if not module.endswith(".py"):
        return reference
    return f"{Path(module).expanduser().resolve()}:{name}"


def load_module(name: str, where: str) -> ModuleType:
    """Import a module, or execute the file ``path/to/file.py``; `where` is for errors."""
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


def look_up(name: str, table: Mapping[str, object], kind: str, where: str) -> object:
    """Return what a name stands for: an entry of a table of ours, or a user's own object.

    Parameters
    ----------
    name : str
        A name of the table, or a reference.
    table : mapping
        Its values may be references too, to what is imported when it is needed.
    kind : str
        What the names are names of, for the error message.
    where : str
        Section and key, for the error message.

    Raises
    ------
    UserError
        For a name that is not in the table; see also `import_object`.
    """
    if not is_reference(name) and name not in table:
        raise unknown(kind, name, table, where)
    found = table.get(name, name)
    return import_object(found, where) if is_reference(found) else found  # type: ignore[arg-type]


def construct(
    made: Callable[..., Any],
    where: str,
    *arguments: object,
    own: Mapping[str, Any],
    common: Mapping[str, Any] = MappingProxyType({}),
    changed: Collection[str] = (),
) -> Any:
    """Build an object of a class, ours or a user's, from the keys of a section.

    Parameters
    ----------
    made : callable
        A class, or a function that returns an object.
    where : str
        The section and the class, for the error message.
    *arguments
        Come before the keys.
    own : mapping
        Keys that the user wrote for this class alone.
    common : mapping
        Keys that any class may take; those that it does not know are left out.
    changed : collection of str
        Those of them that the user has changed: leaving one out costs a warning.

    Raises
    ------
    UserError
        For a key in `own` that it does not take, a parameter without a value, or a class without a
        method that it needs.
    """
    if inspect.isabstract(made):
        lacking = ", ".join(sorted(made.__abstractmethods__))  # type: ignore[attr-defined]
        raise UserError(f"{where}: lacks {lacking}.")
    accepted = _accepted_keys(made, len(arguments))
    if accepted is not None:
        for key in own:
            if key not in accepted:
                raise unknown("key", key, accepted, where)
        if lost := [key for key in changed if key not in accepted]:
            logger.warning("%s: does not take %s; ignored.", where, ", ".join(lost))
        common = {key: value for key, value in common.items() if key in accepted}
    section = {**common, **own}
    signature = inspect.signature(made)
    try:
        bound = signature.bind_partial(*arguments, **section).arguments
    except TypeError as error:
        raise UserError(f"{where}: cannot be built: {error}.") from None
    if missing := [p.name for p in signature.parameters.values() if _is_missing(p, bound)]:
        raise UserError(f"{where}: needs the key(s) {', '.join(missing)}.")
    return made(*arguments, **section)


def _is_missing(parameter: inspect.Parameter, bound: Mapping[str, object]) -> bool:
    is_variadic = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    return parameter.default is parameter.empty and parameter.name not in bound and not is_variadic


def _accepted_keys(made: Callable[..., Any], n_arguments: int) -> set[str] | None:
    """Return the keyword arguments of a class or function, None where it takes any.

    A constructor that takes ``**section`` to pass it on takes what the next class in line takes.
    """
    names: set[str] = set()
    if isinstance(made, type):
        bases = [base for base in made.__mro__[:-1] if "__init__" in base.__dict__]
        signatures = [(inspect.signature(base.__dict__["__init__"]), 1) for base in bases]
    else:
        signatures = [(inspect.signature(made), 0)]
    for signature, n_bound in signatures:
        parameters = list(signature.parameters.values())
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names |= {p.name for p in parameters[n_bound + n_arguments :] if p.kind in named}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None if signatures else names
