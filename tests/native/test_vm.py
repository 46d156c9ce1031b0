"""The virtual machine against the slow reference, and the independence of its rows."""

import weakref

import numpy as np
import pytest

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.native import _core
from dso.program import ProgramBatch, execute, fraction_within, mean_squared_error
from tests.reference import execute_row, nudger, random_programs

N_NUDGES = 60


def data(generator: np.random.Generator, n_rows: int, n_columns: int = 3) -> np.ndarray:
    """Return columns of different sizes and signs, (D, N)."""
    low, high = np.array([[0.1, -1.0, -4.0], [2.0, 1.0, 9.0]])[:, :n_columns, None]
    return generator.uniform(low, high, (n_columns, n_rows))


def as_far(expected: np.ndarray, value: np.ndarray, moved: list[np.ndarray]) -> bool:
    """Tell whether each row is right to 1e-10, or nudges move the reference as far."""
    with np.errstate(invalid="ignore", over="ignore"):
        reach = np.max([np.abs(other - expected) for other in moved], axis=0, initial=0.0)
        # Nudges are one ULP, tokens may be off by four; denormal numbers come from small ones only.
        return bool(
            (np.abs(value - expected) <= 1e-10 * np.abs(expected) + 4 * reach + 1e-300).all()
        )


def disagrees(
    library: Library, programs: ProgramBatch, b: int, X: np.ndarray, got: tuple
) -> str | None:
    """Compare one program with the reference; return what is wrong, or None."""
    value, cause, node = got
    expected, *verdict = execute_row(library, programs, b, X)
    if expected is not None and cause == 0 and as_far(expected, value, []):
        return None
    if expected is None and verdict == [cause, node]:
        return None
    nudged = [execute_row(library, programs, b, X, nudger(i)) for i in range(N_NUDGES)]
    if verdict != [cause, node]:
        reachable = any(other[1:] == (cause, node) for other in nudged)
        return None if reachable else f"verdict {(cause, node)} for {verdict}"
    moved = [other for other, *_ in nudged if other is not None]
    unstable = len(moved) < N_NUDGES
    return None if unstable or as_far(expected, value, moved) else f"{value} for {expected}"


