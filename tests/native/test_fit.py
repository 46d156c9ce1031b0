"""The native fit of constants: finds them, keeps to bounds, survives anything."""

import numpy as np
import pytest
from scipy.optimize import minimize

from dso.library import Library, create_tokens
from dso.library.functions import OPERATORS
from dso.native import _core
from dso.program import ProgramBatch, execute, mean_squared_error
from tests.reference import random_programs
from tests.support.function_sets import KOZA

LIBRARY = Library(create_tokens(2, [*KOZA, "const"]))
X = np.random.default_rng(0).uniform(0.1, 2, (2, 100))


def row(text: str) -> ProgramBatch:
    return ProgramBatch.from_rows([LIBRARY.actionize(text).tolist()])


def with_constants(programs: ProgramBatch, constants: np.ndarray) -> ProgramBatch:
    return ProgramBatch(programs.tokens, programs.lengths, np.atleast_2d(constants))


def fit(programs: ProgramBatch, start: np.ndarray, y: np.ndarray, **options):
    library = options.pop("library", LIBRARY)
    data = _core.Data(
        options.pop("X", X), y, options.pop("weights", None), options.pop("protected", False)
    )
    started = with_constants(programs, np.asarray(start, dtype=float))
    return _core.fit_constants(library.native, started.native, data, **options)


def koza_batch(n: int, seed: int = 1) -> ProgramBatch:
    programs = random_programs(LIBRARY, n, np.random.default_rng(seed))
    width = programs.constants.shape[1]
    return with_constants(programs, np.ones((n, width)))


@pytest.mark.parametrize(
    ("text", "constants"),
    [
        ("add,mul,const,x1,exp,mul,const,x2", [2.5, -0.7]),
        ("div,const,add,x1,const", [3.0, 0.4]),
        ("sin,add,mul,const,x1,const", [1.3, 0.5]),
        ("log,add,const,mul,x1,mul,const,x2", [2.0, 5.0]),
        ("mul,const,mul,const,x1", [4.0, 1.0]),  # a line of solutions: singular equations
    ],
)
@pytest.mark.parametrize("n_rows", [7, 100, 1500])
def test_known_constants_are_found(text: str, constants: list[float], n_rows: int) -> None:
    data = np.random.default_rng(n_rows).uniform(0.1, 2, (2, n_rows))
    y = execute(LIBRARY, with_constants(row(text), np.array(constants)), data).values[0]
    found, mse = fit(row(text), np.ones(len(constants)), y, X=data)
    assert mse[0] < 1e-25 * y.var()
    if text != "mul,const,mul,const,x1":
        np.testing.assert_allclose(found[0], constants, rtol=1e-9)


FLAT = {name for name, row in OPERATORS.items() if row.derivative[0] == "0"} | {"mod"}
"""Operators that are steps in their first argument, so that a fit learns nothing about it."""


@pytest.mark.parametrize("name", sorted(set(OPERATORS) - FLAT))
def test_every_operator_can_be_fitted_through(name: str) -> None:
    protected = name.startswith("protected_")
    plain = name.removeprefix("protected_")
    library = Library(create_tokens(2, [*{"mul", plain}, "const"], protected=protected))
    shown = OPERATORS[name].shown
    text = f"{shown},mul,const,x1" + (",x2" if OPERATORS[name].arity == 2 else "")
    program = ProgramBatch.from_rows([library.actionize(text).tolist()])
    data = np.random.default_rng(3).uniform(0.2, 0.9, (2, 40)) + 2 * (name == "arccosh")
    truth = with_constants(program, np.array([0.8]))
    y = execute(library, truth, data, protected).values[0]
    found, mse = fit(program, [1.0], y, X=data, library=library, protected=protected)
    assert mse[0] < 1e-20
    assert found[0, 0] == pytest.approx(0.8, rel=1e-8)


def test_state_checkers_pass_derivatives_to_the_branch_that_holds() -> None:
    library = Library(create_tokens(2, ["const"], decision_tree_threshold_set=[1.0]))
    program = ProgramBatch.from_rows([library.actionize("x1 < 1.0,const,const").tolist()])
    y = np.where(X[0] < 1.0, 3.0, -2.0)
    found, mse = fit(program, [1.0, 1.0], y, library=library)
    np.testing.assert_allclose(found[0], [3.0, -2.0])
    assert mse[0] < 1e-25


