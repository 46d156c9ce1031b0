"""All actions in one command: stages, their order, what is kept, and going on after a stop."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tests.support.envs  # noqa: F401, registers an environment
from dso import DeepSymbolicOptimizer, SymbolicPolicy
from dso.config import load_config
from dso.errors import UserError
from dso.launch import stages
from dso.launch.jobs import Job, is_staged
from dso.launch.stages import StageRun, run_stages
from dso.run import main
from tests.support.runs import read

ENV = "tests.support.envs:test/TwoActions-v0"
STAGES = {
    "distill_episodes": 2,
    "distill_rounds": 1,
    "distill_samples": 0,
    "joint_candidates": 24,
    "joint_episodes": 4,
}


def config(tmp_path: Path | None = None, stages: Any = None, **task: Any) -> dict[str, Any]:
    return load_config(
        {
            "task": {
                "task_type": "control",
                "env": ENV,
                "action_spec": "auto",
                "anchor": "tests.support.envs:wanted",
                "n_episodes_train": 3,
                "n_episodes_test": 10,
                "n_episodes_validation": 5,
                "stages": {**STAGES, **(stages or {})},
                **task,
            },
            "training": {"n_samples": 30, "batch_size": 10, "verbose": False},
            "experiment": {
                "logdir": None if tmp_path is None else str(tmp_path),
                "exp_name": "run",
                "seed": 1,
            },
        }
    )


def done(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "run" / "stages_1" / "stages.json").read_text())


def test_every_action_becomes_a_formula_and_the_linear_one_comes_first(tmp_path: Path) -> None:
    outcome = run_stages(Job(0, config(tmp_path)))
    known = done(tmp_path)
    assert known["anchor"] == pytest.approx(0, abs=1e-9)
    assert known["order"] == [0, 1]
    assert known["losses"]["action 1"] == pytest.approx(0, abs=1e-6)
    assert known["losses"]["action 2"] > 0.1
    names = [stage["name"] for stage in known["done"]]
    assert names[:2] == ["action 1", "action 2"]
    assert names[-1] == "numbers of all actions"
    assert "anchor" in known["done"][0]["spec"]
    means = [stage["mean_return"] for stage in known["done"]]
    assert means[1:] == sorted(means[1:])
    (file,) = (tmp_path / "run").glob("*_policy.json")
    policy = SymbolicPolicy.load(file)
    assert "anchor" not in policy.expressions
    x = np.array([0.3, -0.4, 0.1])
    assert policy.predict(x)[0][0] == pytest.approx(0.34, abs=0.1)
    (row,) = read(tmp_path / "run" / "summary.csv")
    assert float(row["r_avg_test"]) == outcome.result["r_avg_test"]
    assert row["expression"].startswith("a1 = ")
    assert json.loads(row["traversal"]) == known["done"][-1]["spec"]


def test_a_run_that_was_stopped_goes_on_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_stages(Job(0, config(tmp_path / "whole"))).result
    n_stages, searches = len(done(tmp_path / "whole")["done"]), []
    search = StageRun._search

    def stopping(self: StageRun, name: str, action: int) -> Any:
        searches.append(name)
        if len(searches) == 2:
            raise KeyboardInterrupt
        return search(self, name, action)

    monkeypatch.setattr(StageRun, "_search", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_stages(Job(0, config(tmp_path / "cut")))
    assert len(done(tmp_path / "cut")["done"]) == 1
    log = tmp_path / "cut" / "run" / "stages_1" / "numbers.jsonl"
    resumed = run_stages(Job(0, config(tmp_path / "cut"), is_resumed=True)).result
    assert searches[2:] == [stage["name"] for stage in done(tmp_path / "cut")["done"]][1:-1]
    assert len(done(tmp_path / "cut")["done"]) == n_stages
    assert {**whole, "t": 0} == {**resumed, "t": 0}
    # The last stage again, from the generations that its log has.
    state = done(tmp_path / "cut")
    state["done"] = state["done"][:-1]
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]) + '{"sco')
    (log.parent / "stages.json").write_text(json.dumps(state))
    again = run_stages(Job(0, config(tmp_path / "cut"), is_resumed=True)).result
    assert {**whole, "t": 0, "n_steps": 0} == {**again, "t": 0, "n_steps": 0}


def test_keys_of_one_action_reach_its_search(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Watched(DeepSymbolicOptimizer):
        def setup(self, callback: Any = None) -> None:
            super().setup(callback)
            seen.append(self.config)

    monkeypatch.setattr(stages, "DeepSymbolicOptimizer", Watched)
    own = {"function_set": ["add", "mul", "sin"], "max_length": 9, "start": ["sin,mul,3.0,x3"]}
    given = config(
        stages={"order": [2, 1], "sweeps": 0, "distill": False, "joint_candidates": 0,
                "actions": [{}, own]}
    )  # fmt: skip
    result = run_stages(Job(0, given)).result
    assert [one["task"]["action_spec"].index(None) for one in seen] == [1, 0]
    assert seen[0]["task"]["function_set"] == ["add", "mul", "sin", "const"]
    assert seen[0]["prior"]["length"]["max_"] == 9
    assert seen[1]["prior"]["length"]["max_"] == 30
    assert "a2 = sin(3*x3)" in result["expression"].replace("3.0", "3")


def test_a_whole_policy_is_scored(tmp_path: Path) -> None:
    spec = ["sub,mul,0.6,x1,mul,0.4,x2", "sin,mul,3,x3"]
    outcome = run_stages(Job(0, config(tmp_path, action_spec=spec)))
    assert outcome.result["r_avg_test"] == pytest.approx(0, abs=1e-9)
    assert outcome.result["n_samples"] == 0
    assert outcome.stop_reason == "nothing to learn"
    mixed = run_stages(Job(0, config(tmp_path, action_spec=["anchor", "x3"]))).result
    assert mixed["r_avg_test"] < -0.1
    assert not is_staged(config(action_spec=[None, "anchor"]))


def test_one_action_needs_no_anchor() -> None:
    given = config(env="Pendulum-v1", anchor=None, stages={"joint_candidates": 8})
    result = run_stages(Job(0, given)).result
    assert result["expression"].startswith("a1 = ")
    assert "r_avg_anchor" not in result


def test_the_command_line_does_and_resumes_all_actions(tmp_path: Path) -> None:
    path = tmp_path / "auto.json"
    path.write_text(json.dumps(config(tmp_path, stages={"sweeps": 0, "joint_candidates": 0})))
    said = CliRunner().invoke(main, [str(path)])
    assert said.exit_code == 0, said.output
    for text in ("Stage 2, action 2: mean return", "r_avg_anchor", "A line in place of action 2"):
        assert text in said.output
    again = CliRunner().invoke(main, ["--resume", str(tmp_path / "run")])
    assert "1 run(s) are done, 0 to do" in again.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": {"order": [1, 1]}}, r"order: \[1, 1\]; allowed: the numbers 1 to 2, each once"),
        (
            {"env": "CartPole-v1", "anchor": None, "decision_tree_threshold_set": [0.0]},
            "one tree chooses",
        ),
        (
            {"env": "CartPole-v1", "decision_tree_threshold_set": [0.0]},
            r"wanted' fails: .*\(N, 4\)",
        ),
        ({"anchor": None}, "none comes with dso"),
        ({"stages": {"actions": [{}, {}, {}]}}, r"actions: 3 entries; .* has 2 actions"),
        ({"action_spec": ["x1"]}, "1 entries"),
    ],
)
def test_refuses(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_stages(Job(0, config(**changes)))


def test_one_search_does_not_do_all_actions() -> None:
    with pytest.raises(UserError, match=r"nothing to learn; python -m dso.run does 'auto'"):
        DeepSymbolicOptimizer(config()).setup()


def test_a_dry_run_sets_up_each_action_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "auto.json"
    path.write_text(json.dumps(config(tmp_path)))
    outcome = CliRunner().invoke(main, [str(path), "--dry-run"])
    assert outcome.exit_code == 0, outcome.output
    assert "2 searches of at most 30 samples" in outcome.output
    path.write_text(json.dumps(config(tmp_path, action_spec=["x1", "add,x2,x1"])))
    assert ": scored, into" in CliRunner().invoke(main, [str(path), "--dry-run"]).output
    wrong = config(tmp_path, stages={"actions": [{}, {"start": ["x1,no_such"]}]})
    path.write_text(json.dumps(wrong))
    assert "no_such" in CliRunner().invoke(main, [str(path), "--dry-run"]).output
    assert [file.name for file in tmp_path.iterdir()] == ["auto.json"]
