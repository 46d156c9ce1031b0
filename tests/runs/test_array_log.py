"""The array file that grows: readable at any time, with rows of any width."""

import numpy as np
import pytest

from dso.runs.array_log import ArrayLog


def test_after_every_row_one_load_reads_all_of_them(tmp_path):
    path, rows = tmp_path / "a.npy", np.random.default_rng(0).normal(size=(12, 5))
    log = ArrayLog(path, np.float64, fill=0.0)
    for i, row in enumerate(rows, start=1):
        log.append(row)
        np.testing.assert_array_equal(np.load(path), rows[:i])
    log.close()
    log.close()
    loaded = np.load(path, mmap_mode="r")
    np.testing.assert_array_equal(loaded, rows)
    assert path.stat().st_size == 128 + rows.nbytes


def test_a_row_cut_off_halfway_is_not_there(tmp_path):
    path = tmp_path / "a.npy"
    log = ArrayLog(path, np.float32, fill=0.0)
    log.append(np.array([1.0, 2.0]))
    with open(path, "ab") as file:
        file.write(b"\x01\x02\x03")  # what a crash leaves of the next row
    np.testing.assert_array_equal(np.load(path), [[1.0, 2.0]])
    log.close()


def test_shorter_rows_are_filled_and_longer_ones_widen_the_array(tmp_path):
    path = tmp_path / "a.npy"
    log = ArrayLog(path, np.float32, fill=-np.inf, n_columns=2)
    for row in ([1.0], [2.0, 3.0], [4.0, 5.0, 6.0], [7.0]):
        log.append(np.array(row))
    log.close()
    inf = np.inf
    expected = [[1, -inf, -inf], [2, 3, -inf], [4, 5, 6], [7, -inf, -inf]]
    loaded = np.load(path)
    np.testing.assert_array_equal(loaded, expected)
    assert loaded.dtype == np.float32
    assert [file.name for file in tmp_path.iterdir()] == ["a.npy"]


def test_the_first_row_may_be_longer_than_asked(tmp_path):
    log = ArrayLog(tmp_path / "a.npy", np.float64, fill=0.0, n_columns=1)
    log.append(np.array([1.0, 2.0]))
    log.close()
    assert np.load(tmp_path / "a.npy").tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("save_freq", "rows_on_disk"), [(None, [1, 2, 3]), (2, [0, 2, 2]), (0, [0] * 3)]
)
def test_rows_are_on_disk_every_save_freq_rows(tmp_path, save_freq, rows_on_disk):
    log = ArrayLog(tmp_path / "a.npy", np.float64, fill=0.0, save_freq=save_freq)
    seen = []
    for i in range(3):
        log.append(np.array([float(i)]))
        seen.append(len(np.load(tmp_path / "a.npy")))
    log.close()
    assert seen == rows_on_disk
    assert np.load(tmp_path / "a.npy").tolist() == [[0.0], [1.0], [2.0]]


def test_a_file_of_an_earlier_run_is_replaced(tmp_path):
    for value in (1.0, 2.0):
        log = ArrayLog(tmp_path / "a.npy", np.float64, fill=0.0)
        log.append(np.array([value]))
        log.close()
    assert np.load(tmp_path / "a.npy").tolist() == [[2.0]]
