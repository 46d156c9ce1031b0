"""A budget: what parts of it spend is spent of the whole, and no part has more than the whole."""

from time import sleep

from hypothesis import given
from hypothesis import strategies as st

from dso.semantic.budget import Budget, SemanticLimits

COUNTS = st.integers(0, 50)
SPENT = st.lists(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS), max_size=6)


@given(COUNTS, COUNTS, st.integers(0, 150), SPENT)
def test_parts_count_in_the_whole_and_are_within_it(vectors, lookups, evaluations, spent) -> None:
    limits = SemanticLimits(max_vectors=vectors, max_lookups=lookups, max_evaluations=evaluations)
    whole = Budget.of(limits)
    n_vectors = n_lookups = 0
    for max_vectors, max_lookups, some, others in spent:
        part = whole.part(max_vectors=max_vectors, max_lookups=max_lookups)
        assert part.vectors_left == min(whole.vectors_left, max_vectors)
        assert part.lookups_left == min(whole.lookups_left, max_lookups)
        assert part.evaluations_left == whole.evaluations_left
        part.count(vectors=some, lookups=others)
        n_vectors, n_lookups = n_vectors + some, n_lookups + others
        assert (whole.n_vectors, whole.n_lookups) == (n_vectors, n_lookups)
        assert part.is_spent == (some > part.max_vectors)
        left = max(0, evaluations - n_vectors - n_lookups)
        assert whole.evaluations_left == left
        assert whole.vectors_left == min(left, max(0, vectors - n_vectors))
        assert whole.lookups_left == min(left, max(0, lookups - n_lookups))


def test_time_is_that_of_the_whole() -> None:
    whole = Budget.of(SemanticLimits(max_seconds=1e-3))
    sleep(2e-3)
    part = whole.part()
    assert part.is_spent
    assert part.seconds_left == 0
    part.stop("seconds")
    assert whole.stopped_by == "seconds"
    assert not Budget.of(SemanticLimits()).is_spent
