"""SymbolicPolicy: actions for one observation and for many, files, and the notations."""

import ctypes
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from dso.errors import UserError
from dso.program import from_str_tokens
from dso.task.control import ControlTask, SymbolicPolicy
from dso.task.control.environment import Environment
from dso.task.control.rollout import Rollouts
from tests.support.anchors import network

FUNCTION_SET = ["add", "mul", "div", "log", 0.5, "const"]
POLICIES: dict[str, tuple[str, dict]] = {
    "MountainCarContinuous-v0": ("div,-0.6156,log,x2", {}),
    "dso/CartPoleContinuous-v0": (
        "x3 < 0.1,mul,2.5,x3,x4",
        {"protected": True, "decision_tree_threshold_set": [0.1]},
    ),
    "LunarLanderContinuous-v3": (
        "mul,0.25,x3",
        {"action_spec": ["div,x1,7.5", None]},
    ),
    "MountainCar-v0": ("x2 < 0.0,a_1,a_3", {"decision_tree_threshold_set": [0.0]}),
    "LunarLanderMultiDiscrete-v0": (
        "x1 < 0.0,a1_3,STOP,a2_2,STOP",
        {"decision_tree_threshold_set": [0.0], "ref_action": [1, 0]},
    ),
}


class Steps(gymnasium.Env):
    """Actions are whole numbers."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float64)
    action_space = gymnasium.spaces.Box(0, 9, (2,), np.int64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.array([0.3, -0.5]), {}

    def step(self, action: np.ndarray) -> Any:
        assert action.dtype == np.int64
        return np.array([0.3, -0.5]), float(action[0]), True, False, {}


gymnasium.register("Steps-v0", Steps, max_episode_steps=3)
POLICIES["Steps-v0"] = ("mul,div,x1,0.5,4.75", {"action_spec": [None, "mul,x2,3.0"]})


def policy(env: str, text: str = "", changes: dict | None = None) -> SymbolicPolicy:
    """Return a policy of `POLICIES`, or of a text."""
    if not text:
        text, changes = POLICIES[env]
    task = ControlTask(
        env=env, **{"function_set": FUNCTION_SET, "fix_seeds": True, **(changes or {})}
    )
    return task.policy(from_str_tokens(text, task.library))


@pytest.mark.parametrize("env", POLICIES)
def test_it_acts_and_comes_back_from_its_file(env: str, tmp_path: Path) -> None:
    made = policy(env)
    made.save(tmp_path / "policy.json")
    again = SymbolicPolicy.load(tmp_path / "policy.json")
    shape = (30, made.composition.n_observations)
    observations = np.random.default_rng(1).normal(size=shape)
    actions, state = made.predict(observations, state="kept")
    assert state == "kept"
    np.testing.assert_array_equal(again.predict(observations)[0], actions)
    assert again.expressions == made.expressions
    one, _ = made.predict(observations[3])
    np.testing.assert_array_equal(one, actions[3])
    assert again.to_dict() == made.to_dict()


def test_shapes_and_types_are_those_of_the_environment() -> None:
    box, discrete = policy("MountainCarContinuous-v0"), policy("MountainCar-v0")
    assert box.predict(np.zeros(2))[0].shape == (1,)
    assert box.predict(np.zeros((4, 2)))[0].dtype == np.float32
    assert discrete.predict(np.zeros(2))[0] == 2
    assert discrete.predict(np.zeros((4, 2)))[0].tolist() == [2, 2, 2, 2]
    tree = policy("LunarLanderMultiDiscrete-v0")
    assert tree.predict(np.zeros(8))[0].tolist() == [1, 1]
    with pytest.raises(UserError, match=r"\(2,\) or \(N, 2\) is needed"):
        box.predict(np.zeros(3))


def test_whole_actions_are_the_nearest_ones() -> None:
    made = policy("Steps-v0")
    actions, _ = made.predict([[0.3, -0.5], [0.26, 0.5], [5.0, 0.4]])
    assert actions.dtype == np.int64
    assert actions.tolist() == [[3, 0], [2, 2], [9, 1]]  # of 2.85, -1.5; 2.47, 1.5; 47.5, 1.2
    played = Rollouts(Environment("Steps-v0"))(made.policies, range(2))
    np.testing.assert_array_equal(played, [[3.0, 3.0]])


@pytest.mark.parametrize("env", ["MountainCar-v0", "LunarLanderMultiDiscrete-v0"])
def test_a_choice_is_not_named_as_what_is_chosen(env: str) -> None:
    made = policy(env)
    (text,) = made.expressions
    assert text.startswith("Piecewise((")
    assert made.equations == [f"action = {text}"]
    assert "\\text{action} &= \\begin{cases} " in made.latex()
    assert repr(made).endswith(f": action = {text}>")
    assert policy("MountainCarContinuous-v0").equations[0].startswith("a1 = ")


def test_an_anchor_is_saved_with_it(tmp_path: Path) -> None:
    task = ControlTask(
        env="LunarLanderContinuous-v3", function_set=FUNCTION_SET, fix_seeds=True,
        action_spec=["anchor", None], anchor=_saved(tmp_path),
    )  # fmt: skip
    made = task.policy(from_str_tokens("x1", task.library))
    assert made.expressions == ["anchor", "x"]
    assert made.sympy()[0] is None
    made.save(tmp_path / "policy.json")
    observations = np.random.default_rng(1).normal(size=(5, 8))
    np.testing.assert_array_equal(
        SymbolicPolicy.load(tmp_path / "policy.json").predict(observations)[0],
        made.predict(observations)[0],
    )
    by_function = ControlTask(
        env="LunarLanderContinuous-v3", function_set=FUNCTION_SET, fix_seeds=True,
        action_spec=["anchor", None], anchor=lambda rows: rows[:, :2],
    )  # fmt: skip
    with pytest.raises(UserError, match="an anchor that is a function cannot be saved"):
        by_function.policy(from_str_tokens("x1", by_function.library)).to_dict()


def _saved(folder: Path) -> str:
    network().save(folder / "net.npz")
    return str(folder / "net.npz")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    good = policy("MountainCarContinuous-v0").to_dict()
    bad: list[Any] = [[], {}, {**good, "format": "x"}, {**good, "actions": [["add"]]},
                      {**good, "actions": [["__import__"]]}, {**good, "space": {}}]  # fmt: skip
    for i, data in enumerate(bad):
        path = tmp_path / f"{i}.json"
        path.write_text(json.dumps(data))
        with pytest.raises(UserError):
            SymbolicPolicy.load(path)
    with pytest.raises(UserError, match="cannot read"):
        SymbolicPolicy.load(tmp_path / "gone.json")


def test_it_is_written_as_mathematics() -> None:
    import sympy

    made = policy("LunarLanderContinuous-v3")
    assert made.expressions == ["0.133333333333333*x", "0.25*v_x"]
    assert made.sympy()[1] == sympy.Float(0.25) * sympy.Symbol("v_x")
    assert made.latex().startswith("\\begin{align*}\na_{1} &= 0.13")


MORE: dict[str, tuple[str, dict]] = {
    # Numbers alone that divide by 0; a decision below an operator; a tree within a tree.
    "Pendulum-v1": (
        "x1 < 0.1,x3 < -0.2,mul,x2,div,0.5,add,0.5,-0.5,div,-0.5,x2,add,x1,x2 < 0.3,log,x3,x2",
        {"decision_tree_threshold_set": [-0.2, 0.1, 0.3]},
    ),
    "dso/LunarLanderMultiDiscrete-v0": (
        "a1_1,x2 < 0.0,a1_3,x1 < 0.0,a2_2,STOP,STOP,a2_3,STOP",
        {"decision_tree_threshold_set": [0.0], "ref_action": [2, 1]},
    ),
}


def policies_and_observations() -> list[tuple[SymbolicPolicy, np.ndarray]]:
    """Return policies of every kind, each with observations (N, O) of every size."""
    made = [policy(env) for env in POLICIES]
    made += [policy(env, *MORE[env]) for env in MORE]
    special = np.array([np.nan, np.inf, -np.inf, 0.0, 1e300])
    random, found = np.random.default_rng(1), []
    for one in made:
        rows = random.normal(scale=0.5, size=(200, one.composition.n_observations))
        rows[:5, 0], rows[5:10, -1], rows[10:15] = special, special, special[:, None]
        found.append((one, rows))
    return found


def test_python_code_acts_like_the_policy() -> None:
    for made, observations in policies_and_observations():
        session: dict[str, Any] = {}
        exec(made.python_code(), session)
        actions = [session["act"](row) for row in observations]
        expected, _ = made.predict(observations)
        np.testing.assert_allclose(actions, expected, rtol=1e-6, atol=0)
        assert made.space.kind == "discrete" or actions[0].dtype == expected.dtype


def test_c_code_acts_like_the_policy(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    for i, (made, observations) in enumerate(policies_and_observations()):
        source, library = tmp_path / f"p{i}.c", tmp_path / f"p{i}.so"
        source.write_text(made.c_code())
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, "-o", library, source, "-lm"], check=True)
        act = ctypes.CDLL(str(library)).act
        act.argtypes, act.restype = [ctypes.c_void_p, ctypes.c_void_p], None
        is_single = made.space.dtype == "float32"
        action = np.empty(made.composition.n_actions, np.float32 if is_single else np.intc)
        expected = made.predict(observations)[0].reshape(len(observations), -1)
        for row, right in zip(observations, expected, strict=True):
            act(row.ctypes.data, action.ctypes.data)
            np.testing.assert_allclose(action, right, rtol=1e-6, atol=0)


def test_code_of_the_name_of_an_environment_is_not_code() -> None:
    made = policy("MountainCarContinuous-v0")
    made.env_id = 'x"""\nimport os\n*/ int y;'
    compile(made.python_code(), "code", "exec")
    for line in (*made.python_code().split("\n"), *made.c_code().split("\n")):
        assert not line.startswith("import os")
        assert "*/ int" not in line


def test_an_anchor_has_no_code(tmp_path: Path) -> None:
    task = ControlTask(
        env="LunarLanderContinuous-v3", function_set=FUNCTION_SET, fix_seeds=True,
        action_spec=["anchor", None], anchor=_saved(tmp_path),
    )  # fmt: skip
    made = task.policy(from_str_tokens("x1", task.library))
    for form in (made.python_code, made.c_code):
        with pytest.raises(UserError, match="an anchor's, which has no source code"):
            form()


def test_stable_baselines3_evaluates_it() -> None:
    reason = "needs stable-baselines3 (extra 'control')"
    pytest.importorskip("stable_baselines3", reason=reason)
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    made = policy("MountainCarContinuous-v0")
    envs = make_vec_env("MountainCarContinuous-v0", n_envs=2, seed=5)
    returns, _ = evaluate_policy(made, envs, n_eval_episodes=4, return_episode_rewards=True)
    assert np.mean(returns) == pytest.approx(99, abs=1)
