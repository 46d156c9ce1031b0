"""Anchors: the native network, files, and models of Stable-Baselines3."""

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dso.errors import UserError
from dso.program import from_str_tokens
from dso.task.control import ControlTask, baselines
from dso.task.control.anchor import make_anchor, shipped_anchor
from dso.task.control.baselines import extract, load_sb3
from dso.task.control.environment import Environment
from dso.task.control.network import NetworkAnchor
from tests.support.anchors import network


def plain(net: NetworkAnchor, observations: np.ndarray) -> np.ndarray:
    """The same in numpy."""
    x = observations
    if len(net.mean):
        x = np.clip((x - net.mean) / net.deviation, -net.limit, net.limit)
    for i, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        x = x @ weight.T.astype(float) + bias
        if i + 1 < len(net.weights):
            x = np.tanh(x) if net.activation == "tanh" else np.maximum(x, 0)
    return net.low + (np.tanh(x) + 1) / 2 * (net.high - net.low) if net.head == "squashed" else x


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "relu"},
        {"head": "squashed", "low": np.array([-2.0, 0.0]), "high": np.array([1.0, 5.0])},
        {"mean": np.arange(8.0), "deviation": np.arange(1.0, 9.0), "limit": 0.5},
    ],
)
def test_the_native_network_is_that_of_numpy(changes: dict, tmp_path: Path) -> None:
    net = network(**changes)
    observations = np.random.default_rng(1).normal(size=(50, 8)) * 3
    np.testing.assert_allclose(net(observations), plain(net, observations), rtol=1e-5, atol=2e-5)
    net.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(NetworkAnchor.load(tmp_path / "net.npz")(observations),
                                  net(observations))  # fmt: skip


def test_files_that_are_not_networks_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=1)
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "code.npz", format=np.array([print], dtype=object))
    for name in ("other", "text", "code"):
        with pytest.raises(UserError, match=rf"{name}\.npz' is not a network"):
            NetworkAnchor.load(tmp_path / f"{name}.npz")
    network(3).save(tmp_path / "small.npz")
    lander = Environment("LunarLanderContinuous-v3")
    with pytest.raises(UserError, match=r"takes 3 observations and gives 2 actions; .* 8 and 2"):
        make_anchor(lander, str(tmp_path / "small.npz"), None)
    for function, message in (
        (lambda x: x[:, 0], r"returns \(2\) for 2 observations; .* \(N, 8\), .* \(N, 2\)"),
        (lambda x: x[:, :3], r"returns \(2, 3\)"),
        (lambda x: x @ np.ones((3, 2)), r"fails: ValueError.*\(N, 8\)"),
        ("tests.support.envs:wanted", r"'tests.support.envs:wanted' fails"),
    ):
        with pytest.raises(UserError, match=message):
            make_anchor(lander, function, None)
    with pytest.raises(UserError, match=r"'dso\.errors:nothing'|has no attribute"):
        make_anchor(lander, "dso.errors:nothing", None)


def test_an_anchor_acts_where_it_is_told_to(tmp_path: Path) -> None:
    net = network()
    net.save(tmp_path / "net.npz")
    task = ControlTask(
        env="LunarLanderContinuous-v3",
        function_set=["add"],
        action_spec=[None, "anchor"],
        anchor=str(tmp_path / "net.npz"),
        fix_seeds=True,
    )
    program = from_str_tokens("add,x1,x2", task.library)
    act = task.policies_of(program).actor(0)
    for x in np.random.default_rng(1).normal(size=(10, 8)):
        expected = np.clip([x[0] + x[1], net(x[None])[0, 1]], -1, 1)
        np.testing.assert_allclose(act(x), expected, atol=1e-6)
    in_python = ControlTask(
        env="LunarLanderContinuous-v3",
        function_set=["add"],
        action_spec=[None, "anchor"],
        anchor=lambda rows: plain(net, rows),
        fix_seeds=True,
    )
    seeds = [0, 1]
    np.testing.assert_allclose(
        in_python.returns(program.batch, seeds), task.returns(program.batch, seeds), rtol=0.05
    )


