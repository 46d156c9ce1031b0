"""Columns of handy size, and programs that are told in the user's scales."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dso import DeepSymbolicRegressor
from dso.config import load_config
from dso.library import Library, create_tokens
from dso.program import ProgramBatch, execute, from_str_tokens
from dso.program.execute import VALID
from dso.regressor.options import SEARCH
from dso.regressor.rows import CanonicalRows
from dso.regressor.scales import Scales, can_scale

NAMES = ["add", "mul", "sub", "div", "sin", "exp", "sqrt", "log", "n2", "n3", "abs", "neg"]
LIBRARY = Library(create_tokens(3, [*NAMES, "inv", "pow", "max", "sign", "const"]))
X = np.random.default_rng(0).uniform(0.5, 2, (3, 20))


@st.composite
def programs(draw: st.DrawFn) -> ProgramBatch:
    tokens: list[int] = []

    def grow(room: int) -> None:
        choices = LIBRARY.terminal_tokens if room == 0 else np.arange(LIBRARY.L)
        tokens.append(int(draw(st.sampled_from(choices.tolist()))))
        for _ in range(LIBRARY.arities[tokens[-1]]):
            grow(room - 1)

    grow(4)
    n = tokens.count(LIBRARY.const_token)
    numbers = draw(st.lists(st.sampled_from([0.5, -1.25, 2.0, 3.1]), min_size=n, max_size=n))
    return replace(ProgramBatch.from_rows([tokens]), constants=np.array([numbers]).reshape(1, n))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(programs(), st.lists(st.integers(-9, 9), min_size=3, max_size=3), st.integers(-5, 5))
def test_programs_do_the_same_in_the_units_of_the_user(
    program: ProgramBatch, inputs: list[int], target: int
) -> None:
    scales = Scales(np.array(inputs), target)
    wanted, cause, _ = execute(LIBRARY, program, X)
    if cause[0] != VALID or np.abs(wanted).max() > 1e6:
        return
    undone = scales.undone(LIBRARY, program)
    values, cause, _ = execute(LIBRARY, undone, X * 10.0 ** scales.inputs[:, None])
    assert cause[0] == VALID
    size = np.abs(wanted).max()
    np.testing.assert_allclose(values / 10.0**target, wanted, rtol=1e-7, atol=1e-9 * size)


def test_constants_take_the_powers_in() -> None:
    def undone(text: str, inputs: list[int], target: int) -> str:
        batch = Scales(np.array(inputs), target).undone(
            LIBRARY, from_str_tokens(text, LIBRARY).batch
        )
        numbers = iter(batch.constants[0].tolist())
        return ",".join(
            f"{next(numbers):g}" if t == LIBRARY.const_token else LIBRARY.names[t]
            for t in batch.row(0)
        )

    assert undone("mul,2.0,sin,mul,1.7,x1", [3, 0, 0], 0) == "mul,2,sin,mul,0.0017,x1"
    assert undone("mul,2.0,pow,x1,1.5", [2, 0, 0], 0) == "mul,0.002,pow,x1,1.5"
    assert undone("add,2.0,mul,1.5,x1", [0, 0, 0], 4) == "add,20000,mul,15000,x1"
    assert undone("div,x1,x2", [3, 3, 0], 0) == "div,x1,x2"
    assert undone("mul,x1,x2", [1, 2, 0], 0) == "mul,0.001,mul,x1,x2"
    assert undone("pow,x1,-60.0", [9, 0, 0], 0) == "pow,mul,1e-09,x1,-60"


def test_handy_columns_stay() -> None:
    columns = np.array([[0.02, 2e3, 5e-9, 0.0], [0.05, 8e3, 5e-9, 0.0], [80.0, 9e3, 7e-9, 0.0]])
    rows = CanonicalRows.of(columns, np.array([1e12, 2e12, 3e12]), None)
    scales = Scales.of(rows)
    assert scales.inputs.tolist() == [0, 3, -9, 0]
    assert scales.target == 12
    scaled = scales.scaled(rows)
    np.testing.assert_allclose(scaled.y, [1, 2, 3])
    np.testing.assert_allclose(scaled.X[:, 1], [2, 8, 9])
    assert not scales.are_handy
    assert Scales.of(scaled).are_handy


def test_only_where_constants_can_make_up_for_it() -> None:
    config = load_config(SEARCH)
    task, training = config["task"], config["training"]
    assert can_scale(task, training)
    for changes in (
        {"function_set": ["add", "mul", "sin"]},
        {"function_set": ["add", "const"]},
        {"function_set": ["add", "mul", "const", "poly"]},
        {"function_set": ["add", "nonsense"]},
        {"function_set": None},
        {"metric": "pearson"},
        {"decision_tree_threshold_set": [0.5]},
    ):
        assert not can_scale({**task, **changes}, training)
    assert not can_scale(task, {**training, "const_params": {"bounds": [0, 1]}})


def test_a_hall_of_fame_too_long_in_the_units_of_the_user_is_the_front(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    model = DeepSymbolicRegressor(
        {**SEARCH, "logging": {"hof": 1}, "semantic": {"on": False}},
        function_set=["add", "sin", "mul", "const"],
        maxsize=5,
        n_samples=1500,
        random_state=0,
        n_jobs=1,
        verbosity=0,
        output_directory=tmp_path,
        run_id="short",
    )
    inputs = g.uniform(1, 2, (30, 2))
    y = np.sin(inputs[:, 0]) + inputs[:, 1] + 0.1 * g.normal(size=30)
    model.fit(inputs * 1e9, y)
    assert model.hall_of_fame_["equation"].tolist() == model.equations_["equation"].tolist()
    again = DeepSymbolicRegressor.from_file(tmp_path / "short")
    assert again.get_best()["equation"] == model.get_best()["equation"]
