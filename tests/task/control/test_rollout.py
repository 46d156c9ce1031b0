"""Episodes of every back end are those of a plain loop."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.policy import StateManager
from dso.policy.rnn_policy import RNNPolicy
from dso.prior import make_joint_prior
from dso.program import ProgramBatch, from_str_tokens
from dso.streams import Stream
from dso.task.control import Environment, Rollouts, rollout
from dso.task.control.action_spec import make_composition, make_library
from dso.task.control.classic import ClassicBackend
from dso.task.control.composition import Policies, PythonActor
from dso.task.control.mujoco import MujocoBackend
from dso.task.control.workers import WorkerBackend, play_here
from tests.reference_control import episode, value

FUNCTION_SET = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", 0.1, 1.0, 5.0]
CLASSIC = (
    "CartPole-v1",
    "dso/CartPoleContinuous-v0",
    "dso/CartPoleSwingUp-v0",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "dso/Pendulum-v0",
    "Acrobot-v1",
)
MUJOCO = (
    "InvertedPendulum-v5",
    "InvertedDoublePendulum-v5",
    "Hopper-v5",
    "Walker2d-v5",
    "HalfCheetah-v5",
    "Swimmer-v5",
)
IS_CHAOTIC = {"Pendulum-v1", "dso/Pendulum-v0", "dso/CartPoleSwingUp-v0", "Acrobot-v1"}
N_SAME = 50


def make(env_id: str, n: int = 20, **kwargs: object) -> Policies:
    """Return `n` random policies of an environment; the first action is learned, others are x1."""
    environment = Environment(env_id, kwargs)
    thresholds = [-0.1, 0.0, 0.1]
    library = make_library(environment, FUNCTION_SET, False, thresholds, None)
    spec = [None, *["x1"] * (environment.n_actions - 1)] if environment.kind == "box" else None
    composition = make_composition(environment, library, spec, None)
    prior = make_joint_prior(
        {
            "length": {"on": True, "min_": 3, "max_": 20},
            "uniform_arity": {"on": True},
            "no_inputs": {"on": True},
        },
        library,
        max_length=20,
    )
    sampler = RNNPolicy(library, prior, state_manager=StateManager(), seed=0)
    return Policies(sampler.sample(n, Stream(0, env_id)).programs, composition)


def names(policies: Policies, p: int) -> list[list[str]]:
    """Return the tokens of each action of a policy."""
    first = [policies.library.names[token] for token in policies.programs.row(p)]
    return [first, *[["x1"]] * (policies.composition.n_actions - 1)]


@pytest.mark.parametrize("env_id", CLASSIC)
def test_classic_control_is_that_of_gymnasium(env_id: str) -> None:
    environment, policies = Environment(env_id), make(env_id)
    backend = Rollouts(environment).backend(policies)
    assert isinstance(backend, ClassicBackend)
    seeds = [0, 1, 2]
    played = backend.play(policies, seeds)
    for p in range(len(policies)):
        for e, seed in enumerate(seeds):
            is_long = p < 3 and env_id not in IS_CHAOTIC
            observations, rewards = episode(
                environment.env, names(policies, p), seed, 10**6 if is_long else N_SAME
            )
            mine, actions, my_rewards = backend.trace(policies[p : p + 1], seed)
            n = min(N_SAME, len(rewards))
            np.testing.assert_array_equal(mine[: n + 1], observations[: n + 1])
            np.testing.assert_allclose(my_rewards[:n], rewards[:n], rtol=1e-12, atol=1e-12)
            assert len(actions) == len(my_rewards) == played.steps[p, e]
            assert played.returns[p, e] == pytest.approx(my_rewards.sum(), rel=1e-12)
            if is_long:
                assert played.steps[p, e] == len(rewards)
                assert played.returns[p, e] == pytest.approx(sum(rewards), rel=1e-6)


@pytest.mark.parametrize("env_id", MUJOCO)
def test_mujoco_is_that_of_gymnasium(env_id: str) -> None:
    environment, policies = Environment(env_id), make(env_id, 2)
    backend = Rollouts(environment).backend(policies)
    assert isinstance(backend, MujocoBackend)
    for p in range(2):
        observations, rewards = episode(environment.env, names(policies, p), 3, N_SAME)
        mine, _, my_rewards = backend.trace(policies[p : p + 1], 3)
        np.testing.assert_array_equal(mine[: len(rewards) + 1], observations)
        np.testing.assert_allclose(my_rewards[: len(rewards)], rewards, rtol=1e-12)
    if env_id in MUJOCO[:3]:  # episodes of the others are long
        alone, many = backend.play(policies, [1, 2]), backend.play(policies, [1, 2], n_threads=3)
        np.testing.assert_array_equal(alone.returns, many.returns)


def test_parameters_of_an_environment_are_followed() -> None:
    environment = Environment("CustomPendulum-v0", {"dt": 0.02, "g": 3.0})
    policies = make("CustomPendulum-v0", 2, dt=0.02, g=3.0)
    backend = Rollouts(environment).backend(policies)
    assert isinstance(backend, ClassicBackend)
    observations, _ = episode(environment.env, names(policies, 0), 7)
    np.testing.assert_array_equal(backend.trace(policies, 7)[0][:N_SAME], observations[:N_SAME])
    other = Rollouts(Environment("CustomPendulum-v0"))(policies, [7])
    assert abs(other - rollout(policies, environment, [7])).max() > 1


def test_what_the_core_does_not_know_is_played_in_python() -> None:
    import gymnasium

    policies = make("CartPole-v1", 3)
    environment = Environment("CartPole-v1", {"sutton_barto_reward": True})
    backend = Rollouts(environment).backend(policies)
    assert isinstance(backend, ClassicBackend)
    played = backend.play(policies, [4])
    np.testing.assert_array_equal(played.returns, play_here(environment, policies, [4]).returns)
    environment = Environment("CartPole-v1")
    environment.env.unwrapped.kinematics_integrator = "semi-implicit euler"
    assert isinstance(Rollouts(environment).backend(policies), WorkerBackend)
    environment = Environment("Pendulum-v1")
    environment.env = gymnasium.wrappers.TransformReward(environment.env, lambda r: 2 * r)
    backend = Rollouts(environment).backend(make("Pendulum-v1", 1))
    assert isinstance(backend, WorkerBackend)


def test_an_episode_does_not_depend_on_those_before_it() -> None:
    """BipedalWalker's reset leaves something of the episode before, with Hopper's of Bullet."""
    environment = Environment("BipedalWalker-v3", {"max_episode_steps": 100})
    policies, seeds = make("BipedalWalker-v3", 2), [1, 2, 3]
    together = play_here(environment, policies, seeds).returns
    for e, seed in reversed(list(enumerate(seeds))):
        alone = play_here(environment, policies[::-1], [seed]).returns[::-1, 0]
        np.testing.assert_array_equal(alone, together[:, e])


def test_episodes_of_bullet_share_an_environment_that_resets_wholly() -> None:
    pytest.importorskip("pybullet_envs_gymnasium", reason="needs the extra 'bullet'")
    environment, policies = Environment("HopperBulletEnv-v0"), make("HopperBulletEnv-v0", 4)
    assert environment.recipe.resets_wholly
    together = play_here(environment, policies, [1, 2])
    fresh = Environment("HopperBulletEnv-v0")
    for p in reversed(range(4)):
        alone = play_here(fresh, policies[p : p + 1], [2, 1])
        np.testing.assert_array_equal(alone.returns[0], together.returns[p, ::-1])


def test_workers_give_the_same_and_stop() -> None:
    environment, policies = Environment("LunarLanderContinuous-v3"), make("LunarLander-v3", 3)
    policies = make("LunarLanderContinuous-v3", 3)
    rollouts = Rollouts(environment)
    backend = rollouts.backend(policies)
    assert isinstance(backend, WorkerBackend)
    alone = backend.play(policies, [5, 6])
    together = backend.play(policies, [5, 6], n_threads=2)
    np.testing.assert_array_equal(alone.returns, together.returns)
    np.testing.assert_array_equal(alone.steps, together.steps)
    rewards = episode(environment.env, names(policies, 1), 6)[1]
    assert alone.returns[1, 1] == pytest.approx(sum(rewards), rel=1e-9)
    rollouts.close()


SCRIPT = """
import gymnasium
import numpy as np
from dso.program import from_str_tokens
from dso.task.control import ControlTask

