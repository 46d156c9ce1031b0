"""The queue of PQT: what it keeps, and what it draws."""

import numpy as np

from dso.memory import PriorityQueue
from tests.reference_memory import obvious_ranking, random_scored, rows_of, scored


def test_it_keeps_the_best_different_programs_of_all_offered():
    random = np.random.default_rng(2)
    queue, offered = PriorityQueue(4), []
    for _ in range(60):
        (best,) = obvious_ranking(batch := random_scored(random, 5))[:1]
        assert rows_of(batch.best()) == [best]
        queue.update(batch.best())
        offered.append(batch.best())
    everything = type(offered[0]).concatenate(offered)
    assert rows_of(queue.rows) == obvious_ranking(everything)[:4]


def test_a_program_stands_once_with_the_best_of_its_rewards():
    queue = PriorityQueue(3)
    for reward in (0.4, 0.7, 0.5):
        queue.update(scored([[1, 2]], [reward]))
    assert len(queue) == 1
    assert queue.rows.rewards.tolist() == [0.7]


def test_invalid_programs_stay_out_and_an_empty_queue_draws_nothing():
    queue = PriorityQueue(3)
    queue.update(scored([[1, 2]], [-np.inf]))
    assert len(queue.sample(5)) == 0
    assert queue.n_draws == 0


def test_draws_are_uniform_with_replacement_and_differ():
    queue = PriorityQueue(4, seed=3)
    queue.update(scored([[0], [1], [2], [3]], [0.1, 0.2, 0.3, 0.4]))
    first, second = (queue.sample(4000).tokens[:, 0] for _ in range(2))
    counts = np.bincount(first, minlength=4)
    assert np.abs(counts - 1000).max() < 100  # 3.6 standard deviations
    assert not np.array_equal(first, second)
    other = PriorityQueue(4, seed=4)
    other.rows = queue.rows
    assert not np.array_equal(first, other.sample(4000).tokens[:, 0])


def test_a_restored_queue_goes_on_alike():
    queue, restored = PriorityQueue(4, seed=3), PriorityQueue(4, seed=3)
    queue.update(scored([[0], [1, 2], [2]], [0.1, 0.2, 0.3]))
    queue.sample(2)
    restored.load_state_dict(queue.state_dict())
    assert rows_of(restored.rows) == rows_of(queue.rows)
    assert np.array_equal(restored.sample(50).tokens, queue.sample(50).tokens)