def test_the_error_is_that_of_the_constants_and_never_worse_than_at_the_start() -> None:
    programs = koza_batch(2000)
    y = np.sin(5 * X[0]) + X[1]
    before = mean_squared_error(LIBRARY, programs, X, y).values
    for n_starts in (1, 3):
        constants, mse = fit(programs, programs.constants, y, n_starts=n_starts)
        after = mean_squared_error(LIBRARY, with_constants(programs, constants), X, y)
        np.testing.assert_array_equal(np.isnan(mse), ~np.isfinite(after.values))
        valid = ~np.isnan(mse)
        np.testing.assert_array_equal(mse[valid], after.values[valid])
        was_valid = np.isfinite(before)
        assert (mse[was_valid] <= before[was_valid]).all()
        assert (mse[was_valid] < before[was_valid]).mean() > 0.3
        # What is valid nowhere keeps its start.
        np.testing.assert_array_equal(constants[~valid], programs.constants[~valid])


def test_a_program_that_is_invalid_at_the_start_is_tried_elsewhere() -> None:
    y = np.log(3 - X[0])
    program = row("log,sub,const,x1")  # log(1 - x1) is invalid above 1
    found, mse = fit(program, [1.0], y)
    assert found[0, 0] == pytest.approx(3.0)
    assert mse[0] < 1e-25


