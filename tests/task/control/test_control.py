"""ControlTask: libraries, action specs, rewards, seeds, the final choice, and what is refused."""

import sys
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.evaluation import Evaluator
from dso.program import ProgramBatch, from_str_tokens
from dso.program.batch import Batch
from dso.task import make_task
from dso.task.control import ControlTask, SymbolicPolicy
from dso.task.control.composition import ANCHOR, LEARNED
from dso.task.control.environment import Environment
from dso.task.control.racing import Racing, rungs

FUNCTION_SET = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", 0.1, 1.0, 5.0]


def task(env: str = "Pendulum-v1", **changes: Any) -> ControlTask:
    made = make_task("control", env=env, **{"function_set": FUNCTION_SET, "fix_seeds": True,
                                            "n_episodes_test": 20, **changes})  # fmt: skip
    assert isinstance(made, ControlTask)
    return made


def program(made: ControlTask, text: str) -> Any:
    return from_str_tokens(text, made.library)


def test_the_reward_is_the_scaled_mean_return_of_the_training_episodes() -> None:
    made = task(n_episodes_train=4, episode_seed_shift=2)
    one = program(made, "mul,x1,x2")
    returns = made.returns(one.batch, range(1_000_200, 1_000_204))
    low, high = -1300.0, -147.56
    assert made.reward_function(one) == pytest.approx((returns.mean() - low) / (high - low))
    raw = task(n_episodes_train=4, episode_seed_shift=2, reward_scale=False)
    assert raw.reward_function(program(raw, "mul,x1,x2")) == pytest.approx(returns.mean())
    own = task(n_episodes_train=4, episode_seed_shift=2, reward_scale=[-1000, 1000])
    assert own.reward_function(program(own, "mul,x1,x2")) == pytest.approx(
        (returns.mean() + 1000) / 2000
    )


def test_an_unknown_scale_means_raw_returns_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dso")
    assert task("dso/CartPoleSwingUp-v0").reward_scale == (0.0, 1.0)
    assert [r.message for r in caplog.records if "reward_scale" in r.message] == [
        "task.reward_scale: no scale is known for dso/CartPoleSwingUp-v0; rewards are raw returns."
    ]


def test_evaluation_is_over_episodes_of_seeds_0_1_2() -> None:
    made = task(success_score=-200.0)
    one = program(made, "sub,x1,x3")
    returns = made.returns(one.batch, range(20))[0]
    assert made.evaluate(one) == {
        "r_avg_test": returns.mean(),
        "success_rate": (returns >= -200).mean(),
        "success": bool((returns >= -200).all()),
    }
    never = task(success_score=None)
    assert never.evaluate(program(never, "x1"))["success"] is False
    by_environment = task("dso/CartPoleContinuous-v0", success_score=None)
    assert by_environment.success_score == 995.0


@pytest.mark.parametrize(
    ("env", "n_played"), [("tests.support.envs:test/TwoActions-v0", 10), ("Pendulum-v1", 30)]
)
def test_a_row_of_a_table_plays_few_costly_episodes(env: str, n_played: int) -> None:
    spec = [None, ["x1"]][: 2 if n_played == 10 else 1]
    made = task(env, action_spec=spec, success_score=-1e9, n_episodes_test=30)
    one = program(made, "x2")
    returns = made.returns(one.batch, range(30))[0]
    assert made.evaluate_row(one)["r_avg_test"] == returns[:n_played].mean()
    assert made.evaluate(one)["r_avg_test"] == returns.mean()


def test_what_a_derived_class_says_of_a_program_is_in_tables_too() -> None:
    class Own(ControlTask):
        def evaluate(self, program: Any) -> dict[str, Any]:
            return {**super().evaluate(program), "own": self.n_episodes_test}

    env = "tests.support.envs:test/TwoActions-v0"
    made = Own(env=env, action_spec=[None, ["x1"]], function_set=["add"], n_episodes_test=30)
    one = program(made, "x2")
    assert (made.evaluate_row(one)["own"], made.evaluate(one)["own"]) == (10, 30)