def test_the_one_that_comes_with_dso_lands() -> None:
    assert shipped_anchor("LunarLanderContinuous-v3") is not None
    assert shipped_anchor("Pendulum-v1") is None
    environment = Environment("LunarLanderContinuous-v3")
    anchor = make_anchor(environment, None, None)
    env, returns = environment.env, []
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        total, is_over = 0.0, False
        while not is_over:
            action = np.clip(anchor(observation[None])[0], -1, 1).astype(np.float32)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, is_over = total + float(reward), terminated or truncated
        returns.append(total)
    assert np.mean(returns) > 100


ALGORITHMS = ("PPO", "A2C", "SAC", "TD3", "DDPG", "TQC", "TRPO")
SMALL_NET = {"net_arch": [12, 8]}


def algorithm(name: str) -> Any:
    """Return a class of Stable-Baselines3 or sb3-contrib."""
    package = "sb3_contrib" if name in ("TQC", "TRPO") else "stable_baselines3"
    return getattr(pytest.importorskip(package, reason="needs the extra 'control'"), name)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.filterwarnings("ignore")
def test_models_of_stable_baselines3(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = algorithm(name)
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    environment = Environment("LunarLanderContinuous-v3")
    envs: Any = VecNormalize(DummyVecEnv([environment.recipe.make]))
    for _ in range(50):
        envs.reset()
    model = made("MlpPolicy", envs, device="cpu", seed=1, policy_kwargs=dict(SMALL_NET))
    model.save(tmp_path / f"{name.lower()}.zip")
    envs.save(str(tmp_path / "vecnormalize.pkl"))
    loaded = load_sb3(tmp_path / f"{name.lower()}.zip")
    assert ["executes code" in record.message for record in caplog.records] == [True]
    observations = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    normal = envs.normalize_obs(observations)
    expected, _ = model.predict(normal, deterministic=True)
    np.testing.assert_allclose(np.clip(loaded(observations), -1, 1), expected, atol=1e-5)
    without, _ = model.predict(observations, deterministic=True)
    np.testing.assert_allclose(np.clip(extract(model)(observations), -1, 1), without, atol=1e-5)
    loaded.save(tmp_path / "net.npz")
    critic = NetworkAnchor.load(tmp_path / "net.npz").critic
    if name in ("SAC", "TD3", "DDPG", "TQC"):
        assert critic is not None
        actions = np.random.default_rng(2).uniform(-1, 1, (40, 2)).astype(np.float32)
        values = model.critic(
            *map(model.policy.obs_to_tensor(normal)[0].new_tensor, (normal, actions))
        )
        first = values[0] if name != "TQC" else values[:, 0].mean(dim=1)
        found = critic(np.hstack([observations, actions]))[:, 0]
        np.testing.assert_allclose(found, first.detach().numpy().ravel(), atol=1e-5)
    else:
        assert critic is None


@pytest.mark.parametrize("name", ["DQN", "PPO"])
@pytest.mark.filterwarnings("ignore")
def test_models_with_discrete_actions_choose(name: str, tmp_path: Path) -> None:
    environment = Environment("CartPole-v1")
    env: Any = environment.recipe.make()
    model = algorithm(name)("MlpPolicy", env, device="cpu", seed=1, policy_kwargs=dict(SMALL_NET))
    random = np.random.default_rng(5)
    for values in model.policy.parameters():  # so that no action is the best everywhere
        values.data.copy_(values.data.new_tensor(random.normal(size=tuple(values.shape))))
    anchor = extract(model)
    observations = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    expected, _ = model.predict(observations, deterministic=True)
    assert len(set(expected.tolist())) == 2
    np.testing.assert_array_equal(anchor(observations)[:, 0], expected)
    anchor.save(tmp_path / "net.npz")
    assert NetworkAnchor.load(tmp_path / "net.npz").n_choices == 2
    make_anchor(environment, str(tmp_path / "net.npz"), None)
    for env_id, message in (
        ("Acrobot-v1", "takes 4 observations"),
        ("CustomCartPoleContinuous-v0", r"chooses among 2; .* gives numbers"),
    ):
        with pytest.raises(UserError, match=message):
            make_anchor(Environment(env_id), str(tmp_path / "net.npz"), None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("use_sde", [False, True])
def test_a_policy_without_hidden_layers_is_straight_lines(use_sde: bool) -> None:
    env: Any = Environment("LunarLanderContinuous-v3").recipe.make()
    kwargs = {"net_arch": {"pi": [], "vf": [8]}}
    model = algorithm("PPO")(
        "MlpPolicy", env, device="cpu", seed=1, use_sde=use_sde, policy_kwargs=kwargs
    )
    observations = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    expected, _ = model.predict(observations, deterministic=True)
    anchor = extract(model)
    assert len(anchor.weights) == 1
    np.testing.assert_allclose(np.clip(anchor(observations), -1, 1), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_exploration_that_depends_on_the_state_bounds_the_last_layer() -> None:
    env: Any = Environment("LunarLanderContinuous-v3").recipe.make()
    kwargs = {**SMALL_NET, "clip_mean": 0.05}
    model = algorithm("SAC")(
        "MlpPolicy", env, device="cpu", seed=1, use_sde=True, policy_kwargs=kwargs
    )
    observations = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    expected, _ = model.predict(observations, deterministic=True)
    assert (np.abs(np.arctanh(expected)) > 0.0499).any()
    np.testing.assert_allclose(extract(model)(observations), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_statistics_of_the_time_of_gym_are_read(tmp_path: Path) -> None:
    algorithm("PPO")
    from gymnasium import spaces

    box = pickle.dumps(spaces.Box(-1, 1, (3,)), protocol=2)
    (tmp_path / "vecnormalize.pkl").write_bytes(box.replace(b"gymnasium.spaces", b"gym.spaces"))
    assert baselines._normalization(tmp_path / "ppo.zip") == spaces.Box(-1, 1, (3,))
    assert "gym" not in sys.modules
    (tmp_path / "vecnormalize.pkl").write_bytes(b"no")
    with pytest.raises(UserError, match=r"vecnormalize.pkl' cannot be loaded"):
        baselines._normalization(tmp_path / "ppo.zip")


def test_files_of_the_first_format_and_names_of_environments(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = network(env="LunarLanderContinuous-v3", test=(250.0, 20.0, 100.0))
    arrays = net.arrays()
    squashed = network(head="squashed").arrays()
    for name in ("head", "z_limit", "env", "test"):
        del squashed[name]
    old = {**squashed, "format": np.array("dso network 1"), "is_squashed": np.array(True)}
    np.savez(tmp_path / "old.npz", **old)
    assert NetworkAnchor.load(tmp_path / "old.npz").head == "squashed"
    np.savez(tmp_path / "new.npz", **arrays)
    assert NetworkAnchor.load(tmp_path / "new.npz").test == (250.0, 20.0, 100.0)
    make_anchor(Environment("LunarLanderContinuous-v3"), str(tmp_path / "new.npz"), None)
    assert not caplog.records
    custom = Environment("dso/LunarLander-v0", {"continuous": True})
    make_anchor(custom, str(tmp_path / "new.npz"), None)
    assert ["was trained for LunarLanderContinuous-v3" in r.message for r in caplog.records] == [
        True
    ]


def test_algorithms_and_damaged_models_are_named(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 (extra 'control')")
    (tmp_path / "model.zip").write_bytes(b"no")
    with pytest.raises(UserError, match=r"model.zip' cannot be loaded \(a2c: .*trpo: "):
        load_sb3(tmp_path / "model.zip")
    with pytest.raises(UserError, match=r"unknown algorithm 'pppo'.*Did you mean 'ppo'"):
        load_sb3(tmp_path / "model.zip", "pppo")