def test_more_starts_are_no_worse_and_find_what_one_misses() -> None:
    y = np.sin(7.0 * X[0])
    program = row("sin,mul,const,x1")
    errors = [fit(program, [1.0], y, n_starts=n)[1][0] for n in (1, 3, 30)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1e-2
    assert errors[-1] < 1e-20


def test_an_exact_fit_ends_at_short_numbers() -> None:
    program = row("mul,add,sin,mul,const,x1,const,mul,const,cos,x2")
    y = 2 * np.sin(1.3 * X[0]) * np.cos(X[1])
    found, mse = fit(program, np.ones(3), y)
    assert found[0].tolist() == [1.3, 0.0, 2.0]
    truth = mean_squared_error(LIBRARY, with_constants(program, found), X, y).values[0]
    assert mse[0] == truth < 1e-30 * y.var()
    # What has twelve digits keeps them, and what is not exact is left alone.
    found, _ = fit(row("mul,const,x1"), np.ones(1), 1.23456789012 * X[0])
    assert found[0, 0] == 1.23456789012
    noisy = 1.3 * X[0] + np.random.default_rng(0).normal(0, 1e-7, X.shape[1])
    found, _ = fit(row("mul,const,x1"), np.ones(1), noisy)
    assert found[0, 0] == pytest.approx(X[0] @ noisy / (X[0] @ X[0]), rel=1e-14)
    # Within bounds that the short number would leave.
    found, _ = fit(row("mul,const,x1"), np.ones(1), X[0], lower=[[1.0 + 1e-15]], upper=[[2.0]])
    assert found[0, 0] >= 1.0 + 1e-15


def test_bounds_hold_and_equal_bounds_fix() -> None:
    y = 4 * X[0] - 2
    program = row("add,mul,const,x1,const")
    low, high = np.array([[-np.inf, 0.0]]), np.array([[3.0, np.inf]])
    found, mse = fit(program, [1.0, 1.0], y, lower=low, upper=high)
    basis = np.stack([X[0], np.ones_like(y)])
    exact = minimize(
        lambda c: np.mean((c @ basis - y) ** 2), [1.0, 1.0], bounds=[(None, 3), (0, None)]
    )
    assert found[0, 0] <= 3
    assert found[0, 1] >= 0
    assert mse[0] <= exact.fun * (1 + 1e-9)
    fixed = np.array([[-np.inf, 5.0]]), np.array([[np.inf, 5.0]])
    found, mse = fit(program, [1.0, 5.0], y, lower=fixed[0], upper=fixed[1])
    assert found[0, 1] == 5.0
    assert found[0, 0] == pytest.approx(np.dot(X[0], y - 5) / np.dot(X[0], X[0]))
    programs = koza_batch(500)
    shape = programs.constants.shape
    bounds = np.full(shape, 0.5), np.full(shape, 1.25)
    constants, _ = fit(
        programs, programs.constants, y, lower=bounds[0], upper=bounds[1], n_starts=3
    )
    assert ((constants >= 0.5) & (constants <= 1.25)).all()


def test_weights_count_as_repetitions() -> None:
    weights = np.random.default_rng(4).integers(0, 4, X.shape[1]).astype(float)
    y = np.sin(X[0]) + 0.3 * X[1]
    repeated = np.repeat(np.arange(len(y)), weights.astype(int))
    program = row("add,mul,const,x1,exp,mul,const,x2")
    one, mse = fit(program, [1.0, 1.0], y, weights=weights)
    other, mse_repeated = fit(program, [1.0, 1.0], y[repeated], X=X[:, repeated].copy())
    np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(mse, mse_repeated, rtol=1e-10)


@pytest.mark.parametrize("n_rows", [20, 600])
def test_a_result_depends_neither_on_threads_nor_on_the_batch(n_rows: int) -> None:
    programs = koza_batch(300)
    data = np.random.default_rng(5).uniform(0.1, 2, (2, n_rows))
    y = data[0] ** 2 - data[1]
    whole = fit(programs, programs.constants, y, X=data, n_starts=2)
    threaded = fit(programs, programs.constants, y, X=data, n_starts=2, n_threads=3)
    order = np.random.default_rng(6).permutation(300)
    shuffled = programs[order]
    parts = [
        fit(shuffled[i : i + 37], shuffled.constants[i : i + 37], y, X=data, n_starts=2)
        for i in range(0, 300, 37)
    ]
    for k in range(2):
        np.testing.assert_array_equal(whole[k], threaded[k])
        np.testing.assert_array_equal(whole[k][order], np.concatenate([part[k] for part in parts]))


HOSTILE = {
    "huge": lambda g, n: g.choice([1e300, -1e300, 1e154, 1.0], n),
    "denormal": lambda g, n: g.choice([5e-324, -1e-310, 1e-300, 0.0], n),
    "zero": lambda g, n: np.zeros(n),
    "constant": lambda g, n: np.full(n, 7.0),
    "mixed": lambda g, n: g.choice([0.0, 1e300, -5e-324, 1.0, -3.5, 1e-8], n),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("n_programs", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_hostile_data_give_numbers_or_an_invalid_program(kind: str, n_programs: int) -> None:
    library = Library(create_tokens(2, [*KOZA, "pow", "sqrt", "n4", "inv", "tan", "const"]))
    generator = np.random.default_rng(7)
    programs = random_programs(library, n_programs, generator)
    data = np.stack([HOSTILE[kind](generator, 30), HOSTILE[kind](generator, 30)])
    for y in (HOSTILE[kind](generator, 30), generator.normal(size=30)):
        constants, mse = fit(programs, programs.constants, y, X=data, library=library)
        assert np.isfinite(constants).all()
        assert not np.isinf(mse).any()
        assert (mse[~np.isnan(mse)] >= 0).all()
        truth = mean_squared_error(library, with_constants(programs, constants), data, y).values
        valid = ~np.isnan(mse)
        np.testing.assert_array_equal(mse[valid], truth[valid])


def test_at_least_as_good_as_scipy() -> None:
    programs = koza_batch(400)
    counts = (programs.tokens == LIBRARY.const_token).sum(axis=1)
    programs = programs[(counts >= 1) & (counts <= 3)][:30]
    counts = (programs.tokens == LIBRARY.const_token).sum(axis=1)
    y = np.sin(5 * X[0]) * X[1] + 0.1
    _, ours = fit(programs, programs.constants, y, n_starts=3)
    theirs = np.full(len(programs), np.inf)
    for b, count in enumerate(counts):

        def loss(constants: np.ndarray, b: int = b) -> float:
            program = with_constants(programs[b : b + 1], constants)
            mse = mean_squared_error(LIBRARY, program, X, y).values[0]
            return mse if np.isfinite(mse) else 1e3

        theirs[b] = minimize(loss, np.ones(count), options={"gtol": 1e-8}, method="L-BFGS-B").fun
    ours = np.where(np.isnan(ours), 1e3, ours)
    assert (ours <= theirs + 1e-6 * y.var()).mean() >= 0.9


def test_bad_arguments_are_refused() -> None:
    program = row("add,const,x1")
    with pytest.raises(ValueError, match="has 1 constants"):
        fit(program, np.empty((1, 0)), X[0])
    with pytest.raises(ValueError, match="y and weights"):
        fit(program, [1.0], X[0, :5])
    with pytest.raises(ValueError, match="no negative"):
        fit(program, [1.0], X[0], weights=-np.ones(100))
    with pytest.raises(ValueError, match="lower and upper"):
        fit(program, [1.0], X[0], lower=np.zeros((2, 2)))