def test_fixed_episodes_are_the_same_each_time_and_fresh_ones_are_not() -> None:
    batch = program(task(), "mul,x1,x2").batch
    fixed, fresh = task(), task(fix_seeds=False)
    assert not fixed.stochastic
    assert fresh.stochastic
    first = fresh.rewards(batch).values
    assert fixed.rewards(batch).values == fixed.rewards(batch).values
    assert first != fresh.rewards(batch).values
    again = task(fix_seeds=False)
    assert again.rewards(batch).values == first
    state = fresh.state_dict()
    third = fresh.rewards(batch).values
    again.load_state_dict(state)
    assert again.rewards(batch).values == third
    evaluator = Evaluator(fresh, fresh.library)
    scores = evaluator.evaluate(Batch(batch, np.ones(1, bool)), 0)
    assert scores.rewards != evaluator.evaluate(Batch(batch, np.ones(1, bool)), 1).rewards
    assert evaluator.n_cached == 0


def run(**sections: Any) -> dict[str, Any]:
    config = {
        "experiment": {"logdir": None},
        "training": {"n_samples": 100, "batch_size": 50, "verbose": False},
        **sections,
    }
    config["task"] = {
        "task_type": "control",
        "env": "Pendulum-v1",
        "n_episodes_train": 2,
        "n_episodes_test": 20,
        "n_episodes_validation": 20,
        **sections.get("task", {}),
    }
    return DeepSymbolicOptimizer(config).train()


def test_a_run_with_fresh_episodes_writes_its_results(tmp_path: Any) -> None:
    result = run(
        task={"fix_seeds": False},
        experiment={"logdir": str(tmp_path), "exp_name": "fresh"},
        logging={"hof": 3, "save_pareto_front": True},
    )
    assert np.isfinite(result["r_avg_test"])
    names = {path.name.split("_0_")[-1] for path in (tmp_path / "fresh").iterdir()}
    assert {"hof.csv", "pf.csv", "policy.json"} <= names
    (file,) = (tmp_path / "fresh").glob("*_policy.json")
    policy = SymbolicPolicy.load(file)
    assert policy.expressions == [result["expression"]]
    assert policy.env_id == "Pendulum-v1"


def test_the_best_are_ranked_again_by_other_episodes() -> None:
    model = DeepSymbolicOptimizer(
        {
            "experiment": {"logdir": None},
            "task": {"task_type": "control", "env": "Pendulum-v1", "n_episodes_train": 1,
                     "n_episodes_test": 5, "n_episodes_validation": 50, "n_validated": 15,
                     "refine_rounds": 0},
            "training": {"n_samples": 400, "verbose": False},
        }
    )  # fmt: skip
    result = model.train()
    rows = model.trainer.keeper.candidates.rows
    assert len(rows) == 15
    seeds = range(4_000_000_000, 4_000_000_050)
    means = model.task.returns(rows.programs, seeds).mean(axis=1)
    best = model.reports.program(rows.programs, int(means.argmax()))
    assert result["traversal"] == repr(best)
    assert result["r"] == pytest.approx(model.task.reward_function(best))
    assert rows.rewards[0] == model.trainer.standing.r_best >= result["r"]
    assert task(n_episodes_validation=0).n_candidates == 0


def test_numbers_of_the_best_are_refined() -> None:
    made = task("dso/CartPoleContinuous-v0", refine_rounds=12, n_episodes_validation=10,
                decision_tree_threshold_set=[0.2])  # fmt: skip
    start = program(made, "x3 < 0.2,add,mul,0.1,x3,mul,0.1,x4,1.0")
    better = made.final_choice([start, program(made, "x1")])
    seeds = made.validation_seeds
    old = made.rollouts(made.policies_of(start), seeds).mean()
    assert made.rollouts(made.policies_of(better), seeds).mean() > old
    assert [t.arity for t in better.traversal] == [t.arity for t in start.traversal]
    assert made.evaluate(better)["r_avg_test"] > made.evaluate(start)["r_avg_test"]
    made.refine_rounds = 0
    assert made.final_choice([start]) is start


