"""Whether a program is exact in every row."""

import numpy as np

from dso.finishing import is_exact
from dso.library import Library, create_tokens
from dso.program import FitData, from_str_tokens

LIBRARY = Library(create_tokens(1, ["add", "mul", "exp", "log", "const"]))
X = np.linspace(0, 12, 200)[:, None]


def exact(text: str, y: np.ndarray, X: np.ndarray = X) -> bool:
    return is_exact(FitData.of_rows(LIBRARY, X, y), from_str_tokens(text, LIBRARY).batch)


def test_rows_count_each() -> None:
    y = np.exp(X[:, 0])
    assert exact("exp,x1", y)
    # 1e-4 of the smallest values, and 1e-19 of the variance.
    assert not exact("add,1e-4,exp,x1", y)
    assert np.mean((1e-4) ** 2) < 1e-12 * np.var(y)


def test_digits_of_y_count() -> None:
    y = np.array([float(f"{value:.5g}") for value in np.exp(X[:, 0])])
    assert exact("exp,x1", y)
    assert not exact("mul,1.001,exp,x1", y)


def test_what_is_not_defined_is_not_exact() -> None:
    assert not exact("log,x1", np.log(X[:, 0] + 1))
    assert exact("mul,1e200,x1", 1e200 * X[:, 0])
