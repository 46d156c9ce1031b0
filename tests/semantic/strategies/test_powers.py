"""Power laws: no factor of that kind changes a key, and what is a power law of entries is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.prior import make_joint_prior
from dso.program import FitData, execute
from dso.semantic import SemanticLimits, SemanticSearch
from dso.semantic.budget import Budget
from dso.semantic.strategies.powers import Logarithms, PowerSearch, found_laws
from dso.semantic.target import Target

NAMES = ["add", "sub", "mul", "div", "sqrt", "exp", "log", "sin", "const"]


def rows_of(X: np.ndarray) -> Logarithms:
    library = Library(create_tokens(X.shape[1], NAMES))
    rows = Logarithms.of(Target.of(FitData.of_rows(library, X, X[:, 0] + 1), 0), 8)
    assert rows is not None
    return rows


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_no_power_law_changes_a_key(seed: int, n_inputs: int) -> None:
    generator = np.random.default_rng(seed)
    rows = rows_of(generator.uniform(0.3, 4, (50, n_inputs)) * generator.choice([-1, 1], n_inputs))
    values = generator.uniform(0.2, 3, (6, len(rows.y)))
    k, p = generator.uniform(-3, 3), generator.uniform(-3, 3, n_inputs)
    law = k * np.prod(np.abs(rows.X) ** p[:, None], axis=0)
    np.testing.assert_allclose(rows.keys(law * values), rows.keys(values), atol=1e-9)
    np.testing.assert_allclose(rows.exponents(law), [np.log(np.abs(k)), *p], atol=1e-9)
    assert np.abs(rows.keys(law)).max() < 1e-9 < np.abs(rows.keys(values)).max()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_laws_are_those_of_a_loop(seed: int) -> None:
    generator = np.random.default_rng(seed)
    keys = generator.integers(-3, 4, (12, 3)).astype(float)
    wanted = generator.integers(-4, 5, (5, 3)).astype(float)
    n_partners = generator.integers(0, 2, 5)
    budget = Budget.of(SemanticLimits())
    found = list(found_laws(keys, wanted, 0.1, n_partners, budget))
    laws = {(c, frozenset(factors)) for c, factors in found}
    assert len(laws) == len(found)
    signed = [(i, power) for i in range(12) for power in (1, -1) if keys[i].any()]
    slow = {(c, frozenset()) for c in range(5) if not wanted[c].any()}
    for c in range(5):
        for one in signed:
            rest = wanted[c] - one[1] * keys[one[0]]
            if not rest.any():
                slow.add((c, frozenset([one])))
            others = signed if n_partners[c] == 0 else []
            for other in others:
                if other != one and not (rest - other[1] * keys[other[0]]).any():
                    slow.add((c, frozenset([one, other])))
    assert laws == slow


TARGETS = {
    "a power law": (5, lambda m, q, h, n, e: -m * q**4 / (8 * e**2 * h**2 * n**2)),
    "any exponent": (2, lambda a, b: 0.31 * a**1.37 / b**0.5),
    "one entry": (4, lambda a, b, c, d: 2.2 * a**3 * np.sqrt(c) * (a - b) / d**2),
    "two entries": (4, lambda a, b, c, d: -a * b * (c + d) / (np.exp(a) + b)),
    "in a function": (3, lambda a, b, c: np.exp(0.16 * a * b / c) - 1),
}


@pytest.mark.parametrize(("n_inputs", "target"), TARGETS.values(), ids=TARGETS)
def test_power_laws_are_seen_through(n_inputs: int, target) -> None:
    generator = np.random.default_rng(2)
    X, fresh = (generator.uniform(0.5, 3, (n, n_inputs)) for n in (80, 300))
    library = Library(create_tokens(n_inputs, NAMES))
    result = SemanticSearch(
        make_joint_prior({"const": {"on": True}}, library, max_length=40),
        FitData.of_rows(library, X, target(*X.T)),
        limits=SemanticLimits(max_entries=5000),
        strategies=(PowerSearch,),
    ).run()
    assert result.is_exact[0]
    assert result.n_lookups > 0
    values, cause, _ = execute(library, result.programs[:1], np.ascontiguousarray(fresh.T))
    assert cause[0] == 0
    np.testing.assert_allclose(values[0], target(*fresh.T), rtol=1e-8)
