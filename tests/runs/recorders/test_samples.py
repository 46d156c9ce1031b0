"""Tables and arrays of what was sampled."""

import numpy as np
import pytest

from dso.runs.recorders import AllSamples, PositionalEntropy, TokenCount, TopSamples
from tests.support.iterations import (
    ADD,
    LIBRARY,
    LOG,
    X1,
    X2,
    folder,
    iteration,
    read,
)


def test_all_samples_have_a_line_each_and_a_matrix_of_rewards(tmp_path):
    recorder = AllSamples(folder(tmp_path))
    recorder.update(iteration(1, [[X1], [LOG, X1], [X2]], [0.5, 0.125, 1 / 3], cause=[0, 3, 0]))
    recorder.update(iteration(2, [[ADD, X1, X2]], [0.75]))
    recorder.close()
    assert read(tmp_path / "dso_task_0_all_info.csv") == [
        ["iteration", "r", "l", "invalid"],
        ["1", "0.5", "1", "0"],
        ["1", "0.125", "2", "1"],
        ["1", repr(1 / 3), "1", "0"],
        ["2", "0.75", "3", "0"],
    ]
    rewards = np.load(tmp_path / "dso_task_0_all_r.npy")
    assert rewards.dtype == np.float32
    expected = np.float32([[0.5, 0.125, 1 / 3], [0.75, -np.inf, -np.inf]])
    np.testing.assert_array_equal(rewards, expected)


def test_top_samples_are_the_best_of_each_batch(tmp_path):
    rows = [[X1], [LOG, X1], [ADD, X1, X2], [X2]]
    recorder = TopSamples(folder(tmp_path), LIBRARY, 0.5)
    recorder.update(iteration(1, rows, [0.1, 0.9, 0.2, 0.9]))
    recorder.update(iteration(2, rows, [0.1, 0.2, 0.4, 0.3]))
    recorder.close()
    assert read(tmp_path / "dso_task_0_top_samples_per_batch.csv") == [
        ["Iteration", "Reward", "Sequence"],
        ["0", "0.9", "log,x1"],
        ["0", "0.9", "x2"],
        ["1", "0.4", "add,x1,x2"],
        ["1", "0.3", "x2"],
    ]


@pytest.mark.parametrize(("share", "n_rows"), [(0.01, 1), (0.29, 29), (0.3, 30), (1.0, 100)])
def test_the_share_of_top_samples_is_met_and_never_empty(tmp_path, share, n_rows):
    recorder = TopSamples(folder(tmp_path), LIBRARY, share)
    n = 100 if share > 0.01 else 10
    recorder.update(iteration(1, [[X1]] * n, np.arange(n)))
    recorder.close()
    assert len(read(tmp_path / "dso_task_0_top_samples_per_batch.csv")) == 1 + n_rows


def test_tokens_are_counted_with_repeats_and_without_padding(tmp_path):
    recorder = TokenCount(folder(tmp_path), LIBRARY)
    recorder.update(iteration(1, [[ADD, X1, X1], [X1], [LOG, X2]], [0.0] * 3))
    recorder.update(iteration(2, [[X2]], [0.0]))
    recorder.close()
    header, *counts = read(tmp_path / "dso_task_0_token_count.csv")
    assert header == LIBRARY.names
    assert [dict(zip(header, row, strict=True)) for row in counts] == [
        {"add": "1", "log": "1", "x1": "3", "x2": "1"},
        {"add": "0", "log": "0", "x1": "0", "x2": "1"},
    ]


def test_positional_entropy_is_one_array_that_is_zero_behind_the_longest(tmp_path):
    recorder = PositionalEntropy(folder(tmp_path), LIBRARY.L, max_length=4)
    recorder.update(iteration(1, [[X1], [X2], [ADD, X1, X2], [X1]], [0.0] * 4))
    recorder.update(iteration(2, [[X1], [X1]], [0.0] * 2))
    # Read before it is closed, as it stands after a crash.
    entropies = np.load(tmp_path / "dso_task_0_positional_entropy.npy")
    recorder.close()
    quarter = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    first = -2 * 0.25 * np.log(0.25) - 0.5 * np.log(0.5)
    np.testing.assert_allclose(
        entropies, [[first, quarter, quarter, 0.0], [0.0] * 4], rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("save_freq", [0, 2])
def test_nothing_is_flushed_before_its_time(tmp_path, save_freq):
    recorders = [
        AllSamples(folder(tmp_path), save_freq),
        TopSamples(folder(tmp_path), LIBRARY, 0.5, save_freq),
        TokenCount(folder(tmp_path), LIBRARY, save_freq),
        PositionalEntropy(folder(tmp_path), LIBRARY.L, 4, save_freq),
    ]
    assert list(tmp_path.iterdir()) == []
    sizes = []
    for number in (1, 2):
        for recorder in recorders:
            recorder.update(iteration(number, [[X1]], [0.5]))
        sizes.append([path.stat().st_size for path in sorted(tmp_path.iterdir())])
    empty = [0, 128, 128, 0, 0]  # headers of the two arrays
    assert sizes[0] == empty
    assert (sizes[1] == empty) is (save_freq == 0)
    for recorder in recorders:
        recorder.close()
    assert all(path.stat().st_size > 0 for path in tmp_path.iterdir())
    assert len(np.load(tmp_path / "dso_task_0_all_r.npy")) == 2
