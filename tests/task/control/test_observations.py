"""Names of observations: in formulas, in source code, in files."""

import gymnasium
import numpy as np
import pytest

from dso.errors import UserError
from dso.program import from_str_tokens
from dso.task.control import ControlTask, Environment, SymbolicPolicy
from dso.task.control.observations import NAMES, observation_names

FUNCTION_SET = ["add", "mul", "sin", 2.0]


def task(env: str = "Pendulum-v1", **changes: object) -> ControlTask:
    return ControlTask(env=env, function_set=FUNCTION_SET, **changes)  # type: ignore[arg-type]


def test_formulas_source_code_and_files_have_the_names(tmp_path: object) -> None:
    made = task(decision_tree_threshold_set=[0.5])
    policy = made.policy(from_str_tokens("x2 < 0.5,add,x1,x3,mul,2.0,x3", made.library))
    for text in (*policy.expressions, policy.python_code(), policy.c_code(), policy.latex()):
        assert "theta" in text
        assert "x1" not in text.replace("exp1", "")
    session: dict = {}
    exec(policy.python_code(), session)
    for x in ([0.1, 0.2, 0.3], [0.1, 0.9, 0.3]):
        np.testing.assert_array_equal(session["act"](x), policy.predict(np.array(x))[0])
    path = f"{tmp_path}/policy.json"
    policy.save(path)
    assert SymbolicPolicy.load(path).expressions == policy.expressions


def test_the_name_of_a_component_is_that_of_its_place() -> None:
    env = gymnasium.make("Pendulum-v1").unwrapped
    env.reset(seed=0)
    env.state = np.array([0.3, -1.2])  # type: ignore[attr-defined]
    values = dict(zip(NAMES["Pendulum"], env._get_obs(), strict=True))  # type: ignore[attr-defined]
    assert values["cos_theta"] == pytest.approx(np.cos(0.3))
    assert values["theta_dot"] == pytest.approx(-1.2)


@pytest.mark.parametrize("name", ["Ant", "Humanoid"])
def test_joints_have_the_names_of_the_model(name: str) -> None:
    model = gymnasium.make(f"{name}-v5").unwrapped.model  # type: ignore[attr-defined]
    joints = [model.joint(i).name for i in range(1, model.njnt)]
    first = NAMES[name].index(joints[0])
    assert list(NAMES[name][first : first + len(joints)]) == joints
    rates = [f"{joint}_dot" for joint in joints]
    assert list(NAMES[name][model.nq - 2 + 6 :][: len(rates)]) == rates


def versions() -> list[str]:
    found = []
    for name in NAMES:
        ids = [i for i in gymnasium.registry if i.rpartition("-v")[0] == name]
        found += sorted(ids, key=lambda i: int(i.rpartition("-v")[2]))[-1:]
    return found


@pytest.mark.parametrize("env_id", versions())
def test_there_is_a_name_for_each_component(env_id: str) -> None:
    environment = Environment(env_id)
    names = observation_names(environment)
    assert names is not None
    assert len(set(names)) == environment.n_observations
    assert observation_names(environment, names) == names  # every language takes them


def test_the_users_names_win_and_are_checked() -> None:
    assert task(observation_names=["c", "s", "w"]).library.input_names == ["c", "s", "w"]
    assert task(observation_names=[]).library.input_names is None
    for names, message in (
        (["c", "s"], r"2 names; 'Pendulum-v1' has 3 observations"),
        (["c", "s", "c"], r"'c' cannot .* or occurs twice; 'c_2' can"),
        (["c", "s", "a-b"], r"'a-b' cannot .* 'a_b' can"),
        (["c", "s", "sin"], r"'sin' cannot .* 'sin_input' can"),
    ):
        with pytest.raises(UserError, match=message):
            task(observation_names=names)
