"""Messages for what pydantic finds wrong with a config: the place, the value, what is allowed."""

import re
import reprlib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from dso.config.old_keys import MOVED, REMOVED, RENAMED
from dso.errors import unknown

MAX_SHOWN = 5

Place = tuple[str | int, ...]


def describe(
    error: ValidationError,
    given: dict,
    model_at: Callable[[list], type[BaseModel]],
    section_of: Callable[[str], str | None] = lambda name: None,
) -> str:
    """Return one line on what is wrong with `given`, the first few problems at most.

    Parameters
    ----------
    error : ValidationError
    given : dict
        What was validated.
    model_at : callable
        Gives the model of the dict at a place in `given`, for the keys that it allows.
    section_of : callable
        Gives the section that a key belongs to, if any.
    """
    problems: dict[Place, list[Any]] = {}
    for problem in error.errors(include_url=False):
        problems.setdefault(_place(problem, given), []).append(problem)
    # Of the alternatives of a union, the one that reaches deepest is what the user meant.
    deepest = [
        place
        for place in problems
        if not any(len(other) > len(place) and other[: len(place)] == place for other in problems)
    ]
    messages = [
        unknown_key(place, model_at, section_of)
        if problems[place][0]["type"] == "extra_forbidden"
        else _message(".".join(map(str, place)), problems[place])
        for place in deepest
    ]
    more = f" (and {len(messages) - MAX_SHOWN} more)" if len(messages) > MAX_SHOWN else ""
    return " ".join(messages[:MAX_SHOWN]) + more


def _place(problem: Any, given: dict) -> Place:
    """Return the keys that lead to the value, without the tags of unions between them."""
    place: list[str | int] = []
    value: Any = given
    for step in problem["loc"]:
        inside = isinstance(value, dict) and step in value
        if inside or (isinstance(value, list | tuple) and isinstance(step, int)):
            place.append(step)
            value = value[step]
    return (*place, problem["loc"][-1]) if problem["type"] == "missing" else tuple(place)


def _message(where: str, problems: list[Any]) -> str:
    first = problems[0]
    if first["type"] == "missing":
        return f"{where}: is required."
    if first["type"] == "literal_error":
        return str(unknown("value", first["input"], re.findall(r"'(.*?)'", first["msg"]), where))
    if first["type"] == "value_error":
        said = str(first["ctx"]["error"])
    else:
        said = " or ".join(dict.fromkeys(_plain_words(problem["msg"]) for problem in problems))
    start = f"{where}: " if where else ""  # what is wrong between sections names them itself
    if said.endswith("."):
        return f"{start}{said}"
    # A whole section is not shown: what is wrong with it has been said.
    is_section = first["type"] == "value_error" and isinstance(first["input"], dict)
    value = "" if is_section else f", got {reprlib.repr(first['input'])}"
    return f"{start}{said}{value}."


def _plain_words(message: str) -> str:
    message = re.sub(r"a valid dictionary.*", "a dict of keys and values", message)
    return message.removeprefix("Input ")


def unknown_key(
    place: Place,
    model_at: Callable[[list], type[BaseModel]],
    section_of: Callable[[str], str | None],
) -> str:
    """Say that a key is unknown, and where it belongs if that is known."""
    *path, name = place
    where = ".".join(map(str, place))
    if place in MOVED:
        return f"{where}: is now {'.'.join(MOVED[place])}."  # type: ignore[index]
    if place in REMOVED:
        return f"{where}: is no longer a key, {REMOVED[place]}."  # type: ignore[index]
    if name in RENAMED:
        return f"{where}: called {'.'.join(RENAMED[name])} here."  # type: ignore[index]
    message = str(unknown("key", name, model_at(path).model_fields, ".".join(map(str, path))))
    section = section_of(str(name))
    if section is not None and "Did you mean" not in message:
        return f"{where}: is a key of section '{section}'."
    return message
