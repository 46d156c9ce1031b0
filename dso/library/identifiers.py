"""Names of inputs that people recognise and target languages accept."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType

from dso.library.functions import NAMES, OPERATORS

_C_WORDS = (
    "auto bool char complex const default do double enum extern float goto imaginary inline int "
    "long main register restrict short signed sizeof static struct switch typedef union unsigned "
    "void volatile fabs log1p rint exp2 floor ceil round gamma tgamma lgamma"
)
_OWN_WORDS = ["np", "predict", "input_row", "input_rows", "pi", "e", "E", "I"]

_CYRILLIC = {
    **{"а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo"},
    **{"ж": "zh", "з": "z", "и": "i", "й": "y", "к": "k", "л": "l", "м": "m"},
    **{"н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u"},
    **{"ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": ""},
    **{"ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya"},
}

_LANGUAGES = (*keyword.kwlist, *keyword.softkwlist, *_C_WORDS.split(), *_OWN_WORDS)
_FROM_SCIPY = [row.scipy for row in OPERATORS.values() if row.scipy]
RESERVED = frozenset(word.lower() for word in (*_LANGUAGES, *_FROM_SCIPY, *NAMES, *OPERATORS))
"""Words that a name may not be, in lower case: those of Python and C, and operators."""


def identifiers(names: Iterable[object]) -> list[str]:
    """Return a different identifier of Python for each name, as like it as can be.

    Letters of all alphabets are kept, all else becomes an underscore. A name that is taken, or
    means something in Python, C or sympy, gets a number or a word behind it.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    list of str
        Letters, digits and underscores, a letter first.
    """
    return _unlike(_identifier(str(name), _unicode) for name in names)


def ascii_identifiers(names: Iterable[str]) -> list[str]:
    """Return different identifiers of the letters A to Z, for languages that know no others.

    Accents are dropped, and letters of other alphabets spelt out. What is ASCII stays as it is.
    """
    return _unlike(name if name.isascii() else _identifier(name, _ascii) for name in names)


def _unlike(names: Iterable[str]) -> list[str]:
    """Return the names, those that were there already with numbers."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        candidate, n = name, 1
        while candidate in taken:
            n += 1
            candidate = f"{name}_{n}"
        taken.add(candidate)
        found.append(candidate)
    return found


def _identifier(name: str, spelt: Callable[[str], str]) -> str:
    plain = "".join(spelt(character) for character in unicodedata.normalize("NFKC", name))
    plain = re.sub(r"[\W_]+", "_", plain).strip("_")
    if not plain or not plain[0].isidentifier():
        plain = f"x_{plain}".rstrip("_")
    return f"{plain}_input" if plain.lower() in RESERVED or _means_something(plain) else plain


def _means_something(name: str) -> bool:
    """Tell whether sympy reads a name as something other than a variable."""
    if re.fullmatch(r"[xy]\d*", name):
        return False
    import sympy

    return name in sympy.__all__ or isinstance(getattr(builtins, name, None), BuiltinFunctionType)


def _unicode(character: str) -> str:
    return character if f"x{character}".isidentifier() else "_"


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    if (spelling := _CYRILLIC.get(character.lower())) is not None:
        return spelling if character.islower() else spelling.capitalize()
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain:
        return plain
    if character.casefold().isascii():
        return character.casefold()
    spelt = unicodedata.name(character, "").split()
    # GREEK SMALL LETTER THETA
    if "LETTER" not in spelt:
        return f"u{ord(character):x}" if character.isalpha() else "_"
    word = spelt[spelt.index("LETTER") + 1] if spelt[-1] != "LETTER" else ""
    return word.lower() if "SMALL" in spelt else word.capitalize()
