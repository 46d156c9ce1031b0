"""Programs at their own optimum, and the plainer ones next to them."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import least_squares

from dso.finishing import Finisher
from dso.finishing.phases import with_small_phases
from dso.finishing.steps import plain_steps
from dso.library import Library, create_tokens
from dso.memory import complexity_measure
from dso.prior import make_joint_prior
from dso.program import FitData, Program, ProgramBatch, from_str_tokens, mean_squared_error

NAMES = ["add", "sub", "mul", "div", "sin", "exp", "log", "tanh", "sqrt", "n2", "sign", "pow"]
LIBRARY = Library(create_tokens(3, [*NAMES, "arcsin", "const"]))
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(0.5, 3, (150, 3))
NOISE = 0.05 * RANDOM.standard_normal(150)


def finisher(y: np.ndarray, prior: dict | None = None, **options: object) -> Finisher:
    joint = make_joint_prior(prior or {}, LIBRARY, max_length=30)
    measure = complexity_measure("length", LIBRARY)
    return Finisher(FitData.of_rows(LIBRARY, X, y), joint, measure, **options)  # type: ignore[arg-type]


def batch(*texts: str) -> ProgramBatch:
    return ProgramBatch.concatenate([from_str_tokens(text, LIBRARY).batch for text in texts])


def losses(y: np.ndarray, programs: ProgramBatch) -> np.ndarray:
    return mean_squared_error(LIBRARY, programs, np.ascontiguousarray(X.T), y).values


def best_at(y: np.ndarray, programs: ProgramBatch, length: int) -> float:
    """Return the least loss of those that have at most this many tokens."""
    return float(np.min(losses(y, programs), where=programs.lengths <= length, initial=np.inf))


PLAINER = {
    "constant on the data": (
        "mul,x1,sub,exp,x2,tanh,div,80.0,x1",
        lambda x: x[0] * (np.exp(x[1]) - 1),
        6,
    ),
    "a term that does nothing": ("add,sin,x1,mul,1e-9,exp,x2", lambda x: np.sin(x[0]), 2),
    "a spurious denominator": (
        "div,x1,add,mul,2e-7,x2,mul,0.5,x3",
        lambda x: 2 * x[0] / x[2],
        5,
    ),
    "constants that act together": (
        "mul,2.0,mul,3.0,add,x1,mul,0.5,x2",
        lambda x: 6 * x[0] + 3 * x[1],
        7,
    ),
    "an entry with nearly the same values": (
        "mul,x1,exp,mul,0.5287,n2,arcsin,div,x2,exp,add,x3,1.0",
        lambda x: x[0] / np.sqrt(1 - (x[1] / np.exp(x[2] + 1)) ** 2),
        17,
    ),
    "a scale that is missing": ("sin,x1", lambda x: 2.5 * np.sin(x[0]) + 0.3, 6),
}


@pytest.mark.parametrize("case", PLAINER)
def test_plainer_forms_are_found(case: str) -> None:
    text, law, length = PLAINER[case]
    y = law(X.T)
    found = finisher(y).improved(batch("x1", text))
    assert best_at(y, found, length) < 1e-15 * np.var(y)


@pytest.mark.parametrize(
    "text",
    [
        "mul,1.0,pow,x1,1.0",
        "add,1.0,mul,1.0,sin,mul,1.0,x2",
        "mul,x1,exp,add,mul,0.3,x1,mul,-0.3,x2",
    ],
)
def test_no_fit_from_there_lowers_the_loss(text: str) -> None:
    y = 1.234567 * X[:, 0] ** 1.5 / np.exp(0.345 * X[:, 1]) + NOISE
    settled = finisher(y).settled(batch(text), snap=False)
    program = Program(LIBRARY, settled.row(0), settled.constants[0])

    def errors(constants: np.ndarray) -> np.ndarray:
        return Program(LIBRARY, program.tokens, constants).execute(X) - y

    here = float(np.mean(errors(program.constants) ** 2))
    there = least_squares(errors, program.constants, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert here <= (1 + 1e-6) * np.mean(there.fun**2)


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("mul,2.0,sin,add,mul,2.3,x1,-390.7", -390.7 + 124 * np.pi),
        ("sin,sub,11.0,add,x1,mul,1.7,x2", 11.0 - 4 * np.pi),
        ("sin,add,x1,sub,x2,-7.0", -7.0 + 2 * np.pi),
        ("sin,mul,x1,9.0", 9.0),
        ("sin,add,exp,add,x1,8.0,x2", 8.0),
    ],
)
def test_phases_are_small(text: str, phase: float) -> None:
    program = Program(LIBRARY, batch(text).row(0), batch(text).constants[0])
    y = program.execute(X)
    settled = finisher(y).settled(batch(text), snap=False)
    assert np.abs(settled.constants[0] - phase).min() < 1e-6
    assert losses(y, settled)[0] < 1e-15


def test_a_phase_keeps_its_bounds() -> None:
    program = batch("sin,add,x1,-390.7")
    for low, high, shown in ((-1e3, 0.0, -390.7 + 124 * np.pi), (-1e3, -5.0, -390.7)):
        bounds = np.array([[low]]), np.array([[high]])
        found = with_small_phases(LIBRARY, program, *bounds).constants
        np.testing.assert_allclose(found, [[shown]], rtol=1e-12)


def test_a_step_is_moved_between_two_rows() -> None:
    y = np.where(X[:, 0] > 1.37, 2.0, -1.0)
    found, reached = finisher(y).fitted(batch("add,0.5,mul,1.0,sign,sub,x1,2.0"))
    places = np.sort(X[:, 0])
    below, above = places[places < 1.37].max(), places[places > 1.37].min()
    assert reached[0] < 1e-25
    assert below < found.constants[0, 2] < above


@pytest.mark.parametrize(
    ("text", "column", "place", "is_rising"),
    [
        ("add,0.5,mul,2.5,sign,mul,x1,sub,mul,x1,x1,1.9", 0, 1.9**0.5, True),
        ("sign,mul,x2,sub,1.5,x2", 1, 1.5, False),
    ],
)
def test_a_step_has_a_plain_argument(text: str, column: int, place: float, is_rising: bool) -> None:
    data, program = finisher(X[:, 0]).data, batch(text)
    ((tokens, numbers),) = plain_steps(data, program)
    plain = Program(LIBRARY, tokens, np.array(numbers))
    given = Program(LIBRARY, program.row(0), program.constants[0])
    np.testing.assert_array_equal(plain.execute(X), given.execute(X))
    assert len(plain) < len(given)
    inside = [n for n in numbers if abs(n - place) < 0.3]
    assert len(inside) == 1
    names = [LIBRARY.names[token] for token in tokens]
    wanted = [f"x{column + 1}", "const"] if is_rising else ["const", f"x{column + 1}"]
    assert names[names.index("sign") + 1 :] == ["sub", *wanted]


def test_steps_along_no_single_input_stay() -> None:
    data = finisher(X[:, 0]).data
    assert plain_steps(data, batch("sign,sub,x1,x2")) == []
    assert plain_steps(data, batch("sign,sub,mul,x1,x1,100.0")) == []


def test_priors_and_bounds_hold() -> None:
    y = 1.6 * (X[:, 0] * X[:, 1]) ** 0.4
    one = finisher(y, {"repeat": {"on": True, "tokens": "const", "max_": 1}}, bounds=(0.0, 1.0))
    start = batch("x1", "mul,x1,x2", "pow,mul,x1,x2,0.5")
    found = one.settled(one.improved(start))
    numbers = found.constants[~np.isnan(found.constants)]
    assert len(numbers)
    assert ((numbers >= 0) & (numbers <= 1)).all()
    assert ((found.tokens == LIBRARY.const_token).sum(axis=1) <= 1).all()
    forms = one.simplified(batch("mul,0.9,mul,0.9,mul,x1,add,x2,x2"))
    assert not (forms.constants > 1).any()


def test_two_constants_that_may_be_one_are_one() -> None:
    library = Library(create_tokens(2, ["sub", "mul", "div", "pow", "log", "n2", "const"]))
    random = np.random.default_rng(0)
    n = random.integers(1, 5, (60, 1))
    X = np.column_stack([n, n + random.integers(1, 4, (60, 1))]).astype(float)
    y = 7.3 / (X[:, 0] ** -2.0 - X[:, 1] ** -2.0) * (1 + 0.01 * random.standard_normal(60))
    finisher = Finisher(
        FitData.of_rows(library, X, np.log(y)),
        make_joint_prior({}, library, max_length=30),
        complexity_measure("length", library),
    )
    apart = from_str_tokens("log,div,7.3,sub,div,1.01,n2,x1,div,1.003,n2,x2", library).batch
    forms = finisher.simplified(finisher.fitted(apart)[0])
    shortest = forms[forms.lengths == forms.lengths.min()]
    law = finisher.settled(shortest[:1])
    assert law.lengths[0] == 10
    assert finisher.losses(law)[0] < 2e-4
    values = np.exp(Program(library, law.row(0), law.constants[0]).execute(X))
    assert np.ptp(values * (X[:, 0] ** -2.0 - X[:, 1] ** -2.0)) < 1e-9


def test_what_was_looked_at_is_not_looked_at_again() -> None:
    y = np.sin(X[:, 0]) + NOISE
    one = finisher(y)
    front = one.front(one.improved(batch("x1", "add,x1,mul,-0.5,x2")))
    n_before = one.n_looked_at
    one.improved(front)
    assert one.n_looked_at == n_before
    other = finisher(y)
    other.load_state_dict(one.state_dict())
    other.improved(front)
    assert other.n_looked_at == 0


def test_shown_constants_are_plain_where_that_is_evident() -> None:
    y = 3 * X[:, 0] + 2 * X[:, 1] ** 2 + NOISE
    one, start = finisher(y), batch("add,mul,3.0015,x1,mul,2.0002,n2,x2")
    np.testing.assert_array_equal(one.settled(start).constants[0], [3, 2])
    exact = one.settled(start, snap=False).constants[0]
    assert (exact != [3, 2]).all()
    np.testing.assert_allclose(exact, [3, 2], rtol=0.02)


def test_noise_makes_no_plain_numbers() -> None:
    law: Callable[[np.ndarray], np.ndarray] = lambda x: 3.1 * x[0] + 2.07 * x[1]  # noqa: E731
    y = law(X.T) + NOISE
    settled = finisher(y).settled(batch("add,mul,3.0,x1,mul,2.0,x2"))
    np.testing.assert_allclose(settled.constants[0], [3.1, 2.07], rtol=0.01)
    assert not np.isin(settled.constants[0], [3, 2, 3.5, 2.5]).any()
