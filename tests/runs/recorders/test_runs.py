"""Whole runs that record everything: files agree with the log, and the search does not change."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.runs.display import Progress
from dso.runs.recorders import CacheDump
from tests.support.runs import EVERYTHING, config, read

RECORDED = [
    "_all_info.csv",
    "_all_r.npy",
    "_cache.csv",
    "_positional_entropy.npy",
    "_summary",
    "_token_count.csv",
    "_top_samples_per_batch.csv",
]


def recorded(folder):
    prefix = "dso_Nguyen-5_0"
    others = (".csv", "_hof.csv", "_pf.csv")
    names = [p.name.removeprefix(prefix) for p in folder.iterdir() if p.name.startswith(prefix)]
    return sorted(set(names) - set(others))


def test_every_recorder_at_once_agrees_with_the_log(tmp_path):
    model = DeepSymbolicOptimizer(config(tmp_path, **EVERYTHING))
    result = model.train()
    folder = tmp_path / "run"
    assert recorded(folder) == RECORDED
    prefix = folder / "dso_Nguyen-5_0"
    log = read(f"{prefix}.csv")
    rewards = np.load(f"{prefix}_all_r.npy")
    np.testing.assert_allclose(rewards.mean(axis=1), [float(row["r_avg_full"]) for row in log])
    info = read(f"{prefix}_all_info.csv")
    invalid = np.array([int(row["invalid"]) for row in info]).reshape(4, 100)
    assert invalid.mean(axis=1).tolist() == [float(row["invalid_avg_full"]) for row in log]
    entropies = np.load(f"{prefix}_positional_entropy.npy")
    assert entropies.shape == (4, model.policy.max_length)
    lengths = np.array([int(row["l"]) for row in info]).reshape(4, 100)
    for row, longest, logged in zip(entropies, lengths.max(axis=1), log, strict=True):
        assert row[:longest].mean() == pytest.approx(float(logged["a_ent_full"]))
        assert not row[longest:].any()
    tokens = read(f"{prefix}_token_count.csv")
    counts = [sum(map(int, row.values())) for row in tokens]
    assert counts == lengths.sum(axis=1).tolist()
    top = read(f"{prefix}_top_samples_per_batch.csv")
    assert [row["Iteration"] for row in top] == [str(i // 5) for i in range(20)]
    assert [float(row["Reward"]) for row in top[::5]] == [float(row["r_max"]) for row in log]
    cache = read(f"{prefix}_cache.csv")
    assert len(cache) == result["n_cached"]
    assert sum(int(row["count_on_policy"]) for row in cache) == 400
    assert cache[0]["str"] == read(f"{prefix}_hof.csv")[0]["traversal"]


def test_tensorboard_holds_what_each_iteration_did(tmp_path):
    model = DeepSymbolicOptimizer(config(tmp_path, **EVERYTHING))
    model.train()
    events = EventAccumulator(str(tmp_path / "run" / "dso_Nguyen-5_0_summary"))
    events.Reload()
    log = read(tmp_path / "run" / "dso_Nguyen-5_0.csv")
    values = {tag: [e.value for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert values["reward"] == pytest.approx([float(row["r_avg_sub"]) for row in log])
    assert values["baseline"] == pytest.approx([float(row["baseline"]) for row in log])
    terms = np.add(values["method_loss"], values["entropy_loss"])
    np.testing.assert_allclose(values["total_loss"], terms, rtol=1e-5)
    assert min(values["gradient_norm"]) > 0
    histograms = set(events.Tags()["histograms"])
    names = list(model.policy.state_dict())
    assert histograms == {"rewards", "lengths"} | {
        f"{kind}/{name}" for kind in ("parameters", "gradients") for name in names
    }


def test_recording_changes_nothing_that_is_searched(tmp_path):
    plain, watched = (DeepSymbolicOptimizer(config(tmp_path, **c)) for c in ({}, EVERYTHING))
    plain.train()
    log = read(tmp_path / "run" / "dso_Nguyen-5_0.csv")
    assert recorded(tmp_path / "run") == []
    watched.train()
    assert read(tmp_path / "run" / "dso_Nguyen-5_0.csv") == log


def test_an_error_in_an_iteration_leaves_what_was_recorded(tmp_path, monkeypatch):
    quiet = {**EVERYTHING, "logging": {**EVERYTHING["logging"], "save_freq": 0}}
    model = DeepSymbolicOptimizer(config(tmp_path, **quiet))
    model.train_one_step()

    def fail(*arguments, **others):
        raise UserError("the task failed")

    monkeypatch.setattr(model.evaluator, "evaluate", fail)
    with pytest.raises(UserError, match="the task failed"):
        model.train_one_step()
    assert recorded(tmp_path / "run") == RECORDED
    assert np.load(tmp_path / "run" / "dso_Nguyen-5_0_all_r.npy").shape == (1, 100)
    assert len(read(tmp_path / "run" / "dso_Nguyen-5_0_cache.csv")) == model.evaluator.n_cached


def test_a_run_that_cannot_do_one_iteration_records_nothing(tmp_path, monkeypatch):
    model = DeepSymbolicOptimizer(config(tmp_path, **EVERYTHING))
    model.setup()

    def fail(*arguments, **others):
        raise UserError("the task failed")

    monkeypatch.setattr(model.evaluator, "evaluate", fail)
    with pytest.raises(UserError, match="the task failed"):
        model.train_one_step()
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_nothing_is_recorded_and_nothing_kept():
    model = DeepSymbolicOptimizer(config(**EVERYTHING))
    model.setup()
    assert [type(one) for one in model.journal.recorders] == [Progress]
    assert model.evaluator.archive is None


def test_rewards_with_noise_are_not_a_cache_to_save(tmp_path, caplog):
    noisy = config(tmp_path, task={"reward_noise": 0.1}, logging={"save_cache": True})
    model = DeepSymbolicOptimizer(noisy)
    model.setup()
    assert "save_cache" in caplog.text
    assert CacheDump not in map(type, model.journal.recorders)


def test_debug_levels_print_parameters(capsys):
    model = DeepSymbolicOptimizer(config(training={"debug": 2, "n_samples": 200}))
    model.train()
    text = capsys.readouterr().out
    titles = [line for line in text.splitlines() if line.startswith("iteration")]
    assert titles == [f"iteration {i}, {when}:" for i in (1, 2) for when in ("start", "end")]
    assert "dense.kernel: mean" in text
    assert "policy parameters" not in text


@pytest.mark.parametrize("section", ["policy", "policy_optimizer"])
def test_debug_of_the_policy_prints_its_shapes_once(capsys, section):
    model = DeepSymbolicOptimizer(config(**{section: {"debug": 1}}))
    model.train()
    text = capsys.readouterr().out
    n_weights = sum(parameter.numel() for parameter in model.policy.parameters())
    assert text.count("policy parameters:") == 1
    assert text.rstrip().endswith(f"in all: {n_weights}")
