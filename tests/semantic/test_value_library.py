"""The value library: one entry per distinct vector, true values, priors obeyed, nothing missed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.prior import JointPrior, make_joint_prior
from dso.program import ProgramBatch, execute
from dso.semantic import ValueLibrary
from dso.semantic.forms import make_forms
from tests.reference_semantic import all_programs, distinct_values, rounded
from tests.support.function_sets import KOZA

FUNCTION_SETS = {
    "Koza": KOZA,
    "Keijzer": ["add", "mul", "inv", "neg", "sqrt", "const"],
    "powers": ["add", "sub", "mul", "n2", "n3", "tanh", "max", "pow", "abs", 0.5, 2.0],
}
STRUCTURAL = {
    "trig": {"on": True},
    "inverse": {"on": True},
    "const": {"on": True},
    "relational": [
        {"on": True, "targets": "x1", "effectors": "add", "relationship": "child"},
        {"on": True, "targets": "mul", "effectors": "div", "relationship": "descendant"},
        {"on": True, "targets": "exp", "effectors": "x2", "relationship": "sibling"},
    ],
}
WALKED = {
    **STRUCTURAL,
    "max_depth": {"on": True, "max_": 5},
    "nesting": {"on": True, "limits": {"exp": {"exp": 0, "sin": 1}}},
}
SIZE = 4000


def make_prior(library: Library, section: dict, max_length: int = 30) -> JointPrior:
    return make_joint_prior(section, library, max_length=max_length)


def points(n_inputs: int, n_rows: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.3, 1.5, (n_inputs, n_rows))


def grown(
    names: list, n_inputs: int = 2, section: dict | None = None, n: int = SIZE
) -> tuple[Library, JointPrior, np.ndarray, ValueLibrary]:
    library = Library(create_tokens(n_inputs, names))
    prior = make_prior(library, section or {})
    X = points(n_inputs)
    return library, prior, X, ValueLibrary(library, prior, X, np.arange(4), max_entries=n)


@pytest.mark.parametrize("names", FUNCTION_SETS.values(), ids=FUNCTION_SETS)
def test_entries_have_their_values_and_no_two_are_equal(names: list) -> None:
    library, _, X, values = grown(names)
    assert len(values) == SIZE
    programs = values.programs(np.arange(SIZE))
    computed, cause, _ = execute(library, programs, X)
    assert (cause == 0).all()
    np.testing.assert_allclose(values.values, computed, rtol=1e-9, atol=1e-12)
    assert len({rounded(row) for row in computed}) == SIZE
    np.testing.assert_array_equal(values.native.lengths, programs.lengths)
    shared = values.costs[: int(0.7 * SIZE)]
    assert (np.diff(shared) >= 0).all()


@pytest.mark.parametrize("section", [STRUCTURAL, WALKED], ids=["tables", "walked"])
def test_every_entry_obeys_the_priors(section: dict) -> None:
    library = Library(create_tokens(2, KOZA))
    prior = make_prior(library, section)
    values = ValueLibrary(library, prior, points(2), np.arange(4), max_entries=SIZE)
    assert len(values) > 500
    assert prior.allowed(values.programs(np.arange(len(values)))).all()
    free = ValueLibrary(library, make_prior(library, {}), points(2), np.arange(4), max_entries=SIZE)
    assert not prior.allowed(free.programs(np.arange(len(free)))).all()


def test_no_small_expression_is_missed() -> None:
    names = ["add", "sub", "mul", "div", "sin", "exp"]
    library, _, X, values = grown(names, n=100_000)
    programs = ProgramBatch.from_rows(all_programs(library, 5))
    expected = distinct_values(library, programs, X)
    rows = np.array(list(expected.values()))
    assert len(rows) > 400
    wanted = execute(library, programs[rows], X).values
    assert (values.find(wanted) >= 0).all()
    assert (values.find(-wanted) == values.find(wanted)).all()
    assert (values.find(wanted * 1.001 + 0.01) < 0).mean() > 0.9


def test_limits_hold() -> None:
    library = Library(create_tokens(2, KOZA))
    prior, X, rows = make_prior(library, {}), points(2), np.arange(4)
    assert len(ValueLibrary(library, prior, X, rows, max_entries=100)) == 100
    few = ValueLibrary(library, prior, X, rows, max_vectors=1000)
    assert few.n_vectors < 1000 + 256
    assert few.stopped_by == "vectors"
    none = ValueLibrary(library, prior, X, rows, is_over=lambda: True)
    assert none.stopped_by == "seconds"
    short = ValueLibrary(library, make_prior(library, {}, 6), X, rows, max_entries=50_000)
    assert short.native.lengths.max() == 6


def test_who_is_asked_whether_to_end_may_interrupt() -> None:
    library = Library(create_tokens(2, KOZA))

    def interrupt() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ValueLibrary(library, make_prior(library, {}), points(2), np.arange(4), is_over=interrupt)


@given(st.integers(10_000, 2_000_000))
@settings(max_examples=25, deadline=None)
def test_a_limit_in_bytes_is_used_up_and_kept(n_bytes: int) -> None:
    library = Library(create_tokens(2, KOZA))
    prior, X, rows = make_prior(library, {}), points(2), np.arange(4)
    n = ValueLibrary.entries_in(n_bytes)
    fits, too_large = (
        ValueLibrary(library, prior, X, rows, max_entries=m, max_vectors=100) for m in (n, n + 1)
    )
    assert fits.n_bytes <= n_bytes < too_large.n_bytes


def test_inputs_have_entries_of_their_own() -> None:
    _, _, _, values = grown(KOZA, n=20_000)
    later = values.programs(np.arange(14_000, len(values)))
    is_token = later.tokens >= 0
    uses = [((later.tokens == d) & is_token).any(axis=1) for d in (0, 1)]
    assert (uses[0] & ~uses[1]).sum() > 1000
    assert (uses[1] & ~uses[0]).sum() > 1000


def test_nearest_is_what_brute_force_finds() -> None:
    _, _, _, values = grown(KOZA)
    generator = np.random.default_rng(1)
    wanted, weights = generator.normal(size=(20, 4)), generator.uniform(0.1, 2, (20, 4))
    entries, signs, distances = values.nearest(wanted, weights, k=3, n=1000)
    table = values.values[:1000]
    for q in range(20):
        both = np.stack([table, -table])  # (2, n, 4)
        expected = (weights[q] * (wanted[q] - both) ** 2).sum(axis=2)
        order = np.argsort(expected.min(axis=0))[:3]
        np.testing.assert_array_equal(entries[q], order)
        np.testing.assert_allclose(distances[q], expected.min(axis=0)[order])
        np.testing.assert_array_equal(signs[q], np.where(expected.argmin(axis=0)[order], -1, 1))


def test_joins_have_the_values_that_were_wanted() -> None:
    library, _, X, values = grown(KOZA)
    generator = np.random.default_rng(2)
    a, b = (values.values[generator.integers(0, most, 50)] for most in (150, SIZE))
    wanted = np.concatenate([a + b, b - a, -a - b, a * b, -b / a, b])
    joined = values.join(wanted)
    assert (joined.lengths > 0).mean() > 0.95
    found = joined.lengths > 0
    np.testing.assert_allclose(
        execute(library, joined[found], X).values, wanted[found], rtol=1e-5, atol=1e-9
    )


def test_numbers_are_built_from_what_there_is() -> None:
    library = Library(create_tokens(1, KOZA))
    X = np.array([[0.0, 0.5, 1.0, 2.0]])  # x1 / x1 has no value on the first row
    forms = make_forms(library, X, np.arange(4), protected=False)
    values = ValueLibrary(library, make_prior(library, {}), X, np.arange(4), max_entries=2000)
    three = values.find(np.full((1, 4), 3.0))
    assert len(forms.all) > 10
    assert three[0] >= 0
    np.testing.assert_allclose(execute(library, values.programs(three), X).values, 3.0)
