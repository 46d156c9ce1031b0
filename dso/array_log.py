"""ArrayLog: a NumPy file that grows with the iterations and can be read at any time."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from dso.run_folder import Pace, write_bytes

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
        Least width; a longer row widens the array, for which the file is written anew.
    save_freq : int or None
        See `Pace`.
    """

    def __init__(
        self,
        path: Path,
        dtype: DTypeLike,
        *,
        fill: float,
        n_columns: int = 0,
        save_freq: int | None = 1,
    ) -> None:
        self.path = path
        self.dtype = np.dtype(dtype)
        self.fill = fill
        self.n_columns = n_columns
        self.n_rows = 0
        self._pace = Pace(save_freq)
        self._file: BinaryIO | None = None

    def append(self, row: np.ndarray) -> None:
        """Add a row (at most n_columns,); a longer one makes more columns."""
        if self._file is None:
            self.n_columns = max(self.n_columns, len(row))
            self._start(np.empty((0, self.n_columns), self.dtype))
        elif len(row) > self.n_columns:
            self._widen(len(row))
        assert self._file is not None
        self._file.write(self._padded(row[None], self.n_columns).tobytes())
        self.n_rows += 1
        if self._pace.is_due():
            self._flush()

    def close(self) -> None:
        """Write out what is pending."""
        if self._file is not None:
            self._flush()
            self._file.close()
            self._file = None

    def _start(self, rows: np.ndarray) -> None:
        write_bytes(self.path, _header(rows.dtype, rows.shape) + rows.tobytes())
        self._file = open(self.path, "r+b")  # noqa: SIM115
        self._file.seek(0, 2)

    def _flush(self) -> None:
        assert self._file is not None
        self._file.flush()  # the rows are there before the header counts them
        self._file.seek(0)
        self._file.write(_header(self.dtype, (self.n_rows, self.n_columns)))
        self._file.seek(0, 2)  # flushes

    def _widen(self, n_columns: int) -> None:
        self.close()
        self.n_columns = n_columns
        self._start(self._padded(np.load(self.path), n_columns))

    def _padded(self, rows: np.ndarray, n_columns: int) -> np.ndarray:
        padded = np.full((len(rows), n_columns), self.fill, self.dtype)
        padded[:, : rows.shape[1]] = rows
        return padded


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Return the header of version 1.0 of NumPy's format, padded to `HEADER_BYTES`."""
    body = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode()
    size = HEADER_BYTES - len(MAGIC) - 2
    return MAGIC + size.to_bytes(2, "little") + body.ljust(size - 1) + b"\n"
