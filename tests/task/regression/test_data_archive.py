"""Data that a run folder keeps."""

from dataclasses import fields, replace

import numpy as np
import pytest

from dso.errors import UserError
from dso.task.regression.data_archive import archived, read_archive
from dso.task.regression.dataset import from_arrays, load_dataset

X = np.random.default_rng(0).normal(size=(30, 2))
DATA = from_arrays(X, X[:, 0], "named", ("mass", "a b"), np.arange(1.0, 31.0))


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        load_dataset((X, X[:, 0]), validation_fraction=0.2),
        load_dataset("Nguyen-5"),
        replace(DATA, weights_train=None, weights_test=None),
    ],
)
def test_data_come_back_to_the_last_bit(tmp_path, data):
    (tmp_path / "data.npz").write_bytes(archived(data))
    again = read_archive(tmp_path / "data.npz")
    for name in (field.name for field in fields(data)):
        if name not in ("function_set", "test_is_all_rows"):
            np.testing.assert_array_equal(getattr(again, name), getattr(data, name), name)
    assert (again.X_test is again.X_train) == (data.X_test is data.X_train)
    assert archived(again) == archived(data)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"[1]"])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        read_archive(tmp_path / "data.npz")
