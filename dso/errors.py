"""What a user is told when an input cannot be used.

A message names the place, the value given, what is allowed and the nearest match; the command line
prints it as one line instead of a traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """An input that the user can correct."""


class Refused(UserError):
    """A run that is left as it is: another process writes it, or nothing there can be continued."""


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name most like `given`, or None where nothing is near."""
    by_lower = {name.lower(): name for name in allowed}
    match = get_close_matches(str(given).lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[match[0]] if match else None


def unknown(kind: str, given: object, allowed: Iterable[str], where: str = "") -> UserError:
    """Build the error for a name that is not in a table.

    Parameters
    ----------
    kind : str
        What was looked up, e.g. ``"token"``.
    given : object
        The value found.
    allowed : iterable of str
        Every name that would have been accepted.
    where : str
        Section and key, e.g. ``"task.function_set"``.
    """
    names = sorted(map(str, allowed))
    place = f" in {where}" if where else ""
    match = nearest(str(given), names)
    hint = f" Did you mean '{match}'?" if match else ""
    shown = ", ".join(names[:60]) + (", ..." if len(names) > 60 else "")
    return UserError(f"unknown {kind} {given!r}{place}.{hint} Allowed: {shown}.")
