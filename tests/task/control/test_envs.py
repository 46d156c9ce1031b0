"""The environments that dso registers."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dso.task.control.environment import Environment, with_remaining_time
from dso.task.control.envs import ENVIRONMENTS


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.filterwarnings("ignore")
def test_gymnasiums_checker_is_content(name: str) -> None:
    check_env(Environment(f"dso/{name}").env.unwrapped, skip_render_check=True)


def returns(env_id: str, **kwargs: object) -> tuple[float, int]:
    """Return the sum of rewards of a lander that falls, and the steps that it takes."""
    env = Environment(env_id, kwargs).env
    env.reset(seed=3)
    total = 0.0
    for t in range(1, 1000):
        _, reward, terminated, truncated, _ = env.step(0)
        total += float(reward)
        if terminated or truncated:
            return total, t
    raise AssertionError


def test_shaping_of_the_lander_is_scaled() -> None:
    usual, n = returns("LunarLander-v3")
    assert returns("dso/LunarLander-v0") == (pytest.approx(usual), n)
    without, m = returns("dso/LunarLanderNoRewardShaping-v0")
    assert (without, m) == (pytest.approx(-100.0), n)  # engines are off: only the crash counts
    half, _ = returns("dso/LunarLander-v0", reward_shaping_coef=0.5)
    assert half == pytest.approx((usual + without) / 2)


def test_settings_of_engines_are_minus_one_zero_and_one() -> None:
    discrete = Environment("dso/LunarLanderMultiDiscrete-v0").env
    continuous = Environment("LunarLanderContinuous-v3").env
    discrete.reset(seed=1)
    continuous.reset(seed=1)
    setting = np.array([2, 0])
    for _ in range(20):
        mine = discrete.step(setting)
        theirs = continuous.step(np.array([1.0, -1.0], dtype=np.float32))
        np.testing.assert_array_equal(mine[0], theirs[0])
        assert mine[1] == theirs[1]
    assert setting.tolist() == [2, 0]


def test_the_pole_hangs_when_the_swing_up_starts() -> None:
    env = Environment("dso/CartPoleSwingUp-v0").env
    observation, _ = env.reset(seed=0)
    assert observation[2] == pytest.approx(-1, abs=0.01)
    assert env.step(np.zeros(1, dtype=np.float32))[1] == pytest.approx(0, abs=0.01)
    for _ in range(499):
        *_, terminated, truncated, _ = env.step(np.ones(1, dtype=np.float32))
        if terminated:
            break
    assert terminated
    assert not truncated


def test_the_time_that_is_left_is_appended() -> None:
    env = with_remaining_time(gymnasium.make("Pendulum-v1"))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.shape == observation.shape == (4,)
    assert observation[3] == 1.0
    for _ in range(20):
        observation = env.step(np.zeros(1, dtype=np.float32))[0]
    assert observation[3] == pytest.approx(0.9)
