"""Data given as arrays, as a file in the run folder."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from dso.errors import UserError
from dso.files import read_regular
from dso.task.regression.dataset import Dataset

ARRAYS = (
    "X_train",
    "y_train",
    "weights_train",
    "X_validation",
    "y_validation",
    "weights_validation",
    "X_test",
    "y_test",
    "y_test_noiseless",
    "weights_test",
)
MAX_BYTES = 2**32
_SAME = {"X_test": "X_train", "y_test": "y_train", "y_test_noiseless": "y_train"}
"""Arrays that are left out where they are those of the training rows."""


def archived(data: Dataset) -> bytes:
    """Return a data set as the content of an npz file, the same for the same data."""
    given = {name: getattr(data, name) for name in ARRAYS}
    kept = {
        name: array
        for name, array in given.items()
        if array is not None and not (name in _SAME and array is given[_SAME[name]])
    }
    file = io.BytesIO()
    about = {"name": data.name, "input_names": data.input_names, "is_benchmark": data.is_benchmark}
    kept |= {name: np.array(value) for name, value in about.items()}
    np.savez_compressed(file, **kept)
    return file.getvalue()


def read_archive(path: Path) -> Dataset:
    """Read what `archived` made; nothing in it is code.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    try:
        content = np.load(io.BytesIO(read_regular(path, MAX_BYTES)), allow_pickle=False)
        with content:
            found = {name: content[name] for name in content.files}
        arrays = {name: found.get(name) for name in ARRAYS}
        for name, other in _SAME.items():
            if arrays[name] is None:
                arrays[name] = arrays[other]
        names = tuple(map(str, found["input_names"]))
        name, is_benchmark = str(found["name"]), bool(found.get("is_benchmark", False))
        return Dataset(name, input_names=names, is_benchmark=is_benchmark, **arrays)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path}: the data of the run cannot be read: {error}.") from None
