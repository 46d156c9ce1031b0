"""Two searches by turns."""

import numpy as np

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.program import ProgramBatch, execute
from dso.reduction import Race, Reduction, Separation
from dso.reduction.polynomial import Polynomial
from dso.reduction.turns import Turns, _rounded

FUNCTIONS = ["add", "sub", "mul", "div", "sin", "exp", "const"]
WHOLE = Library(create_tokens(3, FUNCTIONS))
X = np.random.default_rng(0).uniform(1.0, 3.0, (300, 3))
Y = np.sin(X[:, 0] * X[:, 1]) * np.exp(X[:, 2])
PIECES = Separation(Reduction.none(["a", "b", "c"]), True, ((0, 1), (2,)))
TEXTS = {2: "sin,mul,x1,x2", 1: "exp,x1"}


class Scripted:
    """A search that finds its piece in its second iteration; each costs ten evaluations."""

    def __init__(self, Z: np.ndarray, t: np.ndarray) -> None:
        self.n_inputs, self.t = Z.shape[1], t
        self.library = Library(create_tokens(self.n_inputs, FUNCTIONS))
        piece = np.sin(Z[:, 0] * Z[:, 1]) if self.n_inputs == 2 else np.exp(Z[:, 0])
        self.factor = np.median(t / piece)
        self.iteration = 0

    @property
    def n_evaluations(self) -> int:
        return 10 * self.iteration

    @property
    def has_succeeded(self) -> bool:
        return self.iteration == 2

    @property
    def is_over(self) -> bool:
        return self.has_succeeded

    def step(self) -> None:
        assert not self.is_over
        self.iteration += 1

    def front(self) -> ProgramBatch:
        return self.programs(is_found=self.has_succeeded)

    def programs(self, is_found: bool) -> ProgramBatch:
        texts = ["x1", f"mul,const,{TEXTS[self.n_inputs]}"] if is_found else ["x1"]
        programs = ProgramBatch.from_rows([self.library.actionize(t).tolist() for t in texts])
        numbers = np.full((len(texts), 1), np.nan)
        numbers[1:] = self.factor
        return ProgramBatch(programs.tokens, programs.lengths, numbers)


class Slow(Scripted):
    """Does not know that it has succeeded."""

    has_succeeded = False

    def front(self) -> ProgramBatch:
        return self.programs(is_found=self.iteration >= 2)


class Blind(Scripted):
    """Finds nothing but a constant."""

    has_succeeded = False

    def front(self) -> ProgramBatch:
        return ProgramBatch.from_rows([])


def _turns(kind: type[Scripted] = Scripted, made: list | None = None) -> Turns:
    def make(Z: np.ndarray, t: np.ndarray, is_usable: np.ndarray) -> Scripted:
        search = kind(Z[is_usable], t[is_usable])
        if made is not None:
            made.append(search)
        return search

    return Turns(PIECES, X, Y, make, 3)


def _values(programs: ProgramBatch) -> np.ndarray:
    return execute(WHOLE, programs, np.ascontiguousarray(X.T)).values


def test_both_pieces_are_found_and_put_together() -> None:
    made: list[Scripted] = []
    turns = _turns(made=made)
    assert not len(turns.put_back(WHOLE))
    while not turns.is_over:
        turns.step()
    assert turns.has_succeeded
    assert [search.n_inputs for search in made] == [2, 1]
    # What the first one sees is the larger piece, up to a factor and what the polynomial errs by;
    ratio = made[0].t / np.sin(X[:, 0] * X[:, 1])
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-3)
    # in digits that hold;
    assert all(float(f"{value:.8e}") == value for value in made[0].t)
    # the second one sees exactly the other piece.
    ratio = made[1].t / np.exp(X[:, 2])
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-9)
    values = _values(turns.put_back(WHOLE))
    np.testing.assert_allclose(values[-1], Y, rtol=1e-9)
    assert turns.n_evaluations == 40


def test_a_piece_catches_up_when_both_have_had_as_many_iterations() -> None:
    turns = _turns()
    counts = []
    while not turns.is_over:
        turns.step()
        counts.append(turns.iteration)
    assert counts == [0, 0, 1, 2]


