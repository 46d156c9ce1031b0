"""Complexity of whole batches."""

import numpy as np
import pytest

from dso.memory import complexity_measure
from dso.program.program_batch import ProgramBatch

PROGRAMS = ProgramBatch.from_rows([[0, 1, 1], [1], [2, 1]])
COMPLEXITIES = np.array([3.0, 1.0, 10.0])


@pytest.mark.parametrize(
    ("kind", "expected"), [("token", [5, 1, 11]), ("length", [3, 1, 2]), (None, [0, 0, 0])]
)
def test_complexity_of_a_batch(kind, expected):
    assert complexity_measure(kind, COMPLEXITIES)(PROGRAMS).tolist() == expected


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'token', 'length', None"):
        complexity_measure("depth", COMPLEXITIES)
