"""Checks of values that come from files and from the command line."""

from __future__ import annotations

from dso.errors import UserError


def check_number(where: str, given: object, low: float, high: float) -> None:
    """Refuse what is not a number from `low` to `high`; `where` names its place."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not low <= given <= high:  # type: ignore[operator]
        raise UserError(f"{where} is {given!r}; a number from {low:g} to {high:g} is needed.")


def check_whole(where: str, given: object, low: int, high: int) -> None:
    """Refuse what is not a whole number from `low` to `high`; `where` names its place."""
    if not isinstance(given, int) or isinstance(given, bool) or not low <= given <= high:
        raise UserError(f"{where} is {given!r}; a whole number from {low} to {high} is needed.")


def check_flag(where: str, given: object) -> None:
    """Refuse what is neither true nor false; `where` names its place."""
    if not isinstance(given, bool):
        raise UserError(f"{where} is {given!r}; true or false is needed.")
