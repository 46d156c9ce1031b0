"""The search: what it reports is true on fresh rows, obeys the priors, and costs what it may."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dso.config import load_config
from dso.library import Library, create_tokens
from dso.prior import JointPrior, make_joint_prior
from dso.program import FitData, ProgramBatch, execute
from dso.semantic import SemanticLimits, SemanticSearch, ValueLibrary
from dso.semantic.target import significant_digits
from tests.support.function_sets import KOZA

LIMITS = SemanticLimits(max_entries=20_000, max_lookups=2_000_000, max_seconds=20)
FRESH = 500


def usual_prior(library: Library) -> JointPrior:
    section = load_config("config_regression.json")["prior"]
    return make_joint_prior(section, library, max_length=64)


def search(
    X: np.ndarray, y: np.ndarray, names: list | None = None, limits: SemanticLimits = LIMITS
) -> tuple[SemanticSearch, Library]:
    library = Library(create_tokens(X.shape[1], names or KOZA))
    return SemanticSearch(
        usual_prior(library), FitData.of_rows(library, X, y), limits=limits
    ), library


def fresh_nmse(library: Library, programs: ProgramBatch, X: np.ndarray, y: np.ndarray) -> float:
    values, cause, _ = execute(library, programs[:1], np.ascontiguousarray(X.T))
    return float(np.mean((values[0] - y) ** 2) / np.var(y)) if cause[0] == 0 else np.inf


TARGETS = {
    "Nguyen-4": (1, lambda x: x**6 + x**5 + x**4 + x**3 + x**2 + x),
    "Nguyen-12": (2, lambda x, z: x**4 - x**3 + z**2 / 2 - z),
    "Livermore-7": (1, np.sinh),
    "R3": (1, lambda x: (x**6 + x**5) / (x**4 + x**3 + x**2 + x + 1)),
}


@pytest.mark.parametrize(("n_inputs", "target"), TARGETS.values(), ids=TARGETS)
def test_what_sampling_hardly_finds_is_solved_for(n_inputs: int, target) -> None:
    generator = np.random.default_rng(0)
    X, fresh = (generator.uniform(0, 1, (n, n_inputs)) for n in (20, FRESH))
    solver, library = search(X, target(*X.T))
    result = solver.run()
    assert result.is_exact[0]
    assert result.stopped_by == "exact"
    assert fresh_nmse(library, result.programs, fresh, target(*fresh.T)) < 1e-12
    assert usual_prior(library).allowed(result.programs).all()
    assert result.n_evaluations == result.n_vectors + result.n_lookups
    assert result.n_vectors >= 20_000


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
@example(109, 1)
def test_every_hit_is_true_on_fresh_rows(seed: int, n_inputs: int) -> None:
    generator = np.random.default_rng(seed)
    X = generator.uniform(0.2, 2, (30, n_inputs))
    fresh = generator.uniform(0.2, 2, (FRESH, n_inputs))
    library = Library(create_tokens(n_inputs, KOZA))
    small = ValueLibrary(
        library, usual_prior(library), np.ascontiguousarray(X.T), np.arange(4), max_entries=2000
    )
    pair = small.programs(generator.integers(0, 2000, 2))
    whole = [library.index("add"), *pair.row(0).tolist(), *pair.row(1).tolist()]
    program = ProgramBatch.from_rows([whole])
    both = [execute(library, program, np.ascontiguousarray(P.T)) for P in (X, fresh)]
    if any(outcome.cause[0] for outcome in both) or np.ptp(both[0].values) < 1e-6:
        return
    result = SemanticSearch(
        usual_prior(library), FitData.of_rows(library, X, both[0].values[0]), limits=LIMITS
    ).run()
    exact = result.programs[result.is_exact]
    assert len(exact)
    assert usual_prior(library).allowed(exact).all()
    values = execute(library, exact, np.ascontiguousarray(fresh.T)).values
    scale = np.abs(both[1].values).max()
    is_finite = np.isfinite(values)  # log(a exp(b)) is a true spelling that may overflow at a pole
    assert is_finite.mean() > 0.99
    assert np.abs(values - both[1].values)[is_finite].max() < 1e-6 * scale


def test_the_same_seed_gives_the_same_result() -> None:
    X = np.random.default_rng(3).uniform(0.2, 2, (600, 2))
    y = X[:, 0] * np.exp(X[:, 1]) - X[:, 1] / X[:, 0]
    results = [search(X, y)[0].run() for _ in range(2)]
    np.testing.assert_array_equal(results[0].programs.tokens, results[1].programs.tokens)
    assert results[0].n_evaluations == results[1].n_evaluations


FITTED = {
    "scale": (2, lambda x, z: 6.674 * x / z**2),
    "inner": (2, lambda x, z: 3.1 * np.exp(-0.7 * x) * np.cos(z)),
    "pair": (3, lambda x, z, w: 1.7 * x * np.sin(z) + 0.8 * w**2 - 0.5),
    "power": (1, lambda x: 2.3 * x**1.7),
}


@pytest.mark.parametrize(("n_inputs", "target"), FITTED.values(), ids=FITTED)
def test_constants_of_any_value_are_found(n_inputs: int, target) -> None:
    generator = np.random.default_rng(1)
    X, fresh = (generator.uniform(0.5, 3, (n, n_inputs)) for n in (60, FRESH))
    solver, library = search(X, target(*X.T), [*KOZA, "const"])
    result = solver.run()
    assert result.is_exact[0]
    assert fresh_nmse(library, result.programs, fresh, target(*fresh.T)) < 1e-12
    assert usual_prior(library).allowed(result.programs).all()


def test_with_noise_there_is_a_front_and_nothing_exact() -> None:
    generator = np.random.default_rng(2)
    X, fresh = (generator.uniform(0.5, 3, (n, 3)) for n in (100, FRESH))
    _, target = FITTED["pair"]
    y = target(*X.T)
    y += 0.05 * y.std() * generator.normal(size=len(y))
    solver, library = search(X, y, [*KOZA, "const"])
    result = solver.run()
    assert not result.is_exact.any()
    assert len(result.programs) > 10
    assert fresh_nmse(library, result.programs, fresh, target(*fresh.T)) < 5e-3
    assert usual_prior(library).allowed(result.programs).all()


def test_a_reciprocal_sum_with_one_factor_is_found_in_spite_of_noise() -> None:
    generator = np.random.default_rng(3)
    X, fresh = (generator.uniform(1, 4, (n, 2)) for n in (100, FRESH))

    def target(x: np.ndarray, z: np.ndarray) -> np.ndarray:
        return 3.7 / (1 / x + 1 / z**2)

    y = target(*X.T) * (1 + 0.01 * generator.normal(size=100))
    solver, library = search(X, y, [*KOZA, "const"])
    programs = solver.run().programs
    n_numbers = (~np.isnan(programs.constants)).sum(axis=1)
    few = programs[np.flatnonzero(n_numbers == 1)]
    assert fresh_nmse(library, few, fresh, target(*fresh.T)) < 1e-4


NEAR = {
    "Nguyen-9": lambda x, z: np.sin(x) + np.sin(z**2),
    "negative": lambda x, z: np.exp(-x * z) - x,
    "quotient": lambda x, z: (x + np.log(z)) / (x + z),
    "inside": lambda x, z: np.exp(np.sin(x) + z),
}


@pytest.mark.parametrize("target", NEAR.values(), ids=NEAR)
def test_without_constants_the_form_is_near_in_spite_of_noise(target) -> None:
    generator = np.random.default_rng(2)
    X, fresh = (generator.uniform(0.5, 3, (n, 2)) for n in (40, FRESH))
    y = target(*X.T)
    y += 0.01 * y.std() * generator.normal(size=len(y))
    limits = SemanticLimits(max_entries=20_000, max_lookups=1000)
    solver, library = search(X, y, limits=limits)
    result = solver.run()
    assert not result.is_exact.any()
    assert len(result.programs) == limits.max_programs
    assert usual_prior(library).allowed(result.programs).all()
    assert fresh_nmse(library, result.programs, fresh, target(*fresh.T)) < 1e-20


def test_what_comes_near_costs_no_more_than_is_left() -> None:
    generator = np.random.default_rng(6)
    X, y = generator.uniform(0.5, 3, (40, 2)), generator.normal(size=40)
    for n in (10, 100, 5000, 300_000):
        result = search(X, y, limits=SemanticLimits(max_evaluations=n))[0].run()
        assert result.n_evaluations <= 1.1 * n + 300
        assert len(result.programs) or n < 300_000


def hostile() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(4)
    X = generator.normal(size=(100, 2))
    noise = generator.normal(size=100)
    return {
        "constant": (X, np.full(100, 3.7)),
        "zero": (X, np.zeros(100)),
        "noise": (X, noise),
        "few rows": (X[:10], noise[:10]),
        "one row": (X[:1], noise[:1]),
        "duplicate columns": (X[:, [0, 0, 1, 1]], noise),
        "all negative": (-np.abs(X), noise),
        "huge": (X * 1e300, noise * 1e300),
        "tiny": (X * 1e-300, noise * 1e-300),
        "constant input": (np.ones((100, 2)), noise),
        "zero input": (np.zeros((100, 2)), noise),
        "50 inputs": (generator.normal(size=(100, 50)), noise),
        "rounded noise": (X, np.round(noise, 2)),
        "many rows": (generator.normal(size=(100_000, 2)), generator.normal(size=100_000)),
    }


@pytest.mark.parametrize("limit", [{"max_entries": 60_000}, {"max_bytes": 12_000_000}])
def test_the_last_library_has_all_lookups_that_are_left(limit: dict) -> None:
    X = np.random.default_rng(0).uniform(0.5, 2, (40, 2))
    y = np.random.default_rng(1).normal(size=40)
    limits = SemanticLimits(**limit, max_lookups=4_000_000)
    result = search(X, y, limits=limits)[0].run()
    assert 4_000_000 <= result.n_lookups < 4_100_000
    assert result.n_bytes > 60_000 * 64


def test_memory_is_as_asked_for() -> None:
    X = np.random.default_rng(0).uniform(0.5, 2, (40, 2))
    y = np.random.default_rng(1).normal(size=40)

    def n_bytes(**limits) -> int:
        limits = {"max_entries": 200_000, "max_lookups": 1000, **limits}
        return search(X, y, limits=SemanticLimits(**limits))[0].run().n_bytes

    assert 3_000_000 > n_bytes(max_bytes=3_000_000) > 1_500_000
    assert n_bytes() > 10_000_000
    assert n_bytes(max_bytes=1) == 0


@pytest.mark.parametrize("name", list(hostile()))
@pytest.mark.parametrize("with_const", [False, True], ids=["plain", "const"])
def test_hostile_data_cost_no_more_and_nothing_is_exact_by_chance(
    name: str, with_const: bool
) -> None:
    X, y = hostile()[name]
    limits = SemanticLimits(max_entries=5000, max_lookups=200_000, max_evaluations=1_000_000)
    solver, library = search(X, y, [*KOZA, "const"] if with_const else KOZA, limits)
    result = solver.run()
    assert not result.is_exact.any()
    assert result.n_evaluations < 1.1 * limits.max_evaluations
    assert result.n_lookups < 1.1 * limits.max_lookups
    assert result.n_bytes < 5000 * 150
    assert usual_prior(library).allowed(result.programs).all()


def test_negative_inputs_reach_the_logarithm() -> None:
    X = -np.random.default_rng(5).uniform(0.5, 3, (30, 1))
    result = search(X, np.log(-X[:, 0]) * X[:, 0])[0].run()
    assert result.is_exact[0]


def test_digits_are_counted() -> None:
    y = np.random.default_rng(6).normal(size=50)
    assert significant_digits(y) == 13
    assert significant_digits(np.array([float(f"{v:.5e}") for v in y])) == 6
    assert significant_digits(np.round(10 * y)) == 13


def test_few_digits_are_enough_and_are_all_that_is_claimed() -> None:
    generator = np.random.default_rng(7)
    X = generator.uniform(0.5, 2, (60, 2))
    exact = X[:, 0] ** 3 * np.sin(X[:, 1]) + X[:, 1]
    y = np.array([float(f"{v:.7e}") for v in exact])
    result = search(X, y)[0].run()
    assert result.is_exact[0]
    assert result.nmse[0] > 1e-20


def test_a_priors_length_limit_holds_for_what_is_found() -> None:
    library = Library(create_tokens(1, KOZA))
    section = {"length": {"on": True, "min_": 4, "max_": 9}}
    prior = make_joint_prior(section, library, max_length=64)
    X = np.random.default_rng(8).uniform(0.2, 1, (20, 1))
    x = X[:, 0]
    result = SemanticSearch(
        prior, FitData.of_rows(library, X, x**3 + x**2 + x), limits=LIMITS
    ).run()
    assert result.is_exact[0]
    assert result.programs.lengths.max() <= 9
    too_long = SemanticSearch(
        prior, FitData.of_rows(library, X, np.sinh(x) + x**4 + x), limits=LIMITS
    ).run()
    assert not too_long.is_exact.any()
    assert too_long.programs.lengths.max() <= 9
