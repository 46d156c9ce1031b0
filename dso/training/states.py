"""Checks that a state that was read has the form of one that would be written."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_form(found: Any, usual: Any, place: str) -> None:
    """Compare a state with the present one of the same part.

    What is None or empty there may be anything; arrays may have other lengths, and dicts other
    keys, since both come with what a run has met.

    Raises
    ------
    ValueError
        Naming the place of what has another form.
    """
    if usual is None:
        return
    if isinstance(usual, dict):
        _expect(isinstance(found, dict), found, "a dict", place)
        for key, value in found.items():
            if key in usual:
                check_form(value, usual[key], f"{place}.{key}")
    elif isinstance(usual, np.ndarray):
        is_like = isinstance(found, np.ndarray) and found.ndim == usual.ndim
        kind = f"an array of {usual.ndim} dimension(s) of {usual.dtype}"
        _expect(is_like and found.dtype.kind == usual.dtype.kind, found, kind, place)
    elif isinstance(usual, list | tuple):
        _expect(isinstance(found, list | tuple), found, "a list", place)
    elif isinstance(usual, bool):
        _expect(isinstance(found, bool), found, "true or false", place)
    elif isinstance(usual, int | float):
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        _expect(is_number and not 2**63 <= abs(found) < np.inf, found, "a number", place)
    elif isinstance(usual, str):
        _expect(isinstance(found, str), found, "text", place)


def _expect(is_so: bool, found: Any, wanted: str, place: str) -> None:
    if not is_so:
        kind = f"an array {found.shape}" if isinstance(found, np.ndarray) else repr(found)[:60]
        raise ValueError(f"{place}: {kind}; expected {wanted}")
