"""ProgramBatch: many programs as padded arrays, the form in which they cross every stage.

Shape letters, the same everywhere: B programs, T positions of the padded traversal, L tokens of the
library, K constant slots of a program, N rows of data, D input variables, H hidden units,
O observation features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dso.errors import UserError
from dso.native import _core
from dso.program.columns import PAD, Columns

Row = tuple[list[int], list[float]]
"""Tokens in prefix order, and the numbers of each `const` among them."""


def padded(numbers: Sequence[Sequence[float]], n_rows: int) -> np.ndarray:
    """Return sequences of numbers as one array (B, K), NaN behind the end of each."""
    constants = np.full((n_rows, max(map(len, numbers), default=0)), np.nan)
    for slots, values in zip(constants, numbers, strict=bool(numbers)):
        slots[: len(values)] = values
    return constants


@dataclass(frozen=True)
class ProgramBatch(Columns):
    """B programs in prefix order.

    Attributes
    ----------
    tokens : (B, T) int16
        Library indices, `PAD` behind each program's end.
    lengths : (B,) int32
        Tokens of each program.
    constants : (B, K) float64
        Slot k belongs to the k-th token of the row that carries a fitted number, in prefix order;
        unused slots are NaN. K is 0 where no row has one.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    constants: np.ndarray

    @staticmethod
    def from_arrays(tokens: np.ndarray, lengths: np.ndarray) -> ProgramBatch:
        """Wrap token arrays of programs that have no fitted numbers (yet)."""
        return ProgramBatch(tokens, lengths, np.empty((len(tokens), 0)))

    @staticmethod
    def from_rows(
        rows: Sequence[Sequence[int]], numbers: Sequence[Sequence[float]] = ()
    ) -> ProgramBatch:
        """Pad sequences of library indices into a batch, each with its fitted numbers if given."""
        lengths = np.array([len(row) for row in rows], dtype=np.int32)
        tokens = np.full((len(rows), int(lengths.max(initial=1))), PAD, dtype=np.int16)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = row
        return ProgramBatch(tokens, lengths, padded(numbers, len(rows)))

    def row(self, i: int) -> np.ndarray:
        """Return the tokens of program `i` without padding."""
        return self.tokens[i, : self.lengths[i]]

    def keys(self) -> np.ndarray:
        """Return a 64-bit identity of each token sequence, (B,) uint64."""
        return self.native.keys()

    @property
    def native(self) -> _core.Programs:
        """The same for the native core."""
        return _core.Programs(self.tokens, self.lengths, self.constants)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {"tokens": self.tokens, "lengths": self.lengths, "constants": self.constants}

    @staticmethod
    def from_state_dict(state: dict[str, np.ndarray]) -> ProgramBatch:
        """Rebuild from `state_dict`; there may be other arrays.

        Raises
        ------
        UserError
            If the arrays are not programs.
        """
        kinds = (("tokens", np.int16, 2), ("lengths", np.int32, 1), ("constants", np.float64, 2))
        tokens, lengths, constants = arrays = [state[name] for name, _, _ in kinds]
        for array, (name, dtype, n_dimensions) in zip(arrays, kinds, strict=True):
            if array.dtype != dtype or array.ndim != n_dimensions or len(array) != len(tokens):
                raise UserError(f"programs: {name} is {array.dtype} {array.shape}.")
        if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= tokens.shape[1]:
            raise UserError("programs: a length that does not fit the tokens.")
        return ProgramBatch(tokens, lengths, constants)
