"""Rounds of searches for smaller problems alongside the search for y."""

from collections.abc import Callable

import numpy as np
import pytest

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.program import ProgramBatch, execute
from dso.reduction import Race

FUNCTIONS = ["add", "sub", "mul", "div", "sin", "const"]
LIBRARY = Library(create_tokens(3, FUNCTIONS))
X = np.random.default_rng(0).uniform(1.0, 3.0, (120, 3))
Y = X[:, 0] * np.sin(X[:, 1] - X[:, 2])


class Scripted:
    """A search that finds sin(x1) in its tenth iteration; each costs seven evaluations."""

    N_NEEDED = 10

    def __init__(self, n_inputs: int) -> None:
        self.library = Library(create_tokens(n_inputs, FUNCTIONS))
        self.iteration = 0

    @property
    def n_evaluations(self) -> int:
        return 7 * self.iteration

    @property
    def is_over(self) -> bool:
        return self.has_succeeded

    @property
    def has_succeeded(self) -> bool:
        return self.iteration >= self.N_NEEDED

    def step(self) -> None:
        assert not self.is_over
        self.iteration += 1

    def front(self) -> ProgramBatch:
        text = "sin,x1" if self.has_succeeded else "x1"
        return ProgramBatch.from_rows([self.library.actionize(text).tolist()])


def _race(made: list[Scripted] | None = None, n_samples: int = 10**7) -> Race:
    def make_search(Z: np.ndarray, t: np.ndarray, weights: object, budget: int) -> Scripted:
        assert len(Z) == len(t)
        assert budget == n_samples
        search = Scripted(Z.shape[1])
        if made is not None:
            made.append(search)
        return search

    return Race(X, Y, None, ["a", "b", "c"], LIBRARY, make_search, 4, n_samples, 0)


def _never(n_evaluations: int) -> bool:
    return False


def test_rounds_come_at_powers_of_three() -> None:
    race = _race()
    assert [k for k in range(120) if race.is_due(k)] == [4, 12, 36, 108]


def test_what_a_search_finds_is_put_back_into_terms_of_the_inputs() -> None:
    race = _race()
    programs, spent = race.run(4, _never)
    assert race.found is not None
    models = race.found.n_evaluations
    n_entrants = len(race.entrants)
    assert spent == models + 28 * n_entrants
    programs, spent = race.run(12, _never)
    # One of them goes on, and is done after ten iterations.
    assert spent == 6 * 7
    values, _, _ = execute(LIBRARY, programs, np.ascontiguousarray(X.T))
    np.testing.assert_allclose(values[-1], Y)
    assert race.n_evaluations == models + 28 * n_entrants + 42


def test_a_race_that_is_made_again_does_what_the_first_would_have_done() -> None:
    first, again = _race(), _race()
    first.run(4, _never)
    programs, spent = first.run(12, _never)
    same, same_spent = again.run(12, _never)
    np.testing.assert_array_equal(programs.tokens, same.tokens)
    assert spent == same_spent


def test_a_round_ends_when_it_is_told_to() -> None:
    made: list[Scripted] = []
    race = _race(made)
    race.run(4, lambda spent: spent > 0)
    assert [search.iteration for search in made] == [1] + [0] * (len(made) - 1)


def test_without_reductions_there_are_no_further_rounds() -> None:
    race = _race(n_samples=1000)  # too few for a model
    programs, spent = race.run(4, _never)
    assert not len(programs)
    assert spent == 0
    assert not race.is_due(12)


def test_units_put_aside_the_problem_as_it_is_enters_too() -> None:
    made: list[Scripted] = []
    race = _race(made)
    race.are_units_aside = True
    race.run(4, _never)
    assert len(made[-1].library.input_tokens) == 3
    # Where the data say nothing it is the only one.
    race = _race(made := [], n_samples=1000)
    race.are_units_aside = True
    programs, spent = race.run(4, _never)
    assert [search.iteration for search in made] == [4]
    assert spent == 28
    assert len(programs)
    assert race.is_due(12)


def test_a_problem_that_no_search_takes_is_passed_over() -> None:
    def refuse(*arguments: object) -> Scripted:
        raise UserError("no")

    race = _race()
    race.make_search = refuse
    programs, _ = race.run(4, _never)
    assert not len(programs)
    assert not race.is_due(12)


@pytest.mark.parametrize("translate", [lambda programs: programs[:0]])
def test_programs_are_translated_for_the_whole_search(translate: Callable) -> None:
    race = _race()
    race.translate = translate
    programs, _ = race.run(4, _never)
    assert not len(programs)
