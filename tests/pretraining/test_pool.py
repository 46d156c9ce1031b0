"""Pools: built in pieces they are the same, and a file that is none is said to be none."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dso.errors import UserError
from dso.pretraining.canonical import FREE, inputs, numbers, up_to_affine
from dso.pretraining.distribution import Distribution, make_distribution
from dso.pretraining.identity import NO_KEY
from dso.pretraining.pool import (
    MOST_HELD_OUT,
    N_BARREN,
    Pool,
    PoolBuilder,
    build_held_out,
    build_pool,
    trigonometric_depth,
)
from dso.pretraining.spelling import tree_of
from dso.pretraining.vocabulary import Vocabulary
from tests.support.pretraining import tree

FEW = make_distribution(
    {
        "operators": {"add": 1, "mul": 1, "exp": 1, "sin": 1},
        "n_operators": {"2": 1, "3": 1, "4": 1},
        "n_inputs": {"2": 1},
        "n_constants": {"0": 1, "1": 1},
    }
)


def make_builder(vocabulary: Vocabulary) -> PoolBuilder:
    return PoolBuilder(FEW, vocabulary, chunk=150)


@pytest.fixture(scope="module")
def builder(vocabulary: Vocabulary) -> PoolBuilder:
    made = make_builder(vocabulary)
    made.build_chunk()
    return made


def test_a_pool_goes_on_where_it_was_saved(
    tmp_path: Path, vocabulary: Vocabulary, builder: PoolBuilder
) -> None:
    with (tmp_path / "pool.npz").open("wb") as file:
        builder.pool().write(file)
    later = make_builder(vocabulary)
    later.resume(Pool.load(tmp_path / "pool.npz"))
    builder.build_chunk()
    later.build_chunk()
    one, other = builder.pool(), later.pool()
    assert one.about == other.about
    for name in ("tokens", "lengths", "counts", "keys"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_pool_of_another_distribution_is_not_continued(builder: PoolBuilder, pool: Pool) -> None:
    with pytest.raises(UserError, match="built with distribution"):
        builder.resume(pool)


def test_a_pool_has_at_least_this_many_skeletons(builder: PoolBuilder) -> None:
    n, seen = len(builder) + 1, []
    made = build_pool(builder, n, lambda b: seen.append(len(b)))
    assert len(made) == seen[-1] >= n
    assert all(before < n for before in seen[:-1])


NARROW = make_distribution(
    {
        "operators": {"add": 1, "exp": 1, "sin": 1},
        "n_operators": {"1": 1, "2": 1},
        "n_inputs": {"1": 1},
    }
)


@pytest.fixture
def _nothing_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the second that its keys take."""
    monkeypatch.setattr("dso.pretraining.pool.excluded_keys", lambda *_: np.empty(0, np.uint64))


@pytest.mark.usefixtures("_nothing_is_evaluated")
def test_a_pool_ends_where_there_are_no_more(vocabulary: Vocabulary) -> None:
    """What is held out leaves most of it."""
    builder = PoolBuilder(NARROW, vocabulary, chunk=60)
    every = build_pool(builder, 10**6)
    assert N_BARREN < builder.n_chunks < 20
    held_out = build_held_out(PoolBuilder(NARROW, vocabulary, chunk=60, stream="held-out"), 10**6)
    assert len(held_out) == math.ceil(MOST_HELD_OUT * len(every))
    rest = build_pool(PoolBuilder(NARROW, vocabulary, chunk=60, excluded=held_out.keys), 10**6)
    assert len(rest) == len(every) - len(held_out) > 0
    with pytest.raises(UserError, match="the distribution has no skeleton: 300 trees gave none"):
        build_pool(PoolBuilder(NARROW, vocabulary, chunk=60, excluded=every.keys), 10**6)


def test_the_number_of_skeletons_is_estimated_from_those_found_once(pool: Pool) -> None:
    counts = np.array([1] * 30 + [2] * 4 + [7] * 6, np.uint32)
    few = replace(pool, tokens=pool.tokens[:40], counts=counts)
    assert few.n_existing == 40 + 30 * 29 / 10
    # Of a distribution this wide all that was found is held out.
    assert pool.n_existing * MOST_HELD_OUT > len(pool)


@pytest.mark.usefixtures("_nothing_is_evaluated")
def test_what_is_undefined_for_positive_inputs_is_not_excluded_with_another(
    vocabulary: Vocabulary, pool: Pool
) -> None:
    assert NO_KEY in pool.keys[:, 0]
    builder = PoolBuilder(FEW, vocabulary, excluded=pool.keys[:, 0])
    form = bytes(vocabulary.index[name] for name in ("log", "sub", "neg", "x1", "1.0"))
    builder._add({form: 1})
    assert len(builder) == 1


def test_the_hash_is_that_of_the_skeletons(tmp_path: Path, pool: Pool) -> None:
    with (tmp_path / "pool.npz").open("wb") as file:
        pool.write(file)
    assert Pool.load(tmp_path / "pool.npz").hash == pool.hash
    order = np.arange(len(pool))[::-1]
    assert replace(pool, tokens=pool.tokens[order], lengths=pool.lengths[order]).hash != pool.hash


def test_skeletons_are_canonical_and_of_what_was_asked_for(
    vocabulary: Vocabulary, distribution: Distribution, pool: Pool
) -> None:
    for i in range(0, len(pool), 3):
        row = pool.row(i)
        form = tree_of(row, vocabulary)
        assert up_to_affine(form) == form
        assert inputs(form)
        assert len(row) <= distribution.max_tokens
        assert list(numbers(form)).count(FREE) == row.count(vocabulary.const) <= 3
        assert trigonometric_depth(form) <= distribution.max_nested_trigonometry
    assert pool.counts.sum() > len(pool)
    assert len({tuple(pool.row(i)) for i in range(len(pool))}) == len(pool)


def test_trigonometric_functions_on_one_way_down_are_counted() -> None:
    assert trigonometric_depth(tree("sin(x1 + exp(cos(x2))) + sin(x2)")) == 2
    assert trigonometric_depth(tree("exp(x1)*tan(x2)")) == 1
    assert trigonometric_depth(tree("exp(x1)")) == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no pool"])
def test_a_file_that_is_not_a_pool_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pool.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"pool .*pool\.npz is broken, or not a pool"):
        Pool.load(tmp_path / "pool.npz")


def test_a_pool_that_is_not_there_or_of_another_version(tmp_path: Path, pool: Pool) -> None:
    with pytest.raises(UserError, match="No such file"):
        Pool.load(tmp_path / "pool.npz")
    with (tmp_path / "pool.npz").open("wb") as file:
        Pool(pool.tokens, pool.lengths, pool.counts, pool.keys, {"version": 9}).write(file)
    with pytest.raises(UserError, match="version 9"):
        Pool.load(tmp_path / "pool.npz")
