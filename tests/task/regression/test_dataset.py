"""Data from arrays, CSV files and dicts, and every kind of data that is refused."""

import logging
from zlib import adler32

import numpy as np
import pandas as pd
import pytest

from dso.errors import UserError
from dso.task.regression.dataset import from_arrays, load_dataset

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
Y = np.array([0.5, -1.0, 2.0])


def changed(array, index, value):
    array = array.astype(type(value) if isinstance(value, complex) else object)
    array[index] = value
    return array


def test_arrays():
    data = load_dataset((X, Y))
    np.testing.assert_array_equal(data.X_train, X)
    np.testing.assert_array_equal(data.y_train, Y)
    assert data.X_test is data.X_train
    assert data.y_test is data.y_test_noiseless is data.y_train
    assert (data.name, data.n_input_var, data.input_names) == ("regression", 2, ("x1", "x2"))
    assert data.function_set is None


def test_kinds_of_arrays():
    for same_X, same_y in [
        (X.tolist(), Y.tolist()),
        (X.astype(object), Y.astype(np.float32)),
        (X.astype(int), Y[:, None]),
        (np.asfortranarray(X), np.ma.array(Y)),
        (pd.DataFrame(X), pd.Series(Y)),
        (pd.DataFrame(X), pd.DataFrame(Y)),
    ]:
        data = from_arrays(same_X, same_y)
        np.testing.assert_array_equal(data.X_train, X)
        np.testing.assert_array_equal(data.y_train, Y)
        assert data.X_train.flags.c_contiguous
    frame = pd.DataFrame(X, columns=["height", "width"])
    assert from_arrays(frame, Y).input_names == ("height", "width")


@pytest.mark.parametrize(
    ("bad_X", "bad_y", "message"),
    [
        (changed(X, (1, 0), "a"), Y, r"X: row 1, column 0 \(counting from 0\) holds 'a'"),
        (changed(X, (1, 0), "2"), Y, "row 1, column 0"),
        (changed(X, (2, 1), None), Y, "row 2, column 1 .* holds None"),
        (changed(X, (2, 1), np.nan), Y, "row 2, column 1 .* holds nan"),
        (changed(X, (0, 1), -np.inf), Y, "row 0, column 1 .* holds -inf"),
        (X.astype(str), Y, "row 0, column 0 .* holds .*'1.0'"),
        (changed(X, (0, 1), 1j), Y, r"X: row 0, column 0"),
        (X, changed(Y, 2, "b"), r"y: row 2 \(counting from 0\) holds 'b'"),
        (X, changed(Y, 1, np.inf), "y: row 1 .* holds inf"),
        (X, np.ma.array(Y, mask=[0, 0, 1]), "y: row 2"),
        (X, pd.array([1, None, 2], dtype="Int64"), "y: row 1 .* holds (<NA>|nan)"),
        (X, np.array(["2020-01-01"] * 3, dtype="datetime64[D]"), "y: row 0"),
        (X, np.column_stack([Y, Y]), r"y has the shape \(3, 2\); expected one column"),
        (X, np.float64(3), r"y has the shape \(\)"),
        (X[:, 0], Y, r"X has the shape \(3,\)"),
        (X[None], Y, r"X has the shape \(1, 3, 2\)"),
        (X, Y[:2], "X has 3 rows, but y has 2"),
        (X[:, :0], Y, "X has no columns"),
        ([[1, 2], [3], [4, 5]], Y, "X: the rows differ in length"),
        (X[:1], Y[:1], "y has 1 row"),
        (X[:0], Y[:0], "y has 0 row"),
        (X, np.full(3, 0.1), "y has the value 0.1 in every row"),
        (X, Y * 1e200, "beyond double precision"),
        (X, Y * 1e-200, "beyond double precision"),
        (object(), Y, "X is <object.*; expected an array"),
        ("no.data", Y, "X is 'no.data'; expected an array"),
    ],
)
def test_arrays_refused(bad_X, bad_y, message):
    with pytest.raises(UserError, match=message):
        load_dataset((bad_X, bad_y))


