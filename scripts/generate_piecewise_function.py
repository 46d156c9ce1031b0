"""Write the data of the example PiecewiseFunction-1: y = x1 + x2 where x1 < 0, else x1 * x2.

Usage: python scripts/generate_piecewise_function.py [FILE]
"""

import sys
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).resolve().parent.parent / (
    "config/examples/regression/PiecewiseFunction-1.csv"
)
N_ROWS = 200


def table() -> np.ndarray:
    """Return the rows x1, x2, y of the data, shape (N, 3)."""
    # Short decimals, so that the file holds the inputs exactly.
    inputs = np.round(np.random.default_rng(0).uniform(-1.0, 1.0, size=(N_ROWS, 2)), 6)
    x1, x2 = inputs.T
    return np.column_stack([inputs, np.where(x1 < 0.0, x1 + x2, x1 * x2)])


def text() -> str:
    """Return the CSV text: no header, y last."""
    return "".join(",".join(map(repr, row)) + "\n" for row in table().tolist())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE
    target.write_text(text(), encoding="utf-8")
