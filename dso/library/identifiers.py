"""Names of inputs that every target language accepts."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable

from dso.library.functions import NAMES, OPERATORS

_C_WORDS = (
    "auto bool char complex const default do double enum extern float goto imaginary inline int "
    "long main register restrict short signed sizeof static struct switch typedef union unsigned "
    "void volatile fabs log1p rint exp2 floor ceil round gamma tgamma lgamma"
)
_OWN_WORDS = ["np", "predict", "input_row", "input_rows", "pi", "e", "E", "I"]

_LANGUAGES = (*keyword.kwlist, *keyword.softkwlist, *_C_WORDS.split(), *_OWN_WORDS)
_FROM_SCIPY = [row.scipy for row in OPERATORS.values() if row.scipy]
RESERVED = frozenset(word.lower() for word in (*_LANGUAGES, *_FROM_SCIPY, *NAMES, *OPERATORS))
"""Words that a name may not be, in lower case: those of Python and C, and operators."""


def identifiers(names: Iterable[object]) -> list[str]:
    """Return a different identifier for each name, as like it as can be.

    Accents are dropped, letters of other alphabets spelt out, all else becomes an underscore. A
    name that is taken, or means something in Python or C, gets a number or an underscore inside.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    list of str
        ASCII letters, digits and underscores, a letter first.
    """
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        base = _identifier(str(name))
        candidate, n = base, 1
        while candidate in taken:
            n += 1
            candidate = f"{base}_{n}"
        taken.add(candidate)
        found.append(candidate)
    return found


def _identifier(name: str) -> str:
    plain = "".join(map(_ascii, name))
    plain = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    if not plain or not plain[0].isalpha():
        plain = f"x_{plain}".rstrip("_")
    return f"{plain}_input" if plain.lower() in RESERVED else plain


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain:
        return plain
    if character.casefold().isascii():
        return character.casefold()
    spelt = unicodedata.name(character, "").split()
    # GREEK SMALL LETTER THETA
    if "LETTER" not in spelt:
        return "_"
    word = spelt[spelt.index("LETTER") + 1] if spelt[-1] != "LETTER" else ""
    return word.lower() if "SMALL" in spelt else word.capitalize()