def write(tmp_path, text, name="data.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_csv_without_header(tmp_path):
    data = load_dataset(write(tmp_path, "1,2,0.5\n3,4,-1\n\n5,7,2e0\n"))
    np.testing.assert_array_equal(data.X_train, X)
    np.testing.assert_array_equal(data.y_train, Y)
    assert data.name == "data"
    assert data.input_names == ("x1", "x2")
    assert data.X_test is data.X_train


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_with_header(tmp_path, mark):
    text = mark + 'height,"wi,dth",y\r\n1,2,0.5\r\n3,4,-1\r\n5,7,2'
    data = load_dataset(write(tmp_path, text, "My.CSV"))
    np.testing.assert_array_equal(data.X_train, X)
    assert data.input_names == ("height", "wi,dth")
    assert data.name == "My"


def test_header_option_overrides(tmp_path):
    path = write(tmp_path, "1,2,3\n1,2,0.5\n3,4,-1\n5,7,2\n")
    assert len(load_dataset(path).y_train) == 4
    data = load_dataset(path, header=True)
    np.testing.assert_array_equal(data.X_train, X)
    assert data.input_names == ("1", "2")
    path = write(tmp_path, "a,b,c\n1,2,0.5\n3,4,-1\n")
    with pytest.raises(UserError, match=r"row 1, column 1 holds 'a'"):
        load_dataset(path, header=False)


def test_a_header_with_numbers_in_it_is_mentioned(tmp_path, caplog):
    path = write(tmp_path, "1,NA,3\n1,2,0.5\n3,4,-1\n")
    with caplog.at_level(logging.WARNING, logger="dso"):
        assert len(load_dataset(path).y_train) == 2
    assert "row 1 is read as a header because it holds 'NA'" in caplog.text
    caplog.clear()
    load_dataset(write(tmp_path, "a,b,c\n1,2,0.5\n3,4,-1\n"))
    assert not caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("a,b\n", "no rows of data below the header"),
        ("1,2\n", "has 1 row"),
        ("a,b\n1,2\n", "has 1 row"),
        ("1\n2\n3\n", "has one column"),
        ("y\n2\n3\n", "has one column"),
        ("1;2\n2;3\n", "has one column, '1;2' in its first row"),
        ("1,2\n3,4,5\n", "row 2 has 3 columns, 2 expected"),
        ("a,b\n1,2\n3\n", "row 3 has 1 columns, 2 expected"),
        ("1,2\n3,four\n", "row 2, column 2 holds 'four'"),
        ("age,y\n1,2\n\n3,4\n?,6\n", r"row 5, column 1 \('age'\) holds '\?'"),
        ("1,2\n3,nan\n", "row 2, column 2 holds 'nan'"),
        ("nan,2\n3,4\n", "row 1, column 1 holds 'nan'"),
        ("1,2\n-inf,4\n", "row 2, column 1 holds '-inf'"),
        ("1,2\n,4\n", "row 2, column 1 is empty"),
        ("1,,2\n3,4,5\n", "row 1, column 2 is empty"),
        ("1,2\n3,2\n4,2\n", "has the value 2 in every row"),
        ("1,1e999\n3,2\n4,2\n", "row 1, column 2 holds '1e999'"),
        (b"\x89PNG\xff\xfe,1\n", "not a CSV file"),
    ],
)
def test_csv_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        load_dataset(write(tmp_path, text))
    assert "data.csv" in str(error.value)


