"""Hall of fame: ranking, uniqueness, independence of the order of arrival."""

import numpy as np
import pytest

from dso.memory import HallOfFame
from tests.reference_memory import obvious_ranking, random_scored, rows_of, scored


def test_keeps_the_best_first():
    hall = HallOfFame(2)
    hall.update(scored([[1], [2], [3]], [0.1, 0.9, 0.5]))
    assert rows_of(hall.rows) == [[2], [3]]


def test_a_program_stands_once():
    hall = HallOfFame(3)
    hall.update(scored([[1], [1], [2]], [0.5, 0.5, 0.4]))
    assert hall.update(scored([[1], [2]], [0.5, 0.4])) is False
    assert rows_of(hall.rows) == [[1], [2]]


def test_ties_go_by_complexity_then_length_then_tokens():
    hall = HallOfFame(5)
    hall.update(
        scored([[2, 1], [1, 300], [1, 2], [0, 0, 0], [9]], [0.5] * 5, [4.0, 4.0, 4.0, 4.0, 5.0])
    )
    assert rows_of(hall.rows) == [[1, 2], [1, 300], [2, 1], [0, 0, 0], [9]]


def test_rows_marked_invalid_never_enter():
    hall = HallOfFame(3)
    assert hall.update(scored([[1], [2]], [-np.inf, -5.0])) is True
    assert rows_of(hall.rows) == [[2]]


def test_a_better_reward_of_the_same_program_replaces_the_old_one():
    hall = HallOfFame(3)
    hall.update(scored([[1], [2]], [0.5, 0.6]))
    assert hall.update(scored([[1]], [0.7])) is True
    assert rows_of(hall.rows) == [[1], [2]]
    assert hall.rows.rewards.tolist() == [0.7, 0.6]


@pytest.mark.parametrize("seed", range(5))
def test_any_split_into_batches_gives_the_obvious_ranking(seed):
    rng = np.random.default_rng(seed)
    everything = random_scored(rng, 200)
    hall = HallOfFame(20)
    for start in range(0, 200, 17):
        hall.update(everything[start : start + 17])
    assert rows_of(hall.rows) == obvious_ranking(everything)[:20]


def test_state_round_trip():
    hall = HallOfFame(5)
    hall.update(random_scored(np.random.default_rng(0), 50))
    other = HallOfFame(5)
    other.load_state_dict(hall.state_dict())
    assert other.rows.same_as(hall.rows)
    assert other.update(hall.rows) is False
