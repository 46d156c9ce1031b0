"""The columns of the log against definitions written one row at a time."""

import numpy as np
import pytest

from dso.training.statistics import TrainStats, position_entropies
from tests.support.scored import scored_batch

NAMES = ["add", "log", "x1"]


def example():
    rows = [[2], [0, 2, 2], [2], [1, 2], [1, 1, 2]]
    batch = scored_batch(
        rows,
        [0.5, 1.0, 0.5, 0.0, 0.0],
        cause=[0, 0, 0, 3, 1],
        operators=[-1, -1, -1, 1, 1],
        is_new=[True, True, False, True, False],
        withdrawn=7,
    )
    return batch, np.array([True, True, True, False, False])


def entropy(symbols):
    _, counts = np.unique(symbols, return_counts=True)
    shares = counts / counts.sum()
    return -(shares * np.log(shares)).sum()


def test_columns_of_a_small_batch():
    row = TrainStats(NAMES).row(*example())
    assert row["r_max"] == 1.0
    assert row["r_avg_full"] == pytest.approx(0.4)
    assert row["r_avg_sub"] == pytest.approx(2 / 3)
    assert row["l_avg_full"] == 2.0
    assert row["l_avg_sub"] == pytest.approx(5 / 3)
    assert (row["n_unique_full"], row["n_unique_sub"]) == (4, 2)
    assert (row["n_novel_full"], row["n_novel_sub"]) == (3, 2)
    assert (row["invalid_avg_full"], row["invalid_avg_sub"]) == (0.4, 0.0)
    assert row["n_withdrawn"] == 7


def test_entropy_of_positions_counts_padding_as_a_symbol():
    batch, kept = example()
    row = TrainStats(NAMES).row(batch, kept)
    full, sub = batch.programs.tokens, batch.programs.tokens[kept]
    assert row["a_ent_full"] == pytest.approx(np.mean([entropy(column) for column in full.T]))
    assert row["a_ent_sub"] == pytest.approx(np.mean([entropy(column) for column in sub.T]))


def test_entropies_stand_one_per_position_up_to_the_longest_program():
    programs = example()[0].programs[np.array([0, 1, 3])]
    entropies = position_entropies(programs.tokens, programs.lengths, len(NAMES))
    np.testing.assert_allclose(entropies, [entropy(column) for column in programs.tokens.T])
    short = programs[np.array([0, 2])]  # one column of padding only
    assert position_entropies(short.tokens, short.lengths, len(NAMES)).shape == (2,)


def test_equal_rows_have_no_entropy():
    batch, _ = example()
    row = TrainStats(NAMES).row(batch, np.array([True, False, True, False, False]))
    assert row["a_ent_sub"] == pytest.approx(0.0, abs=1e-15)


def test_invalid_samples_are_counted_by_operator_and_category_over_iterations():
    stats = TrainStats(NAMES)
    stats.row(*example())
    stats.row(*example())
    assert stats.invalid_summary() == {
        "error_log": 4,
        "error_node_divide": 2,
        "error_node_invalid": 2,
    }


def test_samples_that_fail_alike_in_one_batch_all_count():
    stats = TrainStats(NAMES)
    batch, kept = example()
    batch.cause[:] = 2
    batch.operators[:] = 1
    stats.row(batch, kept)
    assert stats.invalid_summary() == {"error_log": 5, "error_node_overflow": 5}


def test_a_failure_without_a_token_counts_in_its_category_only():
    stats = TrainStats(NAMES)
    batch, kept = example()
    batch.operators[:] = -1
    stats.row(batch, kept)
    assert stats.invalid_summary() == {"error_node_divide": 1, "error_node_invalid": 1}


def test_state_round_trip():
    first, second = TrainStats(NAMES), TrainStats(NAMES)
    first.row(*example())
    second.load_state_dict(first.state_dict())
    first.row(*example())
    assert second.invalid_summary() == {
        "error_log": 2,
        "error_node_divide": 1,
        "error_node_invalid": 1,
    }
