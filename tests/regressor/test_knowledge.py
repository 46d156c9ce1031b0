"""What is known of the answer beyond the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso import DeepSymbolicRegressor
from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.program import ProgramBatch, from_str_tokens
from dso.program.intervals import enclosure
from dso.regressor.knowledge import Bounds, Convex, Monotone, Statement, Value
from dso.task.regression.knowledge import COARSE, FINE, Knowledge, read_statements

FUNCTIONS = ["add", "sub", "mul", "div", "n2", "n3", "abs", "neg", "exp", "log", "sqrt", "sin"]
LIBRARY = Library(create_tokens(2, [*FUNCTIONS, "tanh", "max", "inv", 0.5]))
RANGES = np.array([[0.0, 2.0], [-1.0, 1.0]])
NAMES = ["a", "b"]


@st.composite
def rows(draw: st.DrawFn) -> list[str]:
    """Return a program in prefix order."""
    names, n_open = [], 1
    while n_open:
        room = 9 - len(names) - n_open
        allowed = [n for n, a in zip(LIBRARY.names, LIBRARY.arities, strict=True) if a <= room]
        names.append(draw(st.sampled_from(allowed or ["x1", "x2"])))
        n_open += int(LIBRARY.arities[LIBRARY.names.index(names[-1])]) - 1
    return names


@given(rows(), st.tuples(st.floats(-3, 3), st.floats(0, 2)), st.floats(0, 1), st.floats(0, 1))
def test_no_value_lies_outside_the_interval(
    names: list[str], side: tuple[float, float], s: float, t: float
) -> None:
    program = from_str_tokens(",".join(names), LIBRARY)
    box = [(side[0], side[0] + side[1]), (-1.0, 1.0)]
    low, high = enclosure(program.traversal, box)
    point = [[a + w * (b - a) for (a, b), w in zip(box, (s, t), strict=True)]]
    value = float(program.execute(np.array(point))[0])
    assert not np.isfinite(value) or low <= value <= high


@pytest.mark.parametrize(
    ("tokens", "statement", "wanted"),
    [
        ("n2,x2", Bounds(low=0), "proved"),
        ("exp,x1", Bounds(0.9, 8), "proved"),
        ("tanh,sqrt,x2", Bounds(-1, 1), "broken"),  # not defined below 0
        ("sub,x1,x1", Bounds(-1, 1), "holds"),  # intervals do not see that it is 0
        ("sin,x2", Bounds(high=0.5), "broken"),
        ("sin,x2", Bounds(high=0.5, box={"b": (-1, 0.4)}), "holds"),
        ("log,x1", Bounds(high=5), "broken"),  # not defined at 0
        ("exp,x1", Monotone("a"), "holds"),
        ("exp,x1", Monotone("a", falls=True), "broken"),
        ("exp,x1", Monotone("b", falls=True), "holds"),
        ("n2,x2", Monotone("b"), "broken"),
        ("n2,x2", Monotone("b", box={"b": (0, 1)}), "holds"),
        ("n2,x2", Convex("b"), "holds"),
        ("n3,x2", Convex("b"), "broken"),
        ("sqrt,x1", Convex("a", is_concave=True), "holds"),
        ("mul,x1,x2", Value({"a": 0}, 0.0), "holds"),
        ("mul,x1,x2", Value({"a": 1}, 1.0), "broken"),
        ("mul,x1,x2", Value({"a": 1, "b": 1}, 1.0), "holds"),
    ],
)
def test_statements_are_checked(tokens: str, statement: Statement, wanted: str) -> None:
    assert statement.verdict(from_str_tokens(tokens, LIBRARY), NAMES, RANGES) == wanted


def test_what_breaks_a_statement_is_not_picked() -> None:
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (40, 1))
    y = 0.1 * X[:, 0] + random.normal(0, 0.3, 40)
    options = {"function_set": ["add", "mul", "sin", "const"], "n_samples": 1500}
    options |= {"random_state": 0, "verbosity": 0, "n_jobs": 1, "model_selection": "accuracy"}
    model = DeepSymbolicRegressor(**options, knowledge=[Monotone("x1"), Bounds(-9, 9)]).fit(X, y)
    table, best = model.equations_, model.get_best()
    is_broken = table["knowledge"].str.contains("broken")
    assert is_broken.any()
    assert best["loss"] == table["loss"][~is_broken].min()
    assert np.isinf(table["criterion"][is_broken]).all()
    free = DeepSymbolicRegressor(**options).fit(X, y)
    np.testing.assert_array_equal(free.equations_["loss"], table["loss"])


KINDS = [
    Bounds(-1, 1.5),
    Monotone("a", falls=True),
    Convex("b", is_concave=True, box={"a": (0, 1)}),
    Value({"a": 1}, 0.3, tolerance=0.2),
]


@pytest.mark.parametrize("statement", KINDS, ids=lambda one: one.kind)
def test_a_search_looks_at_some_of_the_points_of_the_verdict(statement: Statement) -> None:
    some, all_ = (statement.points(NAMES, RANGES, grid) for grid in (COARSE, FINE))
    assert {tuple(point) for point in some} < {tuple(point) for point in all_}


@settings(max_examples=25)
@given(st.lists(rows(), min_size=1, max_size=5))
def test_what_is_penalised_is_broken(names: list[list[str]]) -> None:
    knowledge = Knowledge(KINDS, 1.0, NAMES, RANGES.T)
    programs = ProgramBatch.from_rows([LIBRARY.actionize(",".join(row)).tolist() for row in names])
    counts = knowledge.n_broken(programs, LIBRARY, 1)
    for row, count in zip(names, counts, strict=True):
        program = from_str_tokens(",".join(row), LIBRARY)
        verdicts = [one.verdict(program, NAMES, RANGES) for one in KINDS]
        assert count <= verdicts.count("broken")


def test_a_statement_is_an_entry_of_a_config_and_back() -> None:
    assert read_statements([one.to_config() for one in KINDS]) == [
        *KINDS[:2],
        Convex("b", is_concave=True, box={"a": [0, 1]}),
        KINDS[3],
    ]
    assert Bounds(low=0).to_config() == {"kind": "bounds", "low": 0}


def test_inputs_that_a_search_does_not_see_are_left_out() -> None:
    assert Monotone("a").without(["a"]) is None
    assert Monotone("a", box={"b": (0, 1)}).without(["b"]) == Monotone("a")
    assert Value({"a": 1, "b": 2}, 3.0).without(["b"]) == Value({"a": 1}, 3.0)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"kind": "monotne"}, "unknown kind 'monotne' .*Did you mean 'monotone'"),
        ({"kind": "monotone"}, r"task.knowledge\[0\]: 'monotone' needs 'input'"),
        ({"kind": "convex", "input": "a", "low": 1}, "unknown key 'low'"),
    ],
)
def test_entries_that_say_nothing_are_refused(entry: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_statements([entry])


@pytest.mark.slow
def test_with_a_penalty_the_front_keeps_to_what_is_known() -> None:
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (40, 2))
    y = 0.1 * X[:, 0] + random.normal(0, 0.3, 40)
    model = DeepSymbolicRegressor(
        function_set=["add", "mul", "sin", "const"],
        n_samples=5000,
        random_state=0,
        verbosity=0,
        n_jobs=1,
        knowledge=[Monotone("x1"), Convex("x2"), Value({"x1": 0, "x2": 0}, 0, tolerance=0.2)],
    )
    free = model.fit(X, y).equations_
    assert free["knowledge"].str.contains("broken").sum() > 5
    kept = model.set_params(knowledge_penalty=1.0).fit(X, y).equations_
    assert not kept["knowledge"].str.contains("broken").any()
    assert len(kept) > 5


def test_a_penalty_is_in_the_loss() -> None:
    X = np.linspace(-1, 1, 20)[:, None]
    options = {"function_set": ["neg"], "n_samples": 50, "random_state": 0, "verbosity": 0}
    options |= {"knowledge": [Monotone("x1"), Bounds(-0.5, 0.5)], "loss": "squared"}
    free = DeepSymbolicRegressor(**options).fit(X, -X[:, 0]).equations_
    dear = DeepSymbolicRegressor(**options, knowledge_penalty=7).fit(X, -X[:, 0]).equations_
    falling = free["equation"] == "-x1"
    assert free["loss"][falling].item() < 1e-9
    assert dear["loss"].min() == pytest.approx(free["loss"][~falling].min() + 7)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"knowledge_penalty": 1.0}, "knowledge_penalty: 1.0 needs knowledge"),
        ({"knowledge_penalty": -1, "knowledge": KINDS[:1]}, "expected a number >= 0"),
        (
            {"knowledge_penalty": 1, "knowledge": KINDS[:1], "target_transform": "log"},
            "knowledge_penalty is about equations of y",
        ),
    ],
)
def test_a_penalty_that_means_nothing_is_refused(given: dict, words: str) -> None:
    X = np.arange(1, 6.0)[:, None]
    with pytest.raises(UserError, match=words):
        DeepSymbolicRegressor(n_samples=1, verbosity=0, **given).fit(X, X[:, 0] ** 2)


@pytest.mark.parametrize(
    ("knowledge", "words"),
    [(["x1 > 0"], "expected a list of Bounds"), ([Monotone("x9")], "unknown input 'x9'")],
)
def test_what_is_not_a_statement_is_refused(knowledge: list, words: str) -> None:
    X = np.arange(6.0)[:, None]
    model = DeepSymbolicRegressor(n_samples=1, verbosity=0, knowledge=knowledge)
    with pytest.raises(UserError, match=words):
        model.fit(X, X[:, 0] ** 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bounds(low="a"), "Bounds: low: 'a'; expected a number"),
        (lambda: Bounds(low=float("nan")), "Bounds: low: nan; expected a number"),
        (lambda: Bounds(low=2, high=1), "Bounds: low: 2; expected at most high = 1"),
        (lambda: Bounds(box={"x1": 5}), r"Bounds: box\['x1'\]: 5; expected two numbers"),
        (lambda: Bounds(box={"x1": (2, 1)}), r"\(2, 1\); expected two numbers, the lesser first"),
        (lambda: Bounds(box=[1, 2]), "Bounds: box: .*expected a dict of ranges"),
        (lambda: Monotone(3), "Monotone: input: 3; expected the name of an input"),
        (lambda: Value(at=3, value=1), "Value: at: 3; expected a dict of numbers"),
        (lambda: Value(at={"x1": "a"}, value=1), "Value: at: .*expected a dict of numbers"),
        (lambda: Value(at={"x1": 0}, value=np.inf), "Value: value: inf; expected a number"),
        (lambda: Value(at={"x1": 0}, value=1, tolerance=-1), "tolerance: -1; expected a number >="),
    ],
)
def test_statements_refuse_what_they_cannot_mean(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize("statement", [Convex("x9"), Bounds(box={"x9": (0, 1)})])
def test_an_unknown_input_is_refused_before_the_search(statement):
    X = np.random.default_rng(0).random((20, 2))
    calls = []
    model = DeepSymbolicRegressor(
        knowledge=[statement], n_samples=200, n_jobs=1, verbosity=0, callback=calls.append
    )
    with pytest.raises(UserError, match="unknown input 'x9' in knowledge"):
        model.fit(X, X[:, 0])
    assert not calls


def test_a_value_keeps_the_ranges_of_inputs_that_are_left():
    statement = Value(at={"a": 1.0, "b": 2.0}, value=0.0, box={"c": (0.0, 1.0), "b": (2.0, 3.0)})
    assert statement.without(["b"]) == Value(at={"a": 1.0}, value=0.0, box={"c": (0.0, 1.0)})
