"""Programs as padded arrays."""

import numpy as np
import pytest

from dso.program import ProgramBatch
from dso.program.columns import PAD


def test_rows_are_padded_with_their_numbers() -> None:
    batch = ProgramBatch.from_rows([[3, 1, 2], [0]], [[1.5, -2.0], []])
    assert batch.tokens.tolist() == [[3, 1, 2], [0, PAD, PAD]]
    np.testing.assert_array_equal(batch.constants, [[1.5, -2.0], [np.nan, np.nan]])
    assert ProgramBatch.from_rows([[0]]).constants.shape == (1, 0)


def test_every_row_has_its_numbers() -> None:
    with pytest.raises(ValueError, match="zip"):
        ProgramBatch.from_rows([[0], [1]], [[1.0]])
