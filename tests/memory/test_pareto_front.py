"""Pareto front: the streaming front equals the front of everything seen."""

import numpy as np
import pytest

from dso.memory import ParetoFront
from tests.reference_memory import obvious_front, random_scored, rows_of, scored


def test_only_what_is_not_dominated_stays_in_order_of_complexity():
    front = ParetoFront()
    front.update(scored([[1], [2], [3], [4]], [0.9, 0.2, 0.5, 0.4], [9, 1, 4, 5]))
    assert rows_of(front.rows) == [[2], [3], [1]]
    assert front.rows.complexities.tolist() == [1, 4, 9]


def test_a_later_program_removes_what_it_dominates():
    front = ParetoFront()
    front.update(scored([[1], [2], [3]], [0.1, 0.5, 0.9], [1, 4, 9]))
    assert front.update(scored([[4]], [0.9], [3])) is True
    assert rows_of(front.rows) == [[1], [4]]


def test_a_simpler_program_enters_with_any_reward():
    front = ParetoFront()
    front.update(scored([[1]], [0.5], [4]))
    assert front.update(scored([[2]], [0.1], [3])) is True
    assert rows_of(front.rows) == [[2], [1]]


def test_of_equal_programs_the_first_in_rank_stays_whenever_it_comes():
    front = ParetoFront()
    front.update(scored([[2, 1]], [0.5], [4]))
    assert front.update(scored([[3, 1]], [0.5], [4])) is False
    assert front.update(scored([[1, 1]], [0.5], [4])) is True
    assert rows_of(front.rows) == [[1, 1]]


def test_known_and_dominated_rows_change_nothing():
    front = ParetoFront()
    front.update(scored([[1], [2]], [0.1, 0.5], [1, 4]))
    assert front.update(scored([[2], [5], [6]], [0.5, 0.5, -np.inf], [4, 6, 0])) is False
    assert rows_of(front.rows) == [[1], [2]]


@pytest.mark.parametrize("seed", range(5))
def test_any_split_into_batches_gives_the_front_of_everything(seed):
    everything = random_scored(np.random.default_rng(seed), 150)
    front = ParetoFront()
    for start in range(0, 150, 13):
        front.update(everything[start : start + 13])
    assert rows_of(front.rows) == obvious_front(everything)


def test_state_round_trip():
    front = ParetoFront()
    front.update(random_scored(np.random.default_rng(0), 50))
    other = ParetoFront()
    other.load_state_dict(front.state_dict())
    assert other.rows.same_as(front.rows)
