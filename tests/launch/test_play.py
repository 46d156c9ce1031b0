"""Watching what a run has found: returns, film and page."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from dso import SymbolicPolicy
from dso.command.main import main
from dso.config import load_config
from dso.errors import UserError
from dso.launch.jobs import Job
from dso.launch.play import play
from dso.launch.robustness import robustness
from dso.launch.stages import run_stages
from dso.program import from_str_tokens
from dso.task.control import ControlTask
from dso.task.control.environment import Recipe


def whole_policy(tmp_path: Path, spec: list[str], seed: int) -> dict[str, Any]:
    """Return a config that only scores a policy of the pendulum."""
    return load_config(
        {
            "task": {
                "task_type": "control",
                "env": "Pendulum-v1",
                "action_spec": spec,
                "n_episodes_test": 3,
            },
            "experiment": {"logdir": str(tmp_path), "exp_name": "run", "seed": seed},
        }
    )


def test_a_run_is_played_and_a_page_is_written(tmp_path: Path) -> None:
    for seed, spec in ((0, ["mul,-2.0,x3"]), (1, ["x1"])):
        run_stages(Job(0, whole_policy(tmp_path, spec, seed)))
    played = play(tmp_path / "run", 3, window=False)
    task = ControlTask(env="Pendulum-v1", function_set=["mul"])
    better = from_str_tokens("x1", task.library)
    np.testing.assert_allclose(played.returns, task.returns(better.batch, range(3))[0])
    assert played.observations.shape == (600, 3)
    page = (tmp_path / "run" / "policy.html").read_text()
    assert "a1 = cos_theta" in page
    assert f"Mean return of 3 episodes: {played.returns.mean():.2f}" in page
    assert page.count("<svg") == 5  # returns, three observations, and the action over its one input
    assert "<script" not in page


@pytest.mark.filterwarnings("ignore")
def test_a_film_needs_no_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="needs the extra 'control'")
    pytest.importorskip("pygame", reason="needs the extra 'control'")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    task = ControlTask(env="dso/CartPoleContinuous-v0", function_set=["mul", 10.0])
    policy = task.policy(from_str_tokens("mul,10.0,x1", task.library))
    policy.save(tmp_path / "some_policy.json")
    played = play(tmp_path / "some_policy.json", 2, tmp_path / "film" / "out.mp4")
    import imageio.v2 as imageio

    frames = imageio.get_reader(tmp_path / "film" / "out.mp4").count_frames()
    assert abs(frames - played.returns.sum()) <= 2
    assert 'src="film/out.mp4"' in (tmp_path / "policy.html").read_text()


def test_what_cannot_be_played_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no policy; a control run writes one"):
        play(tmp_path)
    with pytest.raises(UserError, match="0 episodes"):
        play(tmp_path, 0)
    task = ControlTask(env="Pendulum-v1", function_set=["mul"])
    policy = task.policy(from_str_tokens("x1", task.library)).to_dict()
    SymbolicPolicy.from_dict({**policy, "env": "MountainCarContinuous-v0"}).save(
        tmp_path / "a_policy.json"
    )
    with pytest.raises(UserError, match=r"takes 3 observations, 'MountainCar.*' gives 2"):
        play(tmp_path / "a_policy.json", 1, window=False)


def test_parameters_change_one_at_a_time(tmp_path: Path) -> None:
    config = whole_policy(tmp_path, ["mul,-2.0,x3"], 0)
    config["task"]["anchor"] = "tests.launch.test_play:nothing"
    run_stages(Job(0, config))
    table = robustness(tmp_path / "run", {"g": [10.0, 5.0], "m": [2.0]}, 4)
    assert list(table["parameter"]) == ["g", "g", "m"]
    played = play(tmp_path / "run", 4, window=False, anchor=True)
    as_it_is = played.returns
    assert played.anchor_returns is not None
    assert table["anchor"][0] == pytest.approx(played.anchor_returns.mean())
    assert "Anchor: mean return of 4 episodes" in (tmp_path / "run" / "policy.html").read_text()
    assert table["mean"][0] == pytest.approx(as_it_is.mean())
    assert len(set(table["mean"])) == 3
    assert table["anchor"][0] == table["anchor"][2] != table["anchor"][1]  # it pushes nothing
    page = (tmp_path / "run" / "robustness.html").read_text()
    assert page.count("<svg") == 2
    assert "<td>m</td><td>2</td>" in page
    assert (tmp_path / "run" / "robustness.csv").read_text().startswith("parameter,value,mean,")
    with pytest.raises(UserError, match=r"unknown parameter 'mass' .* dt, g, l, m, "):
        robustness(tmp_path / "run", {"mass": [1.0]}, 1)


def test_the_command_plays_a_run(tmp_path: Path) -> None:
    run_stages(Job(0, whole_policy(tmp_path, ["mul,-2.0,x3"], 0)))
    run = str(tmp_path / "run")

    def says(*arguments: str, status: int = 0) -> str:
        outcome = CliRunner().invoke(main, ["play", run, "--no_window", *arguments])
        assert outcome.exit_code == status, outcome.output
        return outcome.output

    returns = play(run, 2, window=False).returns
    said = says("--episodes", "2")
    assert said.startswith("Pendulum-v1: a1 = ")
    assert [float(one) for one in re.findall(r"episode \d: return (.*)", said)] == pytest.approx(
        returns.tolist(), rel=1e-5
    )
    assert f"Mean return: {returns.mean():.6g}" in said
    assert f"Page: {run}/policy.html" in said
    assert "none comes with dso for 'Pendulum-v1'" in says("--anchor", status=1)
    assert "no policy with seed 4; there are 0." in says("--seed", "4", status=1)
    table = says("--robustness", "g=10,5", "--robustness", "m=2", "--episodes", "2").splitlines()
    assert [line.split()[:2] for line in table[1:4]] == [["g", "10.0"], ["g", "5.0"], ["m", "2.0"]]
    assert f"{returns.mean():.3f}"[:8] in table[1]
    assert "expected NAME=VALUE" in says("--robustness", "g:1", status=1)


def test_a_table_of_observations_is_matched_by_names(tmp_path: Path) -> None:
    run_stages(Job(0, whole_policy(tmp_path, ["mul,-2.0,x3"], 0)))

    def predicted(header: str, row: str) -> str:
        (tmp_path / "t.csv").write_text(f"{header}\n{row}\n")
        arguments = ["predict", str(tmp_path / "run"), str(tmp_path / "t.csv")]
        return CliRunner().invoke(main, arguments).output

    assert predicted("theta_dot,cos_theta,sin_theta", "0.5,1,0").endswith("a1\n-1.0\n")
    assert predicted("x3,x1,x2", "0.25,1,0").endswith("a1\n-0.5\n")
    assert "theta_dot" in predicted("cos_theta,sin_theta,speed", "1,0,0.5")


def nothing(observations: np.ndarray) -> np.ndarray:
    return np.zeros((len(observations), 1))


def test_numbers_of_environments_of_bullet_change() -> None:
    pytest.importorskip("pybullet_envs_gymnasium", reason="needs the extra 'bullet'")
    recipe = Recipe("HopperBulletEnv-v0", {"max_episode_steps": 20})
    changed = replace(recipe, changes={"electricity_cost": -40.0})
    assert changed.make().unwrapped.electricity_cost == -40.0  # type: ignore[attr-defined]
    assert changed.make().observation_space.shape == recipe.make().observation_space.shape
    with pytest.raises(
        UserError, match=r"'power' in HopperBullet.*electricity_cost, .*walk_target_x"
    ):
        replace(recipe, changes={"power": 1.0}).make()


def test_what_follows_from_a_number_follows_it() -> None:
    heavy = Recipe("CartPole-v1", changes={"masspole": 0.5}).make().unwrapped
    assert heavy.total_mass == pytest.approx(1.5)  # type: ignore[attr-defined]
    assert heavy.polemass_length == pytest.approx(0.25)  # type: ignore[attr-defined]
    windy = Recipe("LunarLander-v3", changes={"gravity": -5.0}).make().unwrapped
    assert windy.gravity == -5.0  # type: ignore[attr-defined]
    assert windy.world.gravity[1] == -5.0  # type: ignore[attr-defined]