def test_pieces_take_turns() -> None:
    made: list[Scripted] = []
    turns = _turns(Slow, made)
    while not turns.is_over:
        turns.step()
    assert [search.n_inputs for search in made] == [2, 1, 2, 1, 2, 1]
    assert turns.iteration == 9
    assert turns.n_evaluations == 180
    # From the second turn on all are exact, and their fronts are put back.
    ratio = made[2].t / np.sin(X[:, 0] * X[:, 1])
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-9)
    values = _values(turns.put_back(WHOLE))
    # Of each front a wrong row and the right one, which is there in its shortest form too.
    is_right = np.isclose(values, Y, rtol=1e-9).all(axis=1)
    assert is_right.tolist() == [False, True, True] * 5


def test_without_a_first_piece_there_is_no_second() -> None:
    turns = _turns(Blind)
    for _ in range(4):
        turns.step()
    assert turns.is_over
    assert not turns.has_succeeded
    assert not len(turns.put_back(WHOLE))


def test_a_piece_that_no_search_takes_ends_the_turns() -> None:
    def make(Z: np.ndarray, t: np.ndarray, is_usable: np.ndarray) -> Scripted:
        if Z.shape[1] == 1:
            raise UserError("no")
        return Scripted(Z, t)

    turns = Turns(PIECES, X, Y, make, 3)
    while not turns.is_over:
        turns.step()
    assert not turns.has_succeeded
    assert turns.n_evaluations == 20


def test_pieces_take_part_in_a_race() -> None:
    def make_search(Z: np.ndarray, t: np.ndarray, weights: object, budget: int) -> Scripted:
        assert len(Z) == len(t)
        return Scripted(Z, t)

    y = np.tanh(X[:, 0] * X[:, 1]) * np.exp(X[:, 2]) / X[:, 2]
    race = Race(X, y, None, ["a", "b", "c"], WHOLE, make_search, 4, 10**7, 0)
    programs, spent = race.run(4, lambda n_evaluations: False)
    assert race.found is not None
    assert race.found.separation is not None
    assert spent > race.found.n_evaluations
    assert any(isinstance(entrant.search, Turns) for entrant in race.entrants)
    assert len(programs)


def test_targets_have_the_digits_that_hold() -> None:
    t = np.array([123.456789, -0.0123456789, 2.0])
    rounded, error = _rounded(t, 1e-5, is_relative=True)
    np.testing.assert_array_equal(rounded, [123.5, -0.01235, 2.0])
    assert error == 1e-3
    rounded, _ = _rounded(t, 1e-6, is_relative=False)
    np.testing.assert_array_equal(rounded, [123.46, -0.01, 2.0])
    np.testing.assert_array_equal(_rounded(t, 1e-12, is_relative=True)[0], t)


class OfCoefficient(Scripted):
    """Finds which of three coefficients its target is, in its second iteration."""

    COEFFICIENTS = ("sin,x1", "exp,x2", "mul,x1,x2")

    def __init__(self, Z: np.ndarray, t: np.ndarray) -> None:
        self.library = Library(create_tokens(2, FUNCTIONS))
        self.Z, self.t, self.iteration = Z, t, 0

    def programs(self, is_found: bool) -> ProgramBatch:
        rows = [self.library.actionize(text).tolist() for text in self.COEFFICIENTS]
        programs = ProgramBatch.from_rows(rows)
        values = execute(self.library, programs, np.ascontiguousarray(self.Z.T)).values
        best = np.argmin(((values - self.t) ** 2).mean(axis=1))
        return programs[[best]] if is_found else ProgramBatch.from_rows([])


def test_three_coefficients_are_found_one_after_the_other() -> None:
    x = np.random.default_rng(0).uniform(1.0, 3.0, (600, 3))
    a, b, c = x.T
    y = np.sin(b) + a * np.exp(c) + a**2 * b * c
    pieces = Polynomial(0, 1.0, 2).separation(Reduction.none(["a", "b", "c"]))
    made: list[OfCoefficient] = []

    def make(Z: np.ndarray, t: np.ndarray, is_usable: np.ndarray) -> OfCoefficient:
        made.append(OfCoefficient(Z[is_usable], t[is_usable]))
        return made[-1]

    turns = Turns(pieces, x, y, make, 3)
    while not turns.is_over:
        assert not len(turns.put_back(WHOLE)) or len(made) == 3
        turns.step()
    assert turns.has_succeeded
    wanted = [np.sin(b), np.exp(c), b * c]
    misses = [float(np.abs(search.t - one).max()) for search, one in zip(made, wanted, strict=True)]
    assert misses[0] > misses[2]
    assert misses[2] < 1e-10
    values = execute(WHOLE, turns.put_back(WHOLE), np.ascontiguousarray(x.T)).values
    np.testing.assert_allclose(values[-1], y, rtol=1e-9)
