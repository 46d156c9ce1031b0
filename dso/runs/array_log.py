"""ArrayLog: a NumPy file that grows with the iterations and can be read at any time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from dso.runs.disk import GrowingFile, Guard
from dso.runs.folder import Pace

HEADER_BYTES = 128
MAGIC = b"\x93NUMPY\x01\x00"


class ArrayLog:
    """A 2-D ``.npy`` file, one row per iteration.

    Rows are appended; the header, of fixed size, is then made to count them. So a file that is cut
    off by a crash or read while the run goes on is a whole array of the rows so far, which one
    `numpy.load` reads.

    Parameters
    ----------
    path : Path
    dtype : dtype
    fill : float
        Stands behind the end of rows that are shorter than others.
    n_columns : int
        Least width; a longer row widens the array, for which the file is written again.
    save_freq : int or None
        See `Pace`.
    guard : Guard, optional
        See `dso.runs.disk.GrowingFile`.
    """

    def __init__(
        self,
        path: Path,
        dtype: DTypeLike,
        *,
        fill: float,
        n_columns: int = 0,
        save_freq: int | None = 1,
        guard: Guard | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.fill = fill
        self.n_columns = n_columns
        self.n_rows = 0
        self._pace = Pace(save_freq)
        self._file = GrowingFile(path, guard)

    def append(self, row: np.ndarray) -> None:
        """Add a row (at most n_columns,); a longer one makes more columns."""
        if self._file.n_bytes == 0:
            self.n_columns = max(self.n_columns, len(row))
            self._file.append(self._header())
            self._file.write()
        elif len(row) > self.n_columns:
            self._widen(len(row))
        if self._file.append(self._padded(row[None], self.n_columns).tobytes()):
            self.n_rows += 1
        if self._pace.is_due() or self._file.is_worth_writing:
            self._flush()

    def close(self) -> None:
        """Write out what is pending."""
        if self.n_rows:
            self._flush()
        self._file.close()

    def state_dict(self) -> dict[str, Any]:
        """Return how far the file has come."""
        self._flush()
        file = self._file.state_dict()
        return {"file": file, "n_rows": self.n_rows, "n_columns": self.n_columns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the file back to where `state_dict` was taken."""
        self._file.load_state_dict(state["file"])
        self.n_columns = int(state["n_columns"])
        row_bytes = max(self.n_columns * self.dtype.itemsize, 1)
        n_whole = max(self._file.n_bytes - HEADER_BYTES, 0) // row_bytes
        self.n_rows = min(int(state["n_rows"]), n_whole)
        if self.n_rows < int(state["n_rows"]):
            whole = self._file.content()[: HEADER_BYTES + self.n_rows * row_bytes]
            self._file.restart(whole if self.n_rows else b"")
        self._flush()

    def _flush(self) -> None:
        # The rows are there before the header counts them.
        if self._file.n_bytes:
            self._file.write(head=self._header())

    def _widen(self, n_columns: int) -> None:
        rows = np.frombuffer(self._file.content()[HEADER_BYTES:], self.dtype)
        rows = rows.reshape(self.n_rows, self.n_columns)
        self.n_columns = n_columns
        self._file.restart(self._header() + self._padded(rows, n_columns).tobytes())

    def _header(self) -> bytes:
        return _header(self.dtype, (self.n_rows, self.n_columns))

    def _padded(self, rows: np.ndarray, n_columns: int) -> np.ndarray:
        padded = np.full((len(rows), n_columns), self.fill, self.dtype)
        padded[:, : rows.shape[1]] = rows
        return padded


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Return the header of version 1.0 of NumPy's format, padded to `HEADER_BYTES`."""
    body = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode()
    size = HEADER_BYTES - len(MAGIC) - 2
    return MAGIC + size.to_bytes(2, "little") + body.ljust(size - 1) + b"\n"