def compare_with_reference(library: Library, n_programs: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    programs = random_programs(library, n_programs, generator)
    X = data(generator, 11)
    values, cause, node = execute(library, programs, X)
    assert 0.1 < (cause == 0).mean() < 0.9
    assert len(np.unique(cause)) == 4
    used = programs.tokens[programs.tokens >= 0]
    assert len(np.unique(used)) == library.L
    for b in range(n_programs):
        wrong = disagrees(library, programs, b, X, (values[b], cause[b], node[b]))
        names = [library.names[token] for token in programs.row(b)]
        assert wrong is None, f"{wrong}: {','.join(names)} {programs.constants[b]}"


def test_agrees_with_reference(every_token: Library) -> None:
    compare_with_reference(every_token, 2000, seed=0)


@pytest.mark.slow
def test_agrees_with_reference_on_many(every_token: Library) -> None:
    compare_with_reference(every_token, 20_000, seed=1)


def test_protected_tokens_agree_with_reference(every_protected_token: Library) -> None:
    compare_with_reference(every_protected_token, 1000, seed=2)


def test_rows_are_independent_of_their_number(every_token: Library) -> None:
    """Any subset of the rows gives the same bits, from 1 to 100 000 of them."""
    generator = np.random.default_rng(3)
    programs = random_programs(every_token, 60, generator)
    X = data(generator, 100_000)
    values = execute(every_token, programs, X).values
    for n in (1, 2, 7, 8, 9, 31, 511, 512, 513, 4097, 100_000):
        rows = np.sort(generator.choice(100_000, n, replace=False))
        part = execute(every_token, programs, X[:, rows]).values
        np.testing.assert_array_equal(part, values[:, rows])


@pytest.mark.parametrize("n_rows", [1, 20, 1000, 3001])
def test_bit_identical_for_threads_and_batches(every_token: Library, n_rows: int) -> None:
    generator = np.random.default_rng(n_rows)
    programs = random_programs(every_token, 300, generator)
    X = data(generator, n_rows)
    y, weights = generator.normal(size=(2, n_rows))
    for score in (
        lambda rows, n: execute(every_token, rows, X, n_threads=n),
        lambda rows, n: mean_squared_error(every_token, rows, X, y, n_threads=n),
        lambda rows, n: mean_squared_error(every_token, rows, X, y, weights**2, n_threads=n),
        lambda rows, n: fraction_within(every_token, rows, X, y, 0.1, 0.5, n_threads=n),
    ):
        whole = score(programs, 1)
        for n_threads in (2, 3):
            for one, other in zip(score(programs, n_threads), whole, strict=True):
                np.testing.assert_array_equal(one, other)
        some = generator.permutation(300)[:77]
        for one, other in zip(score(programs[some], 2), whole, strict=True):
            np.testing.assert_array_equal(one, other[some])


@pytest.mark.parametrize("n_rows", [1, 8, 20, 513, 5000])
def test_means_are_those_of_the_predictions(every_token: Library, n_rows: int) -> None:
    generator = np.random.default_rng(7)
    programs = random_programs(every_token, 400, generator)
    X = data(generator, n_rows)
    y, weights = generator.uniform(0.5, 2, (2, n_rows))
    values, cause, node = execute(every_token, programs, X)
    valid = cause == 0
    with np.errstate(all="ignore"):
        squared = np.square(values - y)
        within = np.abs(values - y) < 0.1 * np.abs(y) + 0.5
    for w in (None, weights):
        mse = mean_squared_error(every_token, programs, X, y, w)
        np.testing.assert_array_equal(mse.cause, cause)
        np.testing.assert_array_equal(mse.node, node)
        assert np.isnan(mse.values[~valid]).all()
        expected = np.average(squared[valid], axis=1, weights=w)
        np.testing.assert_allclose(mse.values[valid], expected, rtol=1e-13)
        share = fraction_within(every_token, programs, X, y, 0.1, 0.5, w)
        expected = np.average(within[valid], axis=1, weights=w)
        np.testing.assert_allclose(share.values[valid], expected, rtol=1e-13)


def test_many_rows_stay_where_they_are_as_long_as_they_are_read() -> None:
    X = np.zeros((2, 70_000))
    array = weakref.ref(X)
    read = _core.Data(X)
    del X
    assert array() is not None
    del read
    assert array() is None


def run_text(text: str, X: np.ndarray, protected: bool = False, constants: tuple = ()) -> tuple:
    """Execute one expression over the unprotected tokens; return values, cause, node."""
    names = ["add", "sub", "mul", "div", "exp", "log", "sqrt", "inv", "pow", "sin", "const", 0.5]
    library = Library(create_tokens(2, names, False, [0.0]))
    batch = ProgramBatch.from_rows([library.actionize(text)])
    batch = ProgramBatch(batch.tokens, batch.lengths, np.array([constants], dtype=float))
    values, cause, node = execute(library, batch, X, protected)
    return values[0], int(cause[0]), int(node[0])


@pytest.mark.parametrize(
    ("text", "column", "cause", "node"),
    [
        ("inv,x1", [1.0, 0.0], 1, 0),
        ("div,x2,x1", [1.0, 0.0], 1, 0),
        ("log,x1", [0.0, 1.0], 1, 0),
        ("log,x1", [-1.0, 1.0], 3, 0),
        ("log,x1", [-1.0, 0.0], 1, 0),  # of two causes in one column the division
        ("add,x1,exp,x1", [1.0, 800.0], 2, 2),
        ("sqrt,x1", [-1e-300, 1.0], 3, 0),
        ("pow,x1,sub,x2,x2", [0.0, 1.0], 0, -1),
        ("pow,x1,sub,x1,x2", [0.0, 1.0], 1, 0),
        ("add,log,x1,inv,x1", [0.0, 1.0], 1, 1),  # the left branch comes first
        ("add,inv,x1,log,x1", [-1.0, 2.0], 3, 3),
        ("sin,exp,exp,x1", [10.0, 1.0], 2, 1),
        ("x1 < 0.0,x1,inv,x1", [-1.0, 0.0], 1, 2),
        ("x1 < 0.0,x2,log,x1", [-1.0, 2.0], 3, 2),  # the branch not taken counts too
        ("x1", [1.0, np.inf], 2, 0),
        ("mul,x1,x1", [1.0, np.nan], 3, 1),
        ("exp,mul,x1,x1", [1e-200, -3.0], 0, -1),  # underflow is not an error
    ],
)
def test_cause_and_node(text: str, column: list[float], cause: int, node: int) -> None:
    X = np.array([column, [1.0, 1.0]])
    assert run_text(text, X)[1:] == (cause, node)
    # The same in a far tile of many rows.
    X = np.concatenate([np.ones((2, 5000)), X], axis=1)
    assert run_text(text, X)[1:] == (cause, node)


def test_first_failing_node_over_all_tiles() -> None:
    """A later tile may fail in an earlier node, or in the same node for a stronger cause."""
    X = np.ones((2, 3000))
    X[0, 10] = 0.0  # inv fails at node 3 in the first tile
    X[1, 2900] = -1.0  # log fails at node 1 in the last
    assert run_text("add,log,x2,inv,x1", X)[1:] == (3, 1)
    X = np.ones((2, 3000))
    X[0, 10], X[0, 2900] = -1.0, 0.0
    assert run_text("log,x1", X)[1:] == (1, 0)


def test_protected_execution_judges_the_result_only() -> None:
    X = np.array([[0.0, 1.0], [1.0, 2.0]])
    values, cause, node = run_text("x1 < 0.0,inv,x1,x2", X, protected=True)
    np.testing.assert_array_equal(values, [1.0, 2.0])
    assert (cause, node) == (0, -1)
    assert run_text("add,x2,inv,x1", X, protected=True)[1:] == (2, 0)
    assert run_text("log,x1", X, protected=True)[1:] == (1, 0)


def test_state_checker_chooses_by_row() -> None:
    X = np.array([[-1.0, 0.0, 2.0], [5.0, 6.0, 7.0]])
    np.testing.assert_array_equal(run_text("x1 < 0.0,x2,0.5", X)[0], [5.0, 0.5, 0.5])


def test_constants_fill_slots_in_prefix_order() -> None:
    X = np.zeros((2, 1))
    assert run_text("sub,const,const", X, constants=(5.0, 2.0))[0] == [3.0]
    assert run_text("sub,const,const", X, constants=(5.0, np.nan))[0] == [4.0]  # unset: 1
    assert run_text("sub,const,const", X)[0] == [0.0]
    assert run_text("const", X, constants=(np.inf,))[1:] == (2, 0)


def test_large_library_and_deep_programs() -> None:
    library = Library(create_tokens(500, ["add", "sin"]))
    X = np.random.default_rng(0).normal(size=(500, 40))
    deep = [500] * 499 + list(range(500))  # add, add, ..., x1, x2, ...
    right = [token for i in range(499) for token in (500, i)] + [499]
    chain = [501] * 999 + [3]
    values = execute(library, ProgramBatch.from_rows([deep, right, chain]), X).values
    np.testing.assert_allclose(values[0], X.sum(axis=0), rtol=1e-11)
    np.testing.assert_allclose(values[1], X.sum(axis=0), rtol=1e-11)
    expected = X[3]
    for _ in range(999):
        expected = np.sin(expected)
    np.testing.assert_allclose(values[2], expected, rtol=1e-10)


def call_core(library: Library, row: list[int], X: np.ndarray) -> object:
    batch = ProgramBatch.from_rows([row])
    return _core.execute(library.native, batch.native, _core.Data(X))


def test_refuses_what_it_cannot_run() -> None:
    library = Library(create_tokens(2, ["add", "sin", "poly"]))
    X = np.ones((2, 4))
    for row, why in [
        ([2, 0], "not complete"),
        ([0, 0], "after its end"),
        ([17], "outside the library"),
        ([4], "not fitted"),
        ([], "not complete"),
    ]:
        with pytest.raises(ValueError, match=why):
            call_core(library, row, X)
    with pytest.raises(ValueError, match="2 input columns"):
        call_core(library, [0], np.ones((1, 4)))
    batch = ProgramBatch.from_rows([[0]])
    with pytest.raises(ValueError, match="rows of X"):
        mean_squared_error(library, batch, X, np.ones(3))
    with pytest.raises(UserError, match="poly"):
        execute(library, ProgramBatch.from_rows([[4]]), X)
