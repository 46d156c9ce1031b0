"""The native reward cache: lookup, counters, eviction by age; and the set of all keys."""

import numpy as np
import pytest

from dso.native import _core

ENTRY = 32  # bytes


def fill(cache: _core.RewardCache, keys: np.ndarray, iteration: int) -> None:
    n = len(keys)
    cache.insert(keys, np.arange(n) + 0.5, np.arange(n) % 4, np.arange(n) % 30 - 1, iteration)


def draw(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


def test_holds_what_was_put_in() -> None:
    cache = _core.RewardCache(2**22)
    keys = draw(5000, 0)
    assert not cache.lookup(keys)[0].any()
    fill(cache, keys, 1)
    found, rewards, cause, node, _ = cache.lookup(keys)
    assert found.all()
    np.testing.assert_array_equal(rewards, np.arange(5000) + 0.5)
    np.testing.assert_array_equal(cause, np.arange(5000) % 4)
    np.testing.assert_array_equal(node, np.arange(5000) % 30 - 1)
    assert len(cache) == 5000
    fill(cache, keys[:10][::-1], 2)  # a new value replaces the old one
    assert len(cache) == 5000
    assert cache.lookup(keys[:1])[1] == [9.5]
    cache.clear()
    assert len(cache) == 0
    assert not cache.lookup(keys)[0].any()


def test_keys_that_collide() -> None:
    """Keys that share their low bits, zero among them, live side by side."""
    cache = _core.RewardCache(2**20)
    keys = np.arange(300, dtype=np.uint64) << np.uint64(32)
    fill(cache, keys, 0)
    np.testing.assert_array_equal(cache.lookup(keys)[1], np.arange(300) + 0.5)
    assert not cache.lookup(keys + np.uint64(1))[0].any()


def test_the_oldest_iterations_go_first() -> None:
    bound = 4096 * ENTRY
    cache = _core.RewardCache(bound)
    for iteration in range(20):
        fill(cache, draw(500, iteration), iteration)
        assert cache.n_bytes <= bound
        assert cache.lookup(draw(500, iteration))[0].all()
    kept = np.array([cache.lookup(draw(500, i))[0].mean() for i in range(20)])
    assert set(kept) == {0.0, 1.0}  # an iteration goes or stays as a whole
    assert (np.diff(kept) >= 0).all()
    assert 2 <= kept.sum() < 10


def test_one_iteration_larger_than_the_bound() -> None:
    cache = _core.RewardCache(1024 * ENTRY)
    keys = draw(10_000, 0)
    fill(cache, keys, 0)
    assert cache.n_bytes <= 1024 * ENTRY
    assert cache.lookup(keys[-1:])[0].all()


def test_counters() -> None:
    cache = _core.RewardCache(2**20)
    keys = draw(3, 0)
    fill(cache, keys, 0)
    cache.count(keys[[0, 0, 1, 2]], np.array([True, True, False, True]))
    on_policy, off_policy = cache.counts(np.append(keys, np.uint64(7)))
    assert on_policy.tolist() == [2, 0, 1, 0]
    assert off_policy.tolist() == [0, 1, 0, 0]


def test_state_does_not_depend_on_the_order_of_insertion() -> None:
    one, other = _core.RewardCache(2**20), _core.RewardCache(2**20)
    keys = draw(2000, 0)
    fill(one, keys, 5)
    other.load_state(one.state())
    assert_same(other.state(), one.state())
    rest = _core.RewardCache(2**20)
    for part in (slice(1000, 2000), slice(0, 1000)):
        rest.insert(
            keys[part], np.arange(2000)[part] + 0.5, np.arange(2000)[part] % 4,
            np.arange(2000)[part] % 30 - 1, 5,
        )  # fmt: skip
    assert_same(rest.state(), one.state())


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": None}, "has no keys"),
        ({"keys": np.zeros(3)}, "has no keys"),
        ({"keys": np.zeros((3, 1), np.uint64)}, "keys: one value per key"),
        ({"rewards": np.zeros(4)}, "rewards: one value per key"),
        ({"rewards": [0.0] * 3}, "has no rewards"),
        ({"nodes": np.zeros(3, np.int64)}, "has no nodes"),
        ({"causes": np.full(3, 7, np.uint8)}, "causes: a number that means nothing"),
        ({"constants": np.zeros(3)}, "constants: "),
        ({"constants": np.zeros((2, 1))}, "constants: "),
        ({"constants": np.empty((3, 10**6))}, "more per program than it has positions"),
    ],
)
def test_a_state_that_is_none_is_refused_and_nothing_is_lost(change: dict, message: str) -> None:
    cache, keys = _core.RewardCache(2**20), draw(3, 0)
    fill(cache, keys, 5)
    state = {**cache.state(), **change}
    with pytest.raises(ValueError, match=message):
        cache.load_state({name: value for name, value in state.items() if value is not None})
    assert cache.lookup(keys)[0].all()


def test_lengths_must_agree() -> None:
    cache = _core.RewardCache(2**20)
    with pytest.raises(ValueError, match="rewards: one value per key"):
        cache.insert(draw(2, 0), np.zeros(1), np.zeros(2), np.zeros(2), 0)


def test_first_rows() -> None:
    keys = np.array([5, 7, 5, 9, 7, 5], dtype=np.uint64)
    assert _core.first_rows(keys).tolist() == [0, 1, 0, 3, 1, 0]


def test_a_key_set_agrees_with_a_set_while_it_grows() -> None:
    """Keys that share their low bits, zero among them, and many more than its first slots."""
    keys, seen, expected = _core.KeySet(), draw(20_000, 3), set()
    seen[::4] <<= np.uint64(40)
    seen[17] = 0
    for part in np.split(seen, 20):
        assert keys.contains(part).tolist() == [key in expected for key in part.tolist()]
        keys.insert(part)
        expected |= set(part.tolist())
        assert keys.contains(part).all()
        assert len(keys) == len(expected)
    assert keys.sorted().tolist() == sorted(expected)
    assert not keys.contains(draw(1000, 4)).any()


def test_zero_is_a_key_like_others() -> None:
    keys, zero = _core.KeySet(), np.zeros(1, np.uint64)
    assert not keys.contains(zero).any()
    keys.insert(zero)
    assert keys.contains(zero).all()
    assert len(keys) == 1
    assert keys.sorted().tolist() == [0]