def test_the_choice_takes_what_was_played_when_time_is_over() -> None:
    made = task("dso/CartPoleContinuous-v0", n_episodes_validation=10)
    weak, strong = program(made, "x1"), program(made, "add,mul,0.1,x3,mul,0.1,x4")
    made.refine_rounds = 0
    assert made.final_choice([weak, strong]) is strong
    assert made.final_choice([weak, strong], lambda: True) is weak
    made.refine_rounds = 12
    n_before = made.rollouts.n_steps
    refined = made.final_choice([strong], lambda: True)
    n_steps = made.rollouts.n_steps - n_before
    assert [token.arity for token in refined.traversal] == [t.arity for t in strong.traversal]
    made.final_choice([strong])
    assert n_steps < (made.rollouts.n_steps - n_before - n_steps) / 3


def test_racing_drops_what_is_clearly_bad_and_counts_the_rest_in_full() -> None:
    texts = ["mul,x1,x2", "sub,x1,x3", "x3", "sub,0.1,x3", "mul,x2,x3", "sub,x2,x3"]
    plain, racing = task(reward_scale=False), task(reward_scale=False, racing=True)
    assert racing.racing is not None
    batch = ProgramBatch.concatenate([program(plain, text).batch for text in texts])
    whole = plain.rewards(batch).values
    np.testing.assert_allclose(racing.rewards(batch).values, whole)  # nothing is known yet
    racing.behaviours.means.clear()
    racing.racing.quantile = float(np.sort(whole)[-2])
    before = racing.rollouts.n_steps
    raced = racing.rewards(batch).values
    goes_on = np.isclose(raced, whole)
    assert goes_on[np.argsort(-whole)[:2]].all()  # none of the best is lost
    assert not goes_on.all()
    assert racing.rollouts.n_steps - before < 0.8 * len(texts) * 25 * 200
    again = Racing()
    again.load_state_dict(racing.racing.state_dict())
    assert again.state_dict() == racing.racing.state_dict()
    racing.behaviours.means.clear()
    racing.racing.quantile = 1e6
    assert (racing.rewards(batch).values < 0).all()  # all are out


