"""Anchors: the native network, files, and models of Stable-Baselines3."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dso.errors import UserError
from dso.program import from_str_tokens
from dso.task.control import ControlTask
from dso.task.control.anchor import NetworkAnchor, extract, load_sb3, make_anchor, shipped_anchor
from dso.task.control.environment import Environment
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
    return net.low + (np.tanh(x) + 1) / 2 * (net.high - net.low) if net.is_squashed else x


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation": "relu"},
        {"is_squashed": True, "low": np.array([-2.0, 0.0]), "high": np.array([1.0, 5.0])},
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


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
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


ALGORITHMS = ("PPO", "A2C", "SAC", "TD3", "DDPG")


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.filterwarnings("ignore")
def test_models_of_stable_baselines3(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reason = "needs stable-baselines3 (extra 'control')"
    sb3 = pytest.importorskip("stable_baselines3", reason=reason)
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    environment = Environment("LunarLanderContinuous-v3")
    envs: Any = VecNormalize(DummyVecEnv([environment.recipe.make]))
    for _ in range(50):
        envs.reset()
    model = getattr(sb3, name)("MlpPolicy", envs, device="cpu", seed=1)
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


def test_algorithms_and_damaged_models_are_named(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="needs stable-baselines3 (extra 'control')")
    (tmp_path / "model.zip").write_bytes(b"no")
    with pytest.raises(UserError, match=r"model.zip' cannot be loaded \(a2c: .*ddpg: "):
        load_sb3(tmp_path / "model.zip")
    with pytest.raises(UserError, match=r"unknown algorithm 'pppo'.*Did you mean 'ppo'"):
        load_sb3(tmp_path / "model.zip", "pppo")
