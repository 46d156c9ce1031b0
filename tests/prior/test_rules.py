"""Every built-in constraint against the obvious definition, on random traversals of any arity."""

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
    _, _, prior, _ = _core.replay64(rules, nothing, programs.tokens, programs.lengths)
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


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    kind=st.sampled_from([[0], [0, 1], [0, 1, 2], [3], [5, 6], [7]]),
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
    found = rules.violations(programs.tokens, programs.lengths)
    np.testing.assert_array_equal(found, [-1, 1, 2, -1, 2])  # the last is incomplete


def test_too_many_groups_are_an_error():
    rules = _core.RuleSet(ARITIES)
    for _ in range(64):
        rules.forbid_descendant(mask([3]), mask([4]))
    with pytest.raises(ValueError, match="at most 64"):
        rules.forbid_descendant(mask([3]), mask([4]))
