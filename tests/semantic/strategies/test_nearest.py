"""What is nearest to what contexts want, compared with an obvious loop."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.semantic.strategies.nearest import N_NEAREST, nearest


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 120), st.integers(1, 40))
def test_pairs_are_those_of_a_loop(seed: int, n_wanted: int, n_columns: int) -> None:
    generator = np.random.default_rng(seed)
    wanted, columns = (generator.normal(size=(n, 6)) for n in (n_wanted, n_columns))
    weights = generator.uniform(0.1, 2, wanted.shape)
    by_row, by_column = (generator.uniform(1, 3, n) for n in (n_wanted, n_columns))
    expected = []
    for i in range(n_wanted):
        errors = []
        for j in range(n_columns):
            for sign in (1, -1):
                error = (weights[i] * (wanted[i] - sign * columns[j]) ** 2).sum()
                errors.append((error * by_row[i] * by_column[j], i, j, sign < 0))
        best = sorted(errors)[: 2 * n_columns]
        nearer = [pair for pair in best if pair[0] == min(e for e, _, j, _ in best if j == pair[2])]
        expected += nearer[:N_NEAREST]
    expected = sorted(expected)[:300]
    found = nearest(wanted, weights, columns, by_row, by_column)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == [
        (i, j, negative) for _, i, j, negative in expected
    ]