{definition}

if __name__ == "__main__":
    task = ControlTask(env="{env_id}", function_set=["add"])
    program = from_str_tokens("x1", task.library)
    task.n_threads = 2
    together = task.returns(program.batch, range(4))
    task.n_threads = 1
    np.testing.assert_array_equal(together, task.returns(program.batch, range(4)))
    task.rollouts.close()
"""
DEFINITION = """
class Env(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 1), {}

    def step(self, action):
        return self.np_random.uniform(-1, 1, 1), float(action[0]), False, False, {}


gymnasium.register("Mine-v0", Env, max_episode_steps=5)
"""


@pytest.mark.parametrize("where", ["script", "file"])
def test_environments_of_a_script_and_of_a_file_reach_the_workers(
    where: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(f"import gymnasium\nimport numpy as np\n{DEFINITION}")
    env_id = "Mine-v0" if where == "script" else "./mine.py:Mine-v0"
    script = SCRIPT.format(definition=DEFINITION if where == "script" else "", env_id=env_id)
    (tmp_path / "script.py").write_text(script)
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_threads_and_batches_do_not_matter_and_duplicates_play_once() -> None:
    policies, environment = make("Pendulum-v1"), Environment("Pendulum-v1")
    rollouts = Rollouts(environment)
    whole = rollouts(policies, range(5), n_threads=4)
    assert rollouts.n_steps == 20 * 5 * 200
    for p in (0, 7, 19):
        np.testing.assert_array_equal(whole[p : p + 1], rollouts(policies[[p]], range(5)))
    before = rollouts.n_steps
    twice = rollouts(policies[[3, 4, 3, 3]], [8])
    assert rollouts.n_steps - before == 2 * 200
    assert twice[0] == twice[2] == twice[3] != twice[1]


def test_seeds_are_gymnasiums_own() -> None:
    policies, environment = make("Pendulum-v1", 2), Environment("Pendulum-v1")
    backend = Rollouts(environment).backend(policies)
    assert isinstance(backend, ClassicBackend)
    first = environment.env.reset(seed=4_294_967_295)[0]
    np.testing.assert_array_equal(backend.trace(policies, 4_294_967_295)[0][0], first)


GOLDEN = [
    ("CustomCartPoleContinuous-v0", "add,mul,10.0,x3,x4", 20, 1000.0, 0.0),
    ("MountainCarContinuous-v0", "div,log,cos,1.0,log,x2", 200, 99.10, 0.06),
    ("Pendulum-v1", "add,mul,-2.0,x2,div,add,mul,-8.0,x2,mul,-2.0,x3,x1", 200, -165.3, 98.2),
]


@pytest.mark.parametrize(("env_id", "text", "n_episodes", "mean", "deviation"), GOLDEN)
def test_published_policies_do_what_was_measured(
    env_id: str, text: str, n_episodes: int, mean: float, deviation: float
) -> None:
    """Of episodes of seeds 0, 1, ... under Gymnasium 1.4, measured before this was written."""
    environment = Environment(env_id)
    library = Library(create_tokens(environment.n_observations, [*FUNCTION_SET, "const"]))
    composition = make_composition(environment, library, [None], None)
    policies = Policies(from_str_tokens(text, library).batch, composition)
    returns = Rollouts(environment)(policies, range(n_episodes))[0]
    assert returns.mean() == pytest.approx(mean, abs=0.05)
    assert returns.std() == pytest.approx(deviation, abs=0.05)


LANDER = (
    "add,add,mul,0.7624715039886016,sub,sin,x3,add,add,add,add,div,add,sin,add,"
    "0.09101695879983959,0.0922444066126055,add,x2,x4,0.11289444161591844,x4,x4,x4,x4,"
    "-0.0008359813574848967,-0.12271695008045375",
    "add,add,mul,0.24326721693967257,div,div,x4,log,sin,1.019536868443063,sub,x6,x3,"
    "-0.07620830192712105,0.07787010100098943",
)


@pytest.mark.slow
def test_the_published_lander_lands() -> None:
    """As `test_published_policies_do_what_was_measured`, with two actions, in Python."""
    environment = Environment("LunarLanderContinuous-v3")
    library = make_library(environment, [*FUNCTION_SET, "const"], False, [], None)
    composition = make_composition(environment, library, [LANDER[0], None], None)
    policies = Policies(from_str_tokens(LANDER[1], library).batch, composition)
    returns = Rollouts(environment)(policies, range(200))[0]
    assert returns.mean() == pytest.approx(253.0, abs=0.05)
    assert returns.std() == pytest.approx(109, abs=0.5)
    assert returns.min() == pytest.approx(-276, abs=0.5)


VALUES = [-math.inf, -2.0, -0.5, -0.0, 0.0, 0.3, 1.0, 800.0, math.inf, math.nan]


def test_programs_of_one_observation_are_those_of_many() -> None:
    """The scalar machine agrees with the vector machine in every operator of the table."""
    from dso.library import OPERATORS
    from dso.native import _core
    from dso.program import execute

    tokens = create_tokens(2, [row for row in OPERATORS if not row.startswith("protected_")])
    protected = create_tokens(2, list(OPERATORS), protected=True)
    X = np.array([[a, b] for a in VALUES for b in VALUES])
    for made in (tokens, [t for i, t in enumerate(protected) if t.name not in
                          [u.name for u in protected[:i]]]):  # fmt: skip
        library = Library([*made, *create_tokens(2, [], decision_tree_threshold_set=[0.2])[2:]])
        composition = _core.Composition(
            kind="box", sources=[-1], low=[-np.inf], high=[np.inf], is_single=False,
            n_observations=2,
        )  # fmt: skip
        for i, arity in enumerate(library.arities.tolist()):
            if arity == 0:
                continue
            row = ProgramBatch.from_rows([[i, *range(arity)]])
            many = execute(library, row, X.T, protected=True).values[0]
            actor = _core.Actor(composition, library.native, row.native, 2)
            one = np.array([actor.act(x)[0] for x in X])
            many = np.where(np.isnan(many), 0.0, many)
            np.testing.assert_allclose(one, many, rtol=1e-14, err_msg=library.names[i])


def test_the_reference_and_python_agree_with_the_core() -> None:
    policies = make("dso/CartPoleSwingUp-v0", 30)
    random = np.random.default_rng(0)
    for p in range(30):
        act = policies.actor(p)
        in_python = PythonActor(policies[p : p + 1])
        for x in random.normal(size=(5, 5)):
            expected = value(names(policies, p)[0], x.tolist())
            expected = 0.0 if math.isnan(expected) else min(max(expected, -1.0), 1.0)
            assert act(x)[0] == np.float32(expected)
            assert in_python(x)[0] == pytest.approx(act(x)[0], abs=1e-6)


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "InvertedPendulum-v5"])
def test_policies_that_time_does_not_reach_have_no_return(env_id: str) -> None:
    policies, seeds = make(env_id, 40), [1, 2]
    rollouts = Rollouts(Environment(env_id))
    whole = rollouts(policies, seeds)
    n_before, looks = rollouts.n_steps, iter([False])
    some = rollouts(policies, seeds, is_over=lambda: next(looks, True))
    is_played = ~np.isnan(some).any(axis=1)
    assert 0 < is_played.sum() < len(policies)
    np.testing.assert_array_equal(some[is_played], whole[is_played])
    assert 0 < rollouts.n_steps - n_before < n_before
    np.testing.assert_array_equal(rollouts(policies, seeds, is_over=lambda: False), whole)


def test_the_first_rows_of_policies_come_in_their_order() -> None:
    policies = make("Pendulum-v1", 30)
    rows = np.random.default_rng(0).integers(0, 30, 100)
    repeated = policies[rows]
    first, which = repeated.first_rows()
    assert (np.diff(first) > 0).all()
    assert (first[which] <= np.arange(100)).all()
    keys = repeated.programs.keys()
    np.testing.assert_array_equal(keys[first][which], keys)
    assert len(set(keys.tolist())) == len(first)
