"""Laws that are tried before the search starts, and where their fits start."""

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.library import Library, create_tokens
from dso.program import FitData, Program
from dso.regressor.simple_laws import MAX_PAIRS, simple_laws

ALL = ["add", "mul", "pow", "exp", "log", "const"]


def laws(X: np.ndarray, y: np.ndarray, names: list[str]) -> dict[str, list[float]]:
    library = Library(create_tokens(X.shape[1], names))
    return dict(simple_laws(FitData.of_rows(library, X, y)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_fits_start_at_the_law_where_it_holds(sign: float) -> None:
    X = np.random.default_rng(0).uniform(0.1, 1e3, (30, 2))
    library = Library(create_tokens(2, ALL))
    targets = {
        "mul,const,pow,x1,const": 3e-7 * X[:, 0] ** -1.7,
        "mul,const,exp,mul,const,x2": 1e9 * np.exp(-0.02 * X[:, 1]),
        "mul,const,mul,pow,x1,const,pow,x2,const": 5.0 * X[:, 0] ** 2 / X[:, 1] ** 0.3,
    }
    for text, y in targets.items():
        start = laws(X, sign * y, ALL)[text]
        program = Program(library, library.actionize(text), np.array(start))
        np.testing.assert_allclose(program.execute(X), sign * y, rtol=1e-9)
    start = laws(X, targets["mul,const,pow,x1,const"], ALL)["exp,add,const,mul,const,log,x1"]
    np.testing.assert_allclose(start, [np.log(3e-7), -1.7], rtol=1e-9)


def test_only_what_the_library_can_write() -> None:
    X = np.random.default_rng(0).normal(size=(9, 2))
    texts = laws(X, X[:, 0], ["add", "mul", "const"])
    assert "add,const,add,mul,const,x1,mul,const,x2" in texts
    assert not any("log" in text or "exp" in text or "pow" in text for text in texts)
    assert list(laws(X, X[:, 0], ["sin"])) == ["x1", "x2"]


def test_pairs_are_tried_while_there_are_few() -> None:
    n_inputs = int(np.sqrt(2 * MAX_PAIRS)) + 2
    X = np.random.default_rng(0).normal(size=(9, n_inputs))
    pair = "mul,const,mul,pow,x1,const,pow,x2,const"
    assert pair not in laws(X, X[:, 0], ALL)
    assert pair in laws(X[:, :9], X[:, 0], ALL)


def test_rows_without_logarithms_say_nothing() -> None:
    X = np.array([[-1.0], [-2.0], [3.0]])
    assert laws(X, np.array([1.0, 2.0, 3.0]), ALL)["mul,const,pow,x1,const"] == []
    assert laws(X, np.zeros(3), ALL)["mul,const,exp,mul,const,x1"] == []


@pytest.mark.slow
def test_they_are_on_the_front_in_all_units() -> None:
    X = np.random.default_rng(1).uniform(1e-9, 1e-6, (20, 1))
    y = 4e20 * X[:, 0] ** 1.505
    model = DeepSymbolicRegressor(operators=["+", "*", "^"], n_samples=1, verbosity=0)
    table = model.fit(X, y).equations_
    assert table["loss"].min() < 1e-20 * y.var()
