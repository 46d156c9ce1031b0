"""A search in parts: all of them together do what the whole does, each thing once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.part import Part
from dso.prior import make_joint_prior
from dso.program import FitData
from dso.semantic import SemanticLimits, SemanticSearch
from dso.semantic.strategies import Strategy, Turn

SET = ["add", "sub", "mul", "div", "sin", "exp", "log", "const"]
TARGETS = {
    "entries": lambda x, z: x * np.sin(z) + x,
    "number in front": lambda x, z: 1.37 * x * np.exp(z),
    "curve": lambda x, z: 0.83 * x * np.sin(2.71 * z),
    "line": lambda x, z: 1.7 + 0.31 * x * np.sin(x) - 2.3 * np.log(z),
}


def search(y, part: Part, *, names=SET, max_lookups: int = 200_000) -> SemanticSearch:
    X = np.random.default_rng(0).uniform(0.3, 2, (60, 2))
    library = Library(create_tokens(2, names))
    return SemanticSearch(
        make_joint_prior({}, library, max_length=30),
        FitData.of_rows(library, X, y(*X.T)),
        limits=SemanticLimits(max_entries=2000, max_lookups=max_lookups, max_vectors=300_000),
        part=part,
    )


@given(st.integers(1, 9), st.integers(0, 50))
def test_parts_are_the_whole(n: int, total: int) -> None:
    parts = [Part(k, n) for k in range(n)]
    things = list(range(total))
    assert sorted(thing for part in parts for thing in part.of(things)) == things
    shares = [part.share(total) for part in parts]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("n", [2, 3, 11])
@pytest.mark.parametrize("turns", [(Turn.EACH, Turn.FIRST), (Turn.EACH, Turn.LATER), (Turn.LAST,)])
def test_what_cannot_be_divided_is_done_in_one_part(n: int, turns: tuple[Turn, ...]) -> None:
    names = SET[:-1] if Turn.LAST in turns else SET  # without `const` there is one at the end

    def due(part: Part) -> list[type[Strategy]]:
        solver = search(TARGETS["entries"], part, names=names)
        return [type(one) for one in solver._of_this_part(turns)]

    parts = [due(Part(k, n)) for k in range(n)]
    assert due(Part())
    for strategy in due(Part()):
        n_parts = sum(strategy in part for part in parts)
        assert n_parts == (n if strategy.divides else 1)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_one_part_finds_what_the_whole_finds(target) -> None:
    assert search(target, Part()).run().is_exact.any()
    assert any(search(target, Part(k, 3)).run().is_exact.any() for k in range(3))


def test_parts_that_find_nothing_share_what_may_be_spent() -> None:
    noise = np.random.default_rng(1).normal(size=60)

    def target(x, z):
        return x + 0.1 * noise

    whole = search(target, Part(), max_lookups=90_000).run()
    parts = [search(target, Part(k, 3), max_lookups=30_000).run() for k in range(3)]
    n_lookups = sum(part.n_lookups for part in parts)
    assert n_lookups <= 1.3 * whole.n_lookups
    assert min(part.nmse[0] for part in parts) <= 1.01 * whole.nmse[0]
