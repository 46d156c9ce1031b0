"""Tables in files of all formats."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.data_files import DataTable, is_table, read_table
from dso.errors import UserError

FRAME = pd.DataFrame({"a": [1.5, -2.0, 3e-9], "b b": [0.0, 7.0, 1e6], "y": [1.0, 2.0, 4.0]})


def save_gzip(path, text):
    with gzip.open(path, "wt") as file:
        file.write(text)


WRITERS = {
    "t.csv": lambda path: FRAME.to_csv(path, index=False),
    "t.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "semicolons.csv": lambda path: FRAME.to_csv(path, index=False, sep=";"),
    "decimal.csv": lambda path: FRAME.to_csv(path, index=False, sep=";", decimal=","),
    "bars.txt": lambda path: FRAME.to_csv(path, index=False, sep="|"),
    "t.csv.gz": lambda path: save_gzip(path, FRAME.to_csv(index=False)),
    "t.xlsx": lambda path: FRAME.to_excel(path, index=False),
    "t.parquet": lambda path: FRAME.to_parquet(path),
    "columns.npz": lambda path: np.savez(path, **{n: FRAME[n].to_numpy() for n in FRAME}),
}
NEEDS = {"t.xlsx": "openpyxl", "t.parquet": "pyarrow"}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_table(tmp_path, name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    WRITERS[name](tmp_path / name)
    assert is_table(name)
    table = read_table(tmp_path / name)
    assert table.names == list(FRAME)
    np.testing.assert_allclose(table.numbers(table.names), FRAME.to_numpy(), rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("t.csv", lambda path: path.write_text("1,2,3\n4,5,6\n")),
        ("spaces.txt", lambda path: path.write_text("  1 2   3\n\n4  5 6\n")),
        ("t.npy", lambda path: np.save(path, [[1, 2, 3], [4, 5, 6]])),
        ("t.npz", lambda path: np.savez(path, X=[[1, 2], [4, 5]], y=[3, 6])),
    ],
)
def test_columns_without_names_are_called_x_and_y(tmp_path, name, save):
    save(tmp_path / name)
    table = read_table(tmp_path / name)
    assert table.names == ["x1", "x2", "y"]
    assert table.numbers(table.names).tolist() == [[1, 2, 3], [4, 5, 6]]


@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 2), min_size=1, max_size=5),
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    has_header=st.booleans(),
)
def test_numbers_come_back_as_they_were_written(tmp_path_factory, values, separator, has_header):
    path = tmp_path_factory.mktemp("t") / "t.txt"
    lines = [separator.join(map(repr, row)) for row in values]
    path.write_text("\n".join([separator.join(["u", "v"])] * has_header + lines))
    table = read_table(path)
    assert table.names == (["u", "v"] if has_header else ["x1", "y"])
    np.testing.assert_allclose(table.numbers(table.names), values, rtol=1e-15)


def test_an_index_without_a_name_is_left_out(tmp_path):
    FRAME.to_csv(tmp_path / "t.csv")
    table = read_table(tmp_path / "t.csv")
    assert table.names == list(FRAME)
    assert "left out" in table.notes[0]
    (tmp_path / "t.csv").write_text(",y\n5,1\n7,2\n")
    with pytest.raises(UserError, match="first column has no name"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,y\n", "no rows"),
        ("a,a\n1,2\n", "columns 1 and 2 are both called 'a'"),
        ("a,y\n1,2\n3,4,5\n", "line 3"),
        (b"a,y\n\xff\xfe,2\n", "UTF-8"),
    ],
)
def test_what_is_not_a_table_is_refused_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gone.csv", ".", "t.doc"])
def test_a_name_that_is_not_a_table(tmp_path, name):
    (tmp_path / "t.doc").write_text("a")
    with pytest.raises(UserError, match=r"\.csv"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("name", ["t.xlsx", "t.npy", "t.npz", "t.csv.gz"])
def test_a_file_of_another_format_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no such thing\n" * 9)
    with pytest.raises(UserError, match=name):
        read_table(tmp_path / name)


def table(tmp_path, text: str) -> DataTable:
    (tmp_path / "t.csv").write_text(text)
    return read_table(tmp_path / "t.csv")


def test_text_and_gaps_are_named_by_column_and_row(tmp_path):
    given_table = table(tmp_path, "a,name,y\n1,Ada,2\n,Bob,4\n3,Cy,\ninf,Di,5\n")
    with pytest.raises(UserError, match=r"column 'name' holds text, 'Ada' in row 2; .*--drop"):
        given_table.numbers(["name"])
    with pytest.raises(UserError, match=r"row 3, column 'a' is empty, and 1 more.*--dropna"):
        given_table.numbers(["a"])
    whole = given_table.without_gaps(["a", "y"])
    assert whole.numbers(["a", "y"]).tolist() == [[1, 2]]
    assert whole.notes == ("3 of 4 rows have a missing value and are left out.",)
    with pytest.raises(UserError, match="leaves no row"):
        table(tmp_path, "a,y\n,1\n").without_gaps(["a"])
    with pytest.raises(UserError, match="Did you mean 'name'"):
        given_table.find("nome", "--target")
