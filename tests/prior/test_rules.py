"""Every built-in constraint against the obvious definition, on random traversals of any arity."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.native import _core
from dso.program.program_batch import ProgramBatch
from tests import reference_priors as reference

ARITIES = [0, 0, 0, 1, 1, 2, 2, 3]
L = len(ARITIES)
MAX_LENGTH = 15

token_sets = st.sets(st.integers(0, L - 1), min_size=1)
seeds = st.integers(0, 2**32 - 1)


def mask(tokens) -> np.ndarray:
    out = np.zeros(L, dtype=bool)
    out[list(tokens)] = True
    return out


def random_traversal(seed: int) -> list[int]:
    """Draw a complete traversal of at most MAX_LENGTH tokens."""
    random = np.random.default_rng(seed)
    tokens: list[int] = []
    while (slots := reference.n_open(tokens, ARITIES)) > 0:
        fits = [t for t in range(L) if len(tokens) + slots + ARITIES[t] <= MAX_LENGTH]
        tokens.append(int(random.choice(fits)))
    return tokens


def native_masks(rules, tokens) -> np.ndarray:
    """Return which tokens the rules mask before each token of a traversal, (T, L) bool."""
    programs = ProgramBatch.from_rows([tokens])
    nothing = _core.Observation(-1, -1, -1, True, [-1] * L, 0)
    _, _, prior, _ = _core.replay64(rules, nothing, programs.native)
    return np.isneginf(prior[0])


def assert_same(rules, tokens, is_masked) -> None:
    native = native_masks(rules, tokens)
    for t in range(len(tokens)):
        expected = [is_masked(tokens[:t], token) for token in range(L)]
        np.testing.assert_array_equal(native[t], expected, err_msg=f"after {tokens[:t]}")


@pytest.mark.parametrize("relationship", reference.RELATIONSHIPS)
@settings(max_examples=40, deadline=None)
@given(seed=seeds, targets=token_sets, effectors=token_sets)
def test_relations(relationship, seed, targets, effectors):
    rules = _core.RuleSet(ARITIES)
    t, e = mask(targets), mask(effectors)
    {
        "child": lambda: rules.forbid_child(e, t),
        "lchild": lambda: rules.forbid_child(e, t, True, False),
        "rchild": lambda: rules.forbid_child(e, t, False, True),
        "uchild": lambda: rules.forbid_only_child(e, t),
        "descendant": lambda: rules.forbid_descendant(e, t),
        "sibling": lambda: (rules.forbid_sibling(e, t), rules.forbid_sibling(t, e)),
    }[relationship]()
    definition = reference.RELATIONSHIPS[relationship]
    assert_same(
        rules,
        random_traversal(seed),
        lambda before, token: definition(before, token, ARITIES, targets, effectors),
    )


@settings(max_examples=40, deadline=None)
@given(seed=seeds, low=st.integers(1, 12), extra=st.integers(0, 10))
def test_length(seed, low, extra):
    high = max(MAX_LENGTH, low + extra)
    rules = _core.RuleSet(ARITIES)
    rules.limit_length(low, high)
    rules.forbid_first(mask(t for t in range(L) if ARITIES[t] == 0))
    assert_same(
        rules,
        random_traversal(seed),
        lambda before, token: reference.length(before, token, ARITIES, low, high),
    )


@settings(max_examples=40, deadline=None)
@given(seed=seeds, group=token_sets, most=st.integers(0, 5))
def test_repeat_at_most(seed, group, most):
    rules = _core.RuleSet(ARITIES)
    rules.limit_count(mask(group), most, mask(group))
    assert_same(
        rules,
        random_traversal(seed),
        lambda before, token: reference.repeat_at_most(before, token, ARITIES, group, most),
    )


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds,
    kind=st.sampled_from([[0], [0, 1], [0, 1, 2], [3], [5, 6], [7], [0, 3], [1, 5], [4, 7]]),
    least=st.integers(0, 6),
)
def test_repeat_at_least_masks_exactly_what_cannot_be_fulfilled(seed, kind, least):
    rules = _core.RuleSet(ARITIES)
    rules.limit_length(1, MAX_LENGTH)
    rules.require_count(mask(kind), least)
    tokens = random_traversal(seed)
    native = native_masks(rules, tokens)
    for t in range(len(tokens)):
        if not reference.completable(tokens[:t], ARITIES, set(kind), least, MAX_LENGTH):
            break  # the sampler never gets here
        for token in range(L):
            possible = reference.completable(
                [*tokens[:t], token], ARITIES, set(kind), least, MAX_LENGTH
            )
            assert native[t, token] == (not possible), (tokens[:t], token)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, pairs=st.lists(st.tuples(token_sets, token_sets), min_size=1, max_size=4))
def test_a_merger_masks_what_any_part_masks(seed, pairs):
    parts = []
    for i, (first, second) in enumerate(pairs):
        rules = _core.RuleSet(ARITIES)
        a, b = mask(first), mask(second)
        [
            lambda r=rules, a=a, b=b: r.forbid_descendant(a, b),
            lambda r=rules, a=a: r.limit_count(a, 2, a),
            lambda r=rules, a=a, b=b: r.forbid_sibling(a, b),
            lambda r=rules, a=a, b=b: r.limit_count(a, 1, b),
        ][i]()
        parts.append(rules)
    merged = _core.RuleSet(ARITIES)
    for rules in parts:
        merged.merge(rules)
    tokens = random_traversal(seed)
    np.testing.assert_array_equal(
        native_masks(merged, tokens),
        np.any([native_masks(rules, tokens) for rules in parts], axis=0),
    )


def test_violations_name_the_first_forbidden_token():
    rules = _core.RuleSet(ARITIES)
    rules.forbid_child(mask([5]), mask([0]))
    programs = ProgramBatch.from_rows([[5, 1, 2], [5, 0, 1], [5, 1, 0], [3, 0], [5, 1]])
    found = rules.violations(programs.native)
    np.testing.assert_array_equal(found, [-1, 1, 2, -1, 2])  # the last is incomplete


def test_too_many_groups_are_an_error():
    rules = _core.RuleSet(ARITIES)
    for _ in range(64):
        rules.forbid_descendant(mask([3]), mask([4]))
    with pytest.raises(ValueError, match="at most 64"):
        rules.forbid_descendant(mask([3]), mask([4]))


COSTS = [1, 2, 1, 1, 3, 1, 2, 1]
NO_LIMITS = np.full((L, 3), -1, dtype=np.int32)


def obeys(rules, tokens) -> bool:
    programs = ProgramBatch.from_rows([tokens])
    return bool(rules.violations(programs.native)[0] < 0)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, most=st.integers(2, 20))
def test_size_of_the_program(seed, most):
    rules = _core.RuleSet(ARITIES)
    rules.limit_size(COSTS, most, NO_LIMITS)
    tokens = random_traversal(seed)
    node = reference.tree(tokens, ARITIES)
    assert obeys(rules, tokens) == (reference.size(node, COSTS) <= most)


@settings(max_examples=200, deadline=None)
@given(seed=seeds, limit=st.lists(st.sampled_from([-1, 1, 2, 3, 5]), min_size=24, max_size=24))
def test_sizes_of_arguments(seed, limit):
    limits = np.array(limit, dtype=np.int32).reshape(L, 3)
    rules = _core.RuleSet(ARITIES)
    rules.limit_size(COSTS, None, limits)
    tokens = random_traversal(seed)
    node = reference.tree(tokens, ARITIES)
    assert obeys(rules, tokens) == reference.arguments_fit(node, COSTS, limits)


@settings(max_examples=100, deadline=None)
@given(seed=seeds, most=st.integers(1, 7))
def test_depth(seed, most):
    rules = _core.RuleSet(ARITIES)
    rules.limit_depth(most)
    tokens = random_traversal(seed)
    assert obeys(rules, tokens) == (reference.depth(reference.tree(tokens, ARITIES)) <= most)


@settings(max_examples=200, deadline=None)
@given(seed=seeds, outer=token_sets, inner=token_sets, most=st.integers(0, 3))
def test_nesting(seed, outer, inner, most):
    rules = _core.RuleSet(ARITIES)
    rules.limit_nesting(mask(outer), mask(inner), most)
    tokens = random_traversal(seed)
    node = reference.tree(tokens, ARITIES)
    assert obeys(rules, tokens) == (reference.deepest_nesting(node, outer, inner) <= most)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, group=st.sampled_from([[0], [0, 1], [0, 1, 2]]))
def test_each_of_a_group_masks_exactly_what_cannot_be_fulfilled(seed, group):
    rules = _core.RuleSet(ARITIES)
    rules.limit_length(1, MAX_LENGTH)
    rules.require_each(mask(group))
    tokens = random_traversal(seed)
    native = native_masks(rules, tokens)
    for t in range(len(tokens)):
        unseen = set(group) - set(tokens[:t])
        if not completable_with(tokens[:t], unseen):
            break
        for token in range(L):
            possible = completable_with([*tokens[:t], token], unseen - {token})
            assert native[t, token] == (not possible), (tokens[:t], token)


def completable_with(tokens, unseen) -> bool:
    """Tell whether all of `unseen` (terminals) fit into what is left, one slot each."""
    # As terminals are interchangeable in length, count `len(unseen)` more of one of them.
    have = sum(t in {0, 1, 2} for t in tokens)
    return reference.completable(tokens, ARITIES, {0, 1, 2}, have + len(unseen), MAX_LENGTH)


SIZE = 9


@cache
def fits_size(n_open, missing, left, group) -> bool:
    """Tell whether some completion has `missing` members of a group and at most size `left`."""
    if n_open == 0:
        return missing <= 0
    return any(
        SIZES[t] <= left
        and fits_size(n_open - 1 + ARITIES[t], missing - (t in group), left - SIZES[t], group)
        for t in range(L)
    )


SIZES = [1, 1, 1, 3, 2, 1, 2, 4]


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds,
    kind=st.sampled_from([(0,), (0, 1, 2), (3,), (4, 5), (7,), (0, 4), (1, 5), tuple(range(L))]),
    least=st.integers(1, 6),
)
def test_at_least_within_a_size_masks_exactly_what_cannot_be_fulfilled(seed, kind, least):
    rules = _core.RuleSet(ARITIES)
    if len(kind) == L:  # at least this many tokens of any kind
        rules.limit_length(least, 100)
    else:
        rules.require_count(mask(kind), least)
    rules.limit_size(SIZES, SIZE, NO_LIMITS)
    tokens = random_traversal(seed)
    native = native_masks(rules, tokens)
    for t in range(len(tokens)):
        n_open = reference.n_open(tokens[:t], ARITIES)
        missing = least - sum(token in kind for token in tokens[:t])
        left = SIZE - sum(SIZES[token] for token in tokens[:t])
        if not fits_size(n_open, missing, left, kind):
            break  # the sampler never gets here
        for token in range(L):
            after = missing - (token in kind), left - SIZES[token]
            possible = after[1] >= 0 and fits_size(n_open - 1 + ARITIES[token], *after, kind)
            assert native[t, token] == (not possible), (tokens[:t], token)


DEPTH = 4


@cache
def most_members(levels, group) -> int:
    """Return how many members of a group a tree with this many levels can hold."""
    if levels == 0:
        return -100  # no tree at all
    return max((t in group) + ARITIES[t] * most_members(levels - 1, group) for t in range(L))


def levels_left(tokens) -> list[int]:
    """Return how many levels the subtree in each open slot may have, last the next one."""
    slots = [DEPTH]
    for token in tokens:
        levels = slots.pop()
        slots += [levels - 1] * ARITIES[token]
    return slots


@settings(max_examples=150, deadline=None)
@given(
    seed=seeds,
    kind=st.sampled_from([(0,), (0, 1, 2), (3,), (4, 5), (7,), (0, 4), (1, 5), tuple(range(L))]),
    least=st.integers(1, 25),
)
def test_at_least_within_a_depth_masks_exactly_what_cannot_be_fulfilled(seed, kind, least):
    rules = _core.RuleSet(ARITIES)
    if len(kind) == L:
        rules.limit_length(least, 100)
    else:
        rules.require_count(mask(kind), least)
    rules.limit_depth(DEPTH)
    tokens = random_traversal(seed)
    native = native_masks(rules, tokens)

    def possible(before) -> bool:
        most = sum(most_members(levels, kind) for levels in levels_left(before))
        return most >= least - sum(token in kind for token in before)

    for t in range(len(tokens)):
        if not possible(tokens[:t]):
            break
        for token in range(L):
            assert native[t, token] == (not possible([*tokens[:t], token])), (tokens[:t], token)


def test_targets_that_need_ancestors():
    rules = _core.RuleSet(ARITIES)
    groups = [rules.forbid_descendant(mask([t]), mask([t])) for t in (3, 4)]
    rules.require_ancestors(mask([0]), groups)
    for tokens, expected in {
        (3, 4, 0): True,
        (4, 3, 0): True,
        (3, 0): False,
        (0,): False,
        (5, 3, 4, 0, 0): False,
        (5, 3, 4, 0, 1): True,
    }.items():
        assert obeys(rules, list(tokens)) == expected, tokens


def test_an_observation_of_another_library_is_refused():
    rules = _core.RuleSet(ARITIES)
    programs = ProgramBatch.from_rows([[5, 0, 1]])
    for observation in (
        _core.Observation(-1, -1, -1, True, [-1] * (L - 1), 0),
        _core.Observation(-1, 0, -1, True, [-1] * L, 5),
    ):
        with pytest.raises(ValueError, match="another library"):
            _core.replay32(rules, observation, programs.native)


def test_masks_are_counted():
    rules = _core.RuleSet(ARITIES)
    rules.forbid_child(mask([5]), mask([0, 1]))
    programs = ProgramBatch.from_rows([[5, 2, 2], [3, 0]])
    counts = rules.mask_counts(programs.native)
    np.testing.assert_array_equal(counts, [2, 2, 0, 0, 0, 0, 0, 0])
