"""What a page shows of policies."""

import numpy as np

from dso.library import Library, Token, create_tokens
from dso.program import Program, ProgramBatch
from dso.report.policy_data import (
    MAX_POINTS,
    SPAN,
    describe_policy,
    episode_returns,
    read_policy,
)
from dso.report.policy_page import policy_page
from dso.task.control.composition import LEARNED, Composition, Policies
from dso.task.control.play import Played
from dso.task.control.symbolic_policy import ActionSpace, SymbolicPolicy
from tests.support.anchors import network


def policy(text: str, n_observations: int = 3) -> SymbolicPolicy:
    """Return a policy with one action in [-1, 1] for an environment that is not there."""
    inputs = [Token(None, f"x{i + 1}", 0, 1, input_var=i) for i in range(n_observations)]
    library = Library([*inputs, *create_tokens(0, ["add", "mul", "sin"])])
    program = Program(library, library.actionize(text)).batch
    composition = Composition(
        "box", np.array([-1.0]), np.array([1.0]), False, n_observations, library,
        sources=(LEARNED,), fixed_library=library, fixed=ProgramBatch.from_rows([]), anchor=None,
    )  # fmt: skip
    space = ActionSpace("box", [-1.0], [1.0], "float64", 0)
    return SymbolicPolicy(Policies(program, composition), space, "Gone-v0")


def test_one_input_is_a_line_and_two_are_a_square(tmp_path):
    policy("sin,x2").save(tmp_path / "p.json")
    shown = read_policy(tmp_path / "p.json")
    (response,) = shown["responses"]
    assert response["inputs"] == ["x2"]
    assert response["ranges"] == [(-SPAN, SPAN)]
    grid = np.linspace(-SPAN, SPAN, len(response["values"]))
    np.testing.assert_allclose(response["values"], np.sin(grid))
    assert "def act(" in shown["sources"]["python"]
    policy("add,x1,x3").save(tmp_path / "p.json")
    (response,) = read_policy(tmp_path / "p.json")["responses"]
    n = len(response["values"])
    grid = np.linspace(-SPAN, SPAN, n)
    expected = np.clip(grid[:, None] + grid[None, :], -1, 1)
    np.testing.assert_allclose(response["values"], expected, atol=1e-12)


def test_an_anchor_has_no_source_but_is_shown():
    shown = describe_policy(policy("sin,x2").of_anchor(network(3, 1)))
    assert (shown["sources"], shown["responses"]) == ({}, [])
    assert shown["equations"] == ["a1 = anchor"]


def test_of_played_episodes_what_was_seen_is_drawn():
    seen = np.random.default_rng(0).uniform(-0.5, 2.0, (1000, 3))
    actions = np.sin(seen[:, 1:2])
    shown = describe_policy(policy("sin,x2"), Played(np.array([1.0, 3.0]), seen, actions))
    (response,) = shown["responses"]
    assert response["ranges"] == [(seen[:, 1].min(), seen[:, 1].max())]
    first = shown["points"][0]
    assert (first["action"], first["observation"]) == ("a1", "x2")
    np.testing.assert_array_equal(first["y"], np.sin(first["x"]))
    assert len(first["x"]) == MAX_POINTS
    page = policy_page(shown, "film.gif")
    assert "Mean return of 2 episodes: 2.00" in page
    assert '<img src="film.gif"' in page
    assert page.count("<polyline") == 1
    assert page.count("<circle") == 3 * MAX_POINTS


def test_more_inputs_are_not_drawn(tmp_path):
    policy("add,x1,mul,x2,x3").save(tmp_path / "p.json")
    assert read_policy(tmp_path / "p.json")["responses"] == []


def test_what_is_not_there_is_not_shown(tmp_path):
    assert read_policy(tmp_path / "p.json") is None
    (tmp_path / "p.json").write_text("[")
    assert read_policy(tmp_path / "p.json") is None
    assert episode_returns(tmp_path / "r.csv") is None
    (tmp_path / "r.csv").write_text("seed,return\n0,x\n")
    assert episode_returns(tmp_path / "r.csv") is None
    (tmp_path / "r.csv").write_text("seed,return\n0,1.5\n1,-2\n")
    assert episode_returns(tmp_path / "r.csv").tolist() == [1.5, -2]
