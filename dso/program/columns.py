"""Columns: the base of the frozen dataclasses that have one row per program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

PAD = -1
"""Fills tokens behind a program's end; no token has this index."""

Rows = slice | np.ndarray | list[int]


@dataclass(frozen=True)
class Columns:
    """Arrays (B, ...) side by side, selected and joined row by row.

    A field that is an array, or a dataclass of this kind, has one row per program. Any other field
    is about all rows: a selection keeps it, and joined parts have that of the first part, or what
    the function ``joined`` in the field's metadata makes of those of all.
    """

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.__dataclass_fields__))))

    def __getitem__(self, rows: Rows) -> Self:
        """Select rows by slice, mask or index array."""
        selected = {}
        for name in self.__dataclass_fields__:  # `fields` is slow for what runs this often
            value = getattr(self, name)
            selected[name] = value[rows] if isinstance(value, _BY_ROW) else value
        return type(self)(**selected)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join row by row; of arrays of different widths the narrow ones are padded."""
        return cls(
            **{
                field.name: _joined(
                    [getattr(part, field.name) for part in parts], field.metadata.get("joined")
                )
                for field in fields(cls)
            }
        )


_BY_ROW = (np.ndarray, Columns)


def _joined(values: list[Any], join: Callable[[list[Any]], Any] | None) -> Any:
    first = values[0]
    if isinstance(first, Columns):
        return type(first).concatenate(values)
    if isinstance(first, np.ndarray):
        return _stacked(values)
    return first if join is None else join(values)


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """Stack arrays (b,) or (b, width); NaN fills up floats, `PAD` integers."""
    if arrays[0].ndim == 1:
        return np.concatenate(arrays)
    width = max(array.shape[1] for array in arrays)
    return np.concatenate([_widened(array, width) for array in arrays])


def _widened(array: np.ndarray, width: int) -> np.ndarray:
    missing = width - array.shape[1]
    if not missing:
        return array
    fill = np.nan if array.dtype.kind == "f" else PAD
    return np.pad(array, ((0, 0), (0, missing)), constant_values=fill)