def test_missing_csv(tmp_path):
    with pytest.raises(UserError, match=r"none.csv: cannot be read \(No such file"):
        load_dataset(str(tmp_path / "none.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(str(tmp_path / "folder.csv"))


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.csv.gz", "t.CSV", "t.npy"])
def test_tables_of_other_formats(tmp_path, name):
    path = tmp_path / name
    frame = pd.DataFrame({"height": X[:, 0], "width": X[:, 1], "w": [1.0, 2.0, 1.0], "y": Y})
    if name == "t.npy":
        np.save(path, frame.to_numpy())
    else:
        frame.to_csv(path, sep="\t" if "csv" not in name.lower() else ",", index=False)
    data = load_dataset(str(path), weights=None if name == "t.npy" else "w")
    np.testing.assert_array_equal(data.X_train[:, :2], X)
    np.testing.assert_array_equal(data.y_train, Y)
    if name != "t.npy":
        assert data.input_names == ("height", "width")
        np.testing.assert_array_equal(data.weights_train, [1, 2, 1])


def test_other_formats_refused(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\ty\n1\tb\n2\t3\n")
    with pytest.raises(UserError, match=r"t.tsv: row 0, column 1 .* holds 'b'"):
        load_dataset(path)
    with pytest.raises(UserError, match=r"task.header: True; .* is not a CSV file"):
        load_dataset(path, header=True)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_a_column_of_row_numbers_is_left_out(tmp_path, caplog, name):
    path = tmp_path / name
    frame = pd.DataFrame({"a": X[:, 0], "y": Y})
    frame.to_csv(path, sep="," if name == "t.csv" else "\t")
    data = load_dataset(path)
    assert data.input_names == ("a",)
    np.testing.assert_array_equal(data.X_train, X[:, :1])
    assert "it is left out" in caplog.text
    # Another column without a name, and the only input, stay.
    frame.index = [3, 1, 2]
    frame.to_csv(tmp_path / "u.csv")
    assert load_dataset(tmp_path / "u.csv").n_input_var == 2
    frame[["y"]].set_index(np.arange(3)).to_csv(tmp_path / "v.csv")
    assert load_dataset(tmp_path / "v.csv").n_input_var == 1


def test_several_columns_of_y_are_for_the_estimator():
    with pytest.raises(UserError, match=r"\(3, 2\); expected one column. DeepSymbolicRegressor"):
        from_arrays(X, X)


def test_dict_with_noise():
    plain = load_dataset("Nguyen-5")
    data = load_dataset({"name": "Nguyen-5", "noise": 0.1})
    np.testing.assert_array_equal(data.X_train, plain.X_train)
    np.testing.assert_array_equal(data.y_test_noiseless, plain.y_test)
    # The original's order: the noise follows the points of both sets in one stream.
    stream = np.random.RandomState(adler32(b"Nguyen-5"))
    stream.uniform(-1, 1, 40)
    scale = 0.1 * np.sqrt(np.mean(plain.y_train**2))
    np.testing.assert_array_equal(data.y_train, plain.y_train + stream.normal(0, scale, 20))
    np.testing.assert_array_equal(data.y_test, plain.y_test + stream.normal(0, scale, 20))


def test_dict_seed_and_limit():
    other = load_dataset({"name": "Nguyen-12a", "seed": 1})
    assert not np.array_equal(other.X_train, load_dataset("Nguyen-12a").X_train)
    same = load_dataset({"name": "Nguyen-12a", "benchmark_source": "benchmarks.csv", "root": None})
    np.testing.assert_array_equal(same.X_train, load_dataset("Nguyen-12a").X_train)
    assert np.abs(load_dataset("Nguyen-12a", y_limit=5.0).y_train).max() < 5
    limited = load_dataset({"name": "Nguyen-12a", "y_limit": 2.0}, y_limit=5.0)
    assert np.abs(limited.y_train).max() < 2
    for free in (
        load_dataset("Nguyen-12a", y_limit=None),
        load_dataset({"name": "Nguyen-12a", "y_limit": None}),
    ):
        assert np.abs(free.y_train).max() > 100


def test_dict_backup_reads_back(tmp_path):
    source = {"name": "Nguyen-9", "noise": 0.05, "backup": True, "logdir": str(tmp_path / "new")}
    data = load_dataset(source)
    copy = load_dataset(tmp_path / "new" / "Nguyen-9_n0.05_s0_test.csv")
    np.testing.assert_array_equal(copy.X_train, data.X_test)
    np.testing.assert_array_equal(copy.y_train, data.y_test)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"name": "Nguyen-1", "nois": 1}, r"key 'nois' in task.dataset. Did you mean 'noise'"),
        ({"noise": 0.1}, "task.dataset.name: None"),
        ({"name": 3}, "task.dataset.name: 3"),
        ({"name": "Nguyen-1", "noise": -1}, "task.dataset.noise: -1"),
        ({"name": "Nguyen-1", "noise": "big"}, "task.dataset.noise: 'big'"),
        ({"name": "Nguyen-1", "seed": 0.5}, "task.dataset.seed: 0.5"),
        ({"name": "Nguyen-1", "y_limit": 0}, "task.dataset.y_limit: 0"),
        ({"name": "Nguyen-1", "backup": True}, "needs task.dataset.logdir"),
        ({"name": "Nguyen-1", "y_limit": 1e-9}, "benchmark Nguyen-1: only"),
        (None, "task.dataset: None"),
        (3, "task.dataset: 3"),
        ((X,), "task.dataset:"),
        (["Nguyen-1"], r"\['Nguyen-1'\] is neither"),
    ],
)
def test_source_refused(source, message):
    with pytest.raises(UserError, match=message):
        load_dataset(source)


def test_no_global_random_state_is_touched():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    load_dataset({"name": "Nguyen-5", "noise": 0.1})
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_a_backup_that_cannot_be_saved_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    source = {"name": "Nguyen-1", "backup": True, "logdir": str(tmp_path / "file")}
    with pytest.raises(UserError, match=r"task.dataset.logdir: no copy can be saved"):
        load_dataset(source)