def test_the_figures_of_a_race_are_those_of_what_is_good() -> None:
    random = np.random.default_rng(0)
    skill = random.normal(size=200)
    hardness = np.array([3.0, 2.0, *random.normal(size=10)])
    seeds, n_played = range(12), []

    def play(rows: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        n_played.append(len(rows) * len(seeds))
        noise = np.random.default_rng(rows[0]).normal(size=(len(rows), len(seeds)))
        return skill[rows, None] + hardness[list(seeds)] + 0.1 * noise

    racing = Racing()
    for _ in range(3):
        means = racing.mean_returns(play, 200, seeds)
    change, deviation = racing.changes[2]
    assert change == pytest.approx(hardness.mean() - 2.5, abs=0.05)
    assert deviation < 0.2
    best = np.argsort(-skill)[:15]
    np.testing.assert_allclose(means[best], skill[best] + hardness.mean(), atol=0.15)
    assert sum(n_played) < (1 + 2 * 0.45) * 200 * 12
    assert rungs(12) == [2, 5]
    assert rungs(2) == []


def test_programs_race_by_themselves_where_there_are_many_episodes() -> None:
    for env in ("Pendulum-v1", "InvertedPendulum-v5"):
        assert task(env, racing="auto").racing is not None
        assert task(env, racing="auto", n_episodes_train=3).racing is None
        assert task(env, racing=False).racing is None


def test_discrete_actions_have_trees() -> None:
    made = task("MountainCar-v0", decision_tree_threshold_set=[[-0.5], [0.0]])
    assert made.library.names == ["a_1", "a_2", "a_3", "x1 < -0.5", "x2 < 0.0"]
    tree = program(made, "x2 < 0.0,a_1,a_3")
    act = made.policies_of(tree).actor(0)
    assert act(np.array([0.0, -0.1])) == [0.0]
    assert act(np.array([0.0, 0.0])) == [2.0]
    assert made.evaluate(tree)["r_avg_test"] == pytest.approx(-119, abs=3)


def test_multi_discrete_actions_are_set_along_a_branch() -> None:
    made = task("LunarLanderMultiDiscrete-v0", action_spec=[None, None], ref_action=[0, 1],
                decision_tree_threshold_set=[0.0])  # fmt: skip
    assert made.library.names[:7] == ["STOP", "a1_1", "a1_2", "a1_3", "a2_1", "a2_2", "a2_3"]
    stop = made.library.names[0]
    tree = program(made, f"x1 < 0.0,a1_3,{stop},x2 < 0.0,a2_1,a1_2,a2_3,{stop},{stop}")
    act = made.policies_of(tree).actor(0)
    left, low, high = (np.zeros(8) for _ in range(3))
    left[0] = -1
    low[:2], high[:2] = (1, -1), (1, 1)
    assert act(left).tolist() == [2, 1]  # the second is the reference action
    assert act(low).tolist() == [1, 0]  # the action nearer to the root counts
    assert act(high).tolist() == [0, 1]
    assert np.isfinite(made.evaluate(tree)["r_avg_test"])


def test_actions_are_learned_fixed_or_those_of_an_anchor() -> None:
    def anchor(observations: np.ndarray) -> np.ndarray:
        return observations[:, :2] * [10.0, 0.0] + [0.0, np.nan]

    made = task("LunarLanderContinuous-v3", action_spec=["anchor", None], anchor=anchor)
    assert made.composition.sources == (ANCHOR, LEARNED)
    assert made.name == "LunarLanderContinuous-v3_a1"
    act = made.policies_of(program(made, "log,x1")).actor(0)
    x = np.arange(8.0) / 100
    assert act(x)[0] == 0.0
    x[0] = 0.05
    assert act(x) == pytest.approx([0.5, -1.0])  # log of 0.05 is clipped
    x[0] = -3
    assert act(x) == pytest.approx([-1.0, 0.0])  # no logarithm: 0
    fixed = task("LunarLanderContinuous-v3", action_spec=[["tanh", "mul", "x2", 2.5], None])
    act = fixed.policies_of(program(fixed, "x1")).actor(0)
    assert act(x) == pytest.approx([np.tanh(2.5 * 0.01), -1.0])
    same = task("LunarLanderContinuous-v3", action_spec=["tanh,mul,x2,2.5", None])
    assert (same.policies_of(program(same, "x1")).actor(0)(x) == act(x)).all()


def test_tokens_of_a_users_own_are_played_in_python() -> None:
    made = task("Pendulum-v1", function_set=["add", "mul", "numpy:trunc", 1.0])
    policies = made.policies(
        ProgramBatch.concatenate([program(made, t).batch for t in ("trunc,x2", "mul,x1,x2")])
    )
    assert not policies.is_native
    returns = made.rollouts(policies, [3])
    native = made.rollouts(policies[1:], [3])
    assert returns[1] == pytest.approx(native[0], rel=1e-6)


class DictEnv(gymnasium.Env):
    """Observations that are not a vector."""

    observation_space = gymnasium.spaces.Dict({"a": gymnasium.spaces.Box(-1, 1, (2,))})
    action_space = gymnasium.spaces.Discrete(2)


class ImageEnv(DictEnv):
    observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)


class TextActions(DictEnv):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Text(3)


