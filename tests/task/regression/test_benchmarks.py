"""The named benchmarks, checked against the sums that the original data sets have."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from dso.errors import UserError
from dso.task.regression.benchmarks import benchmark_names, find_benchmark, function_sets
from dso.task.regression.dataset import load_dataset
from dso.task.regression.sampling import Axis, Draw, Grid

DATA = Path(__file__).parents[2] / "data"


def golden_rows():
    """Sizes and sums of the data sets as the original builds them."""
    with (DATA / "benchmark_build.csv").open() as file:
        return list(csv.DictReader(file))


def sum_agrees(values, expected, relative):
    """Compare sums to a relative difference, plus the rounding of adding the terms.

    Where positive and negative terms nearly cancel, the order of addition alone moves a sum by some
    ulps of the sum of magnitudes; four of them are allowed.
    """
    rounding = 4 * np.finfo(float).eps * np.abs(values).sum()
    return abs(math.fsum(values.ravel()) - expected) <= relative * abs(expected) + rounding


@pytest.mark.parametrize("row", golden_rows(), ids=lambda row: row["benchmark"])
def test_same_data_as_the_original(row):
    data = load_dataset(row["benchmark"])
    assert data.X_train.shape == (int(row["train_rows"]), int(row["inputs"]))
    assert data.X_test.shape == (int(row["test_rows"]), int(row["inputs"]))
    # The original rounded this one function to single precision.
    relative = 1e-6 if row["benchmark"] == "Neat-6" else 1e-12
    assert sum_agrees(data.X_train, float(row["sum_X_train"]), 1e-12)
    assert sum_agrees(data.y_train, float(row["sum_y_train"]), relative)
    assert sum_agrees(data.y_test, float(row["sum_y_test"]), relative)


def test_the_sum_test_notices_a_small_change():
    row = next(row for row in golden_rows() if row["benchmark"] == "Keijzer-1")
    X = load_dataset("Keijzer-1").X_train  # its sum is 1e-15: nothing but rounding
    assert not sum_agrees(X + 1e-13, float(row["sum_X_train"]), 1e-12)


def test_every_benchmark_builds():
    names = benchmark_names()
    assert len(names) == 118
    for name in names:
        data = load_dataset(name)
        assert len(data.y_train) == len(data.X_train) >= 2
        assert len(data.y_test) == len(data.X_test) >= 2
        assert np.isfinite(data.y_train).all()
        assert np.isfinite(data.y_test).all()
        assert data.function_set in function_sets().values()


@pytest.mark.parametrize(
    ("name", "n_train", "n_test"),
    [
        ("Keijzer-6", 50, 120),
        ("Keijzer-10", 100, 101**2),
        ("Pagie-1", 26**2, 26**2),
        ("Nonic", 20, 20),
        ("R1a", 20, 20),
        ("R3a", 20, 20),
        ("GrammarVAE-1", 1000, 1000),
        ("Vladislavleva-1", 100, 221**2),
        ("Vladislavleva-3", 100 * 6, 221 * 23),
        ("Vladislavleva-5", 300, 15 * 12 * 15),
        ("Vladislavleva-6", 30, 306**2),
        ("Vladislavleva-8", 50, 34**2),
        ("Const-Test-1", 20, 20),
    ],
)
def test_sizes_of_those_the_original_cannot_build(name, n_train, n_test):
    data = load_dataset(name)
    assert (len(data.y_train), len(data.y_test)) == (n_train, n_test)


def test_no_limit_on_the_targets_of_korns_8():
    assert find_benchmark("Korns-8").y_limit == math.inf
    assert np.abs(load_dataset("Korns-8").y_train).max() > 100
    assert np.abs(load_dataset("Korns-8", y_limit=100.0).y_train).max() > 100
    assert np.abs(load_dataset("Korns-8", y_limit=1000.0).y_train).max() < 1000


def test_grid_steps_and_order():
    assert Axis.with_step(0, 1, 0.1) == Axis(0, 1, 11)
    assert Axis.with_step(0, 1, 0.3) == Axis(0, 0.8999999999999999, 4)
    X, y = Grid((Axis(0, 1, 2), Axis(5, 7, 3))).sample(lambda X: X[:, 0] + X[:, 1], None, 1.0)
    np.testing.assert_array_equal(X, [[0, 5], [0, 6], [0, 7], [1, 5], [1, 6], [1, 7]])
    np.testing.assert_array_equal(y, [5, 6, 7, 6, 7, 8])


def test_draws_put_later_rounds_first_and_keep_the_limit():
    draw = Draw(50, ((-1.0, 1.0),))
    X, y = draw.sample(lambda X: 4 * X[:, 0], np.random.RandomState(3), y_limit=2.0)
    assert (np.abs(y) < 2).all()
    first_round = np.random.RandomState(3).uniform(-1, 1, 50)
    kept = first_round[np.abs(first_round) < 0.5]
    np.testing.assert_array_equal(X[-len(kept) :, 0], kept)


def test_a_target_that_is_never_usable_ends_soon_with_a_sentence():
    calls = []

    def never(X):
        calls.append(len(X))
        return np.full(len(X), np.nan)

    with pytest.raises(UserError, match="only 0 of 5 points"):
        Draw(5, ((0.0, 1.0),)).sample(never, np.random.RandomState(0), 100.0)
    assert len(calls) == 100


@pytest.mark.parametrize(
    "sampling", [Grid((Axis(0.0, 1.0, 10**6),) * 5), Draw(10**30, ((0.0, 1.0),) * 5)]
)
def test_sets_too_large_are_refused_before_they_are_made(sampling):
    with pytest.raises(UserError, match=f"^{10**30} points are wanted; at most"):
        sampling.sample(lambda X: X[:, 0], np.random.RandomState(0), 100.0)


def test_unknown_name_has_a_hint():
    with pytest.raises(UserError, match=r"'Nguyen12' in task.dataset. Did you mean 'Nguyen-12'"):
        load_dataset("Nguyen12")


SOURCE = """name,variables,expression,train_spec,test_spec,function_set
Mine-1,2,"pow(x1,2)+ln(x2)","{""x1"":{""U"":[1,2,30]},""x2"":{""U"":[3,4,30]}}",None,None
Mine-2,1,x1+1,"{""all"":{""E"":[0,1,0.3]}}","{""all"":{""E"":[0,1,7]}}",Mine
Mine-3,2,x1*x2,"{""all"":{""E"":[0,1,0.3]}}",None,Base
Mine-4,2,x1+x2,"{""x1"":{""E"":[0,1,0.5]}}",None,Base
Nguyen-1,1,"pow(x1,3)+pow(x1,2)+x1","{""all"":{""U"":[-1,1,20]}}",None,Koza
Bad-1,1,x1+x2,"{""all"":{""U"":[0,1,9]}}",None,None
Bad-2,1,x1,"{""all"":{""Z"":[0,1,9]}}",None,None
Bad-3,2,x1,"{""x1"":{""U"":[0,1,9]},""x2"":{""E"":[0,1,9]}}",None,None
Bad-4,1,x1,oops,None,None
Bad-5,1,x1,"{""all"":{""U"":[1,0,9]}}",None,None
Bad-6,1,x1,"{""all"":{""U"":[0,1,9]}}",None,Kozza
Bad-7,1,eval(x1),"{""all"":{""U"":[0,1,9]}}",None,None
Bad-8,two,x1,"{""all"":{""U"":[0,1,9]}}",None,None
Bad-9,1,log(x1),"{""all"":{""E"":[0,1,9]}}",None,None
Bad-10,2,x1,"{""x1"":{""U"":[0,1,9]},""x2"":{""U"":[0,1,8]}}",None,None
Bad-11,1,x1,"{""all"":{""U"":[0,NaN,9]}}",None,None
Bad-12,1,x1,"{""all"":{""U"":[0,""1"",9]}}",None,None
Bad-13,1,x1,"[1,2]",None,None
"""


@pytest.fixture
def source(tmp_path):
    (tmp_path / "mine.csv").write_text(SOURCE)
    (tmp_path / "function_sets.csv").write_text('name,function_set\nMine,"add,2.5"\n')
    return {"benchmark_source": "mine.csv", "root": str(tmp_path)}


def test_users_table(source):
    data = load_dataset({"name": "Mine-1", **source})
    assert data.X_train.shape == (30, 2)
    assert data.X_train[:, 1].min() >= 3
    np.testing.assert_allclose(data.y_train, data.X_train[:, 0] ** 2 + np.log(data.X_train[:, 1]))
    assert not np.array_equal(data.X_train, data.X_test)  # a fresh draw
    assert data.function_set == function_sets()["Koza"]


def test_users_grids(source):
    data = load_dataset({"name": "Mine-2", **source})
    np.testing.assert_allclose(data.X_train[:, 0], [0, 1 / 3, 2 / 3, 1])
    assert len(data.X_test) == 7
    assert data.function_set == ("add", "2.5")
    data = load_dataset({"name": "Mine-3", **source})
    np.testing.assert_allclose(data.X_train[:5, 1], [0, 0.3, 0.6, 0.9, 0])
    data = load_dataset({"name": "Mine-4", **source})
    assert data.X_train.tolist()[:4] == [[0, 0], [0, 0.5], [0, 1], [0.5, 0]]


def test_users_table_and_ours_draw_the_same(source):
    ours, theirs = load_dataset("Nguyen-1"), load_dataset({"name": "Nguyen-1", **source})
    np.testing.assert_array_equal(ours.X_train, theirs.X_train)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bad-1", "uses x2, but variables is 1"),
        ("Bad-2", "expected U or E"),
        ("Bad-3", "of one kind"),
        ("Bad-4", "not JSON"),
        ("Bad-5", "empty"),
        ("Bad-6", "Did you mean 'Koza'"),
        ("Bad-7", "unknown operator 'eval'"),
        ("Bad-8", "'two'; expected a whole number"),
        ("Bad-9", r"Bad-9: the formula has no finite value at \[0.0\]"),
        ("Bad-10", "of one size"),
        ("Bad-11", "expected finite numbers"),
        ("Bad-12", "expected finite numbers"),
        ("Bad-13", "not of the form"),
        ("Mine-9", "Did you mean 'Mine-"),
    ],
)
def test_users_table_refuses(source, name, message):
    with pytest.raises(UserError, match=message):
        load_dataset({"name": name, **source})


def test_users_table_must_be_a_table(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="has no column name"):
        load_dataset({"name": "A", "benchmark_source": str(tmp_path / "other.csv")})
    with pytest.raises(UserError, match="No such file"):
        load_dataset({"name": "A", "benchmark_source": str(tmp_path / "none.csv")})
