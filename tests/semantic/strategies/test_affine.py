"""Matches up to scale and offset: found by keys that know neither."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.semantic.strategies.affine import affine_keys, matches


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_keys_are_those_of_any_scale_and_offset(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(20, 4))
    scale, offset = generator.uniform(0.5, 20, (2, 20, 1))
    np.testing.assert_allclose(affine_keys(offset - scale * values), affine_keys(values), rtol=1e-6)


def test_what_is_constant_has_no_key() -> None:
    assert np.isnan(affine_keys(np.full((1, 4), 0.1) * np.array([1, 1 + 1e-15, 1, 1]))).all()


def test_matches_are_those_that_were_hidden() -> None:
    generator = np.random.default_rng(0)
    entries, wanted = generator.normal(size=(500, 4)), generator.normal(size=(30, 4))
    hidden = {3: 77, 11: 400, 29: 0}
    for context, entry in hidden.items():
        wanted[context] = 0.3 * context - 1.7 * entries[entry]
    found = list(matches(entries, wanted))
    assert {one.context: one.entries[0] for one in found} == hidden
    for one in found:
        np.testing.assert_allclose(one.coefficients, [0.3 * one.context, -1.7], rtol=1e-6)
