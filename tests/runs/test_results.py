"""Reading run folders: names, tables, and what is wrong with them."""

import numpy as np
import pytest

from dso.runs.results import RunName, RunResults, numbers, truths


def test_names_of_runs(tmp_path):
    for name in (
        "dso_Nguyen-1_0.csv",
        "dso_Nguyen-1_10_hof.csv",
        "dso_my_task_2_7_pf.csv",
        "dso_Nguyen-1_0_token_count.csv",
        "dso_x_1_cache.csv",
        "summary.csv",
        "dso_a_1.csv.part",
    ):
        (tmp_path / name).touch()
    assert RunResults(tmp_path).runs() == [
        RunName("Nguyen-1", 0, "dso_Nguyen-1_0"),
        RunName("Nguyen-1", 10, "dso_Nguyen-1_10"),
        RunName("my_task_2", 7, "dso_my_task_2_7"),
    ]


@pytest.mark.parametrize(
    ("content", "n_rows", "issue"),
    [
        (b"r,expression\n1,x1\n2,x2\n", 2, None),
        (b"r,expression\n1,x1\n2,x", 1, "ends within a line"),
        (b"r,expr", 0, "ends within a line"),
        (b"", 0, None),
        (b"r,expression\n1,x1,3,4,5\n2,x1\n", 0, "longer than its header"),
        (b"r,expression\n1,x1\n2,x1,3\n", 1, None),
        (b"r,expression\n\xff\xfe,\x00\n", 1, None),
        (b'r,expression\n1,"x1\n', 0, "not a table"),
    ],
)
def test_tables_in_any_state(tmp_path, content, n_rows, issue):
    (tmp_path / "file.csv").write_bytes(content)
    results = RunResults(tmp_path)
    assert len(results.table("file.csv")) == n_rows
    assert issue is None or issue in results.issues["file.csv"]
    assert (issue is None) == (results.issues == {})


def test_the_last_row_of_a_seed_counts(tmp_path):
    (tmp_path / "summary.csv").write_text("seed,r\n0,0.1\n1,0.2\n0,0.3\n")
    assert RunResults(tmp_path).summary()["r"].tolist() == [0.2, 0.3]


def test_columns_that_hold_something_else(tmp_path):
    (tmp_path / "file.csv").write_text("r,success\n1,True\nx,False\n-inf,1\n,\n")
    table = RunResults(tmp_path).table("file.csv")
    assert np.array_equal(numbers(table, "r"), [1, np.nan, -np.inf, np.nan], equal_nan=True)
    assert truths(table, "success").tolist() == [True, False, True, False]
    assert np.isnan(numbers(table, "gone")).all()
    assert not truths(table, "gone").any()


def test_arrays_are_never_unpickled(tmp_path):
    run = RunName("a", 0, "dso_a_0")
    results = RunResults(tmp_path)
    assert results.all_rewards(run) is None
    np.save(tmp_path / "dso_a_0_all_r.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert results.all_rewards(run) is None
    assert "cannot be read" in results.issues["dso_a_0_all_r.npy"]
    np.save(tmp_path / "dso_a_0_all_r.npy", np.ones((2, 3), np.float32))
    assert results.all_rewards(run).shape == (2, 3)
    assert results.issues == {}


def test_a_hall_of_fame_has_each_expression_once(tmp_path):
    rows = '0.9,2*x1,"add,x1,x1"\n0.9,2*x1,"mul,2.0,x1"\n0.8,,x1\n0.7,,x2\n0.6,x2,x2\n'
    (tmp_path / "dso_t_0_hof.csv").write_text("r,expression,traversal\n" + rows)
    results = RunResults(tmp_path)
    table = results.best(results.runs()[0], "_hof")
    assert table["traversal"].tolist() == ["add,x1,x1", "x1", "x2", "x2"]
    assert table.index.tolist() == [0, 1, 2, 3]