@pytest.mark.parametrize(
    ("env", "changes", "message"),
    [
        ("Pendulm-v1", {}, "has no environment 'Pendulm-v1'. Did you mean 'Pendulum-v1'"),
        ("Pendulum-v1", {"env_kwargs": {"gee": 1}}, "task.env_kwargs = {'gee': 1} cannot be made"),
        ("no_such_module:Env-v0", {}, "no_such_module"),
        ("test/Dict-v0", {}, "are Dict.*a Box with one dimension.*FlattenObservation"),
        ("test/Image-v0", {}, "are Box.*a Box with one dimension.*images"),
        ("test/Text-v0", {}, "actions of .* are Text"),
        ("Pendulum-v1", {"action_spec": [None, None]}, r"2 entries .* has 1 action"),
        ("LunarLanderContinuous-v3", {"action_spec": [None]}, r"1 entries .* has 2 action"),
        (
            "LunarLanderContinuous-v3",
            {"action_spec": [None, None]},
            "2 entries null; one action is",
        ),
        ("LunarLanderContinuous-v3", {}, "2 entries null; one action is"),
        (
            "LunarLanderContinuous-v3",
            {"action_spec": ["add,x1", None]},
            r"action_spec.0: 'add,x1' is not one complete expression",
        ),
        (
            "LunarLanderContinuous-v3",
            {"action_spec": ["sni,x1", None]},
            r"action_spec.0: .*Did you mean 'sin'",
        ),
        ("LunarLanderContinuous-v3", {"action_spec": ["const", None]}, "without a number"),
        ("Hopper-v5", {"action_spec": [None, "anchor", "anchor"]}, "none comes with dso"),
        (
            "LunarLanderContinuous-v3",
            {"action_spec": [None, "anchor"], "anchor": "gone.npz"},
            "task.anchor: no file 'gone.npz'",
        ),
        ("CartPole-v1", {}, "only decision trees can choose; give thresholds"),
        (
            "CartPole-v1",
            {"decision_tree_threshold_set": [0.0], "action_spec": ["a_1"]},
            "one tree chooses the whole action",
        ),
        (
            "dso/LunarLanderMultiDiscrete-v0",
            {"decision_tree_threshold_set": [0.0], "ref_action": [0, 3]},
            r"ref_action: \[0, 3\]; allowed .* 2 whole numbers from 0, below 3, 3",
        ),
        ("Pendulum-v1", {"function_set": []}, "continuous actions need operators"),
        ("Pendulum-v1", {"decision_tree_threshold_set": [[0.0]]}, "1 lists of thresholds for 3"),
    ],
)
def test_refuses(env: str, changes: dict, message: str) -> None:
    for name, made in {"Dict": DictEnv, "Image": ImageEnv, "Text": TextActions}.items():
        if f"test/{name}-v0" == env and env not in gymnasium.registry:
            gymnasium.register(env, made)
    with pytest.raises(UserError, match=message):
        task(env, **changes)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(UserError, match=r"need gymnasium; install it: pip install .*\[control\]"):
        Environment("Pendulum-v1")


def test_a_missing_package_of_an_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise gymnasium.error.DependencyNotInstalled("Box2D is not installed")

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(UserError, match=r"needs a package: Box2D is not.*\[control\]"):
        Environment("LunarLander-v3")
    monkeypatch.setitem(sys.modules, "pybullet_envs_gymnasium", None)  # as if not installed
    with pytest.raises(UserError, match="pybullet_envs_gymnasium"):
        Environment("HopperBulletEnv-v0")


def test_what_cannot_be_saved_is_a_warning(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    made = task(function_set=["add", "numpy:trunc"])
    made.write_result(program(made, "trunc,x1"), lambda suffix: tmp_path / suffix)
    assert ["your own token 'trunc'" in r.message for r in caplog.records] == [True]
    assert list(tmp_path.iterdir()) == []


def test_old_ids_are_those_of_today(caplog: pytest.LogCaptureFixture) -> None:
    assert Environment("CustomCartPoleContinuous-v0").recipe.id == "dso/CartPoleContinuous-v0"
    assert caplog.records == []
    assert Environment("Pendulum-v0").recipe.id == "Pendulum-v1"
    assert [r.message for r in caplog.records] == [
        "task.env: 'Pendulum-v0' is retired; 'Pendulum-v1' is taken."
    ]
    # Environments of one's own, by the module that registers them.
    assert Environment("dso.task.control.envs:dso/Pendulum-v0").n_observations == 3


def test_trees_for_several_settings_breed() -> None:
    model = DeepSymbolicOptimizer(
        {
            "experiment": {"logdir": None, "seed": 0},
            "task": {"task_type": "control", "env": "tests.support.envs:test/TwoChoices-v0",
                     "n_episodes_train": 2, "n_episodes_test": 2, "n_episodes_validation": 0,
                     "action_spec": [None, None], "decision_tree_threshold_set": [-0.2, 0.0, 0.2]},
            "training": {"n_samples": 400, "batch_size": 100, "verbose": False,
                         "early_stopping": False},
            "gp_meld": {"run_gp_meld": True, "population_size": 50, "generations": 2},
        }
    )  # fmt: skip
    result = model.train()
    assert model.trainer.standing.n_offspring > 50
    assert len(result["program"].traversal) > 1
    assert model.task.rollouts.n_steps > 0
