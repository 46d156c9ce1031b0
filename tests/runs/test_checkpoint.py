"""Checkpoints: a run that was cut off and goes on leaves the files of one never cut off."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dso import DeepSymbolicOptimizer
from dso.errors import Refused, UserError
from dso.policy import TorchPolicy
from dso.runs.checkpoint import Checkpoints, read_checkpoint, write_checkpoint
from dso.runs.disk import Guard
from tests.support.runs import EVERY_2, EVERYTHING, files, long, stop_after

ROOT = Path(__file__).resolve().parents[2]
N_ITERATIONS = 7
STOPPED_AFTER = 5  # the checkpoint is that of iteration 4

KINDS: dict[str, dict] = {
    "pg": {},
    "gru, rmsprop, average": {
        "policy": {"cell": "gru", "num_layers": 2},
        "policy_optimizer": {"optimizer": "rmsprop"},
        "training": {"baseline": "combined"},
    },
    "pqt": {
        "policy_optimizer": {"policy_optimizer_type": "pqt", "pqt_k": 5, "pqt_use_pg": True},
    },
    "ppo": {"policy_optimizer": {"policy_optimizer_type": "ppo", "ppo_n_iters": 2}},
    "memory": {"training": {"use_memory": True, "memory_capacity": 50}},
    "const": {"task": {"function_set": ["add", "mul", "sin", "const"]}},
    "gp": {
        "gp_meld": {"run_gp_meld": True, "generations": 3, "population_size": 60},
        "task": {"function_set": ["add", "mul", "sin", "const"]},
    },
    "poly": {"task": {"function_set": ["add", "mul", "sin", "poly"]}},
    "noise": {"task": {"reward_noise": 0.1}},
    "semantic": {
        "semantic": {"on": True, "max_entries": 2000, "max_lookups": 10_000},
        "gp_meld": {"run_gp_meld": True, "generations": 3, "population_size": 60},
        "task": {"function_set": ["add", "mul", "const"], "dataset": "Nguyen-9"},
    },
    "rows": {
        "task": {
            "batching": True,
            "batching_rows": 7,
            "validation_fraction": 0.2,
            "function_set": ["add", "mul", "sin", "const"],
        },
        "training": {"use_memory": True, "memory_capacity": 50},
    },
    "novel": {"policy": {"sample_novel_batch": True}, "task": {"function_set": ["add", "sin"]}},
    "everything written": {**EVERYTHING, "prior": {"count_constraints": True}},
}


CONTROL = {
    "task": {
        "task_type": "control",
        "env": "Pendulum-v1",
        "n_episodes_train": 3,
        "n_episodes_test": 5,
        "n_episodes_validation": 5,
        "function_set": ["add", "mul", "sin", 1.0],
    },
    "training": {"batch_size": 20},
    "gp_meld": {"run_gp_meld": False},
}


def control(task=(), **sections):
    return {**CONTROL, **sections, "task": {**CONTROL["task"], **dict(task)}}


KINDS |= {
    "control": control(),
    "control, fresh episodes": control({"fix_seeds": False}),
    "control, racing and refined": control({"racing": True, "refine_rounds": 2}),
    "control, acting alike": control(
        {"env": "Pendulum-v1", "n_episodes_train": 6, "refine_rounds": 0, "racing": True},
        gp_meld={"run_gp_meld": True, "generations": 3, "population_size": 80, "n_islands": 1},
    ),
    "control, no front": control({"fix_seeds": False, "racing": True}, logging={"hof": 5}),
    "control, gp": control(gp_meld={"run_gp_meld": True, "generations": 3, "train_n": 5}),
}


def cut_off(model, n):
    """Do n iterations, and leave it as SIGKILL would."""
    for _ in range(n):
        assert model.train_one_step() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_goes_on_leaves_the_same_files(tmp_path, kind):
    whole = DeepSymbolicOptimizer(long(tmp_path, "whole", **KINDS[kind]))
    expected = whole.train(stop_after(N_ITERATIONS))
    first = DeepSymbolicOptimizer(long(tmp_path, "cut", **KINDS[kind]))
    cut_off(first, STOPPED_AFTER)
    # Its file handles; what it wrote after the checkpoint is to be taken back.
    first.journal.close()
    second = DeepSymbolicOptimizer(long(tmp_path, "cut", **KINDS[kind]))
    assert second.resume()
    assert second.trainer.standing.iteration == 4
    result = second.train(stop_after(N_ITERATIONS))
    del expected["program"], result["program"]
    assert result == expected
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert second.journal.checkpoints.found() == []


@pytest.mark.parametrize(
    "kind", ["pg", "everything written", "control", "control, racing and refined"]
)
def test_a_run_that_was_cut_off_in_its_last_steps_repeats_them(tmp_path, monkeypatch, kind):
    """While it chooses, refines and tests; and behind that, before its result is written down."""
    limits = {"training": {**KINDS[kind].get("training", {}), "n_samples": 120}}
    sections = {**KINDS[kind], **limits}
    expected = DeepSymbolicOptimizer(long(tmp_path, "whole", **sections)).train()
    first = DeepSymbolicOptimizer(long(tmp_path, "cut", **sections))
    first.setup()

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(first.task), "final_evaluation", killed)
        with pytest.raises(KeyboardInterrupt):
            first.train()
    second = DeepSymbolicOptimizer(long(tmp_path, "cut", **sections))
    assert second.resume()
    result = second.train()
    del expected["program"], result["program"]
    assert result == expected
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


class OwnPolicy(TorchPolicy):
    def __init__(self, library, prior, **arguments):
        super().__init__(library, prior, **arguments)
        self.table = torch.nn.Parameter(torch.zeros(self.n_symbols, library.L))

    def start(self, n):
        return None

    def step(self, state, features, open_slots):
        return self.table[features].sum(dim=1), None


def test_a_policy_in_torch_goes_on_too(tmp_path):
    own = {
        "policy": {"policy_type": "tests.runs.test_checkpoint:OwnPolicy", "max_length": 12},
        "training": {"batch_size": 20},
    }
    whole = DeepSymbolicOptimizer(long(None, **own))
    expected = whole.train(stop_after(5))
    first, second = (DeepSymbolicOptimizer(long(None, **own)) for _ in range(2))
    cut_off(first, 2)
    second.load(first.save(tmp_path / "state.zip"))
    assert second.train(stop_after(5))["traversal"] == expected["traversal"]
    for name, value in whole.policy.state_dict().items():
        assert isinstance(value, np.ndarray)
        np.testing.assert_array_equal(second.policy.state_dict()[name], value)


def test_a_checkpoint_of_elsewhere_begins_new_files(tmp_path):
    first = DeepSymbolicOptimizer(long(tmp_path, "one"))
    cut_off(first, 3)
    path = first.save(tmp_path / "state.zip")
    first.journal.close()
    section = {**EVERY_2, "load_path": path, "save_on_done": True}
    second = DeepSymbolicOptimizer(long(tmp_path, "two") | {"checkpoint": section})
    second.train(stop_after(5))
    assert len(files(tmp_path / "two")["dso_Nguyen-5_0.csv"]) == 1 + 2
    (newest, *_) = second.journal.checkpoints.found()
    assert newest.name == "dso_Nguyen-5_0_000000005.zip"
    third = DeepSymbolicOptimizer(long(tmp_path, "two"))
    assert third.resume()
    third.train(stop_after(6))
    assert len(files(tmp_path / "two")["dso_Nguyen-5_0.csv"]) == 1 + 3


def test_a_run_that_was_done_is_done_again_at_once(tmp_path):
    sections = long(tmp_path, training={"n_samples": 300})
    sections["checkpoint"] = {"save_on_done": True}
    first = DeepSymbolicOptimizer(sections)
    expected = first.train()
    before = files(tmp_path / "run")
    second = DeepSymbolicOptimizer(sections)
    assert second.resume()
    assert second.train()["traversal"] == expected["traversal"]
    assert second.trainer.standing.iteration == 5
    assert files(tmp_path / "run") == before


def test_an_interrupted_run_can_go_on(tmp_path):
    expected = DeepSymbolicOptimizer(long(tmp_path, "whole")).train(stop_after(6))
    first = DeepSymbolicOptimizer(long(tmp_path, "cut"))

    def interrupt(standing):
        if standing.iteration == 3:
            first.stopping.request("interrupted")

    first.train(interrupt)
    second = DeepSymbolicOptimizer(long(tmp_path, "cut"))
    assert second.resume()
    assert second.train(stop_after(6))["r"] == expected["r"]
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_new_run_of_the_same_name_forgets_the_checkpoints_of_the_old(tmp_path):
    first = DeepSymbolicOptimizer(long(tmp_path))
    cut_off(first, 5)
    first.journal.close()
    second = DeepSymbolicOptimizer(long(tmp_path))
    cut_off(second, 3)
    second.journal.close()
    assert [path.name for path in second.journal.checkpoints.found()] == [
        "dso_Nguyen-5_0_000000002.zip"
    ]


@pytest.fixture
def two(tmp_path):
    """Return a run that was cut off, and its two checkpoints, the newest first."""
    model = DeepSymbolicOptimizer(long(tmp_path))
    cut_off(model, 5)
    model.journal.close()
    paths = model.journal.checkpoints.found()
    assert len(paths) == 2
    return DeepSymbolicOptimizer(long(tmp_path)), paths


def edited(path, **changes):
    """Change what a checkpoint says of itself."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    whole = json.loads(members["state.json"])
    whole["about"].update(changes.pop("about", {}))
    members["state.json"] = json.dumps({**whole, **changes}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


BROKEN = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-300]), "is cut off, damaged"),
    "empty": (lambda path: path.write_bytes(b""), "is cut off, damaged"),
    "foreign": (lambda path: path.write_text("seed,r\n0,1\n"), "is cut off, damaged"),
    "foreign zip": (lambda path: edited(path, format="other"), "is not a checkpoint of dso"),
    "newer": (lambda path: edited(path, version=99), "has version 99, this dso reads up to 1"),
    "other task": (lambda path: edited(path, about={"task": "Nguyen-6"}), "its task is 'Nguyen-6'"),
    "other data": (lambda path: edited(path, about={"data": 5}), "its data is 5"),
    "other parts": (lambda path: edited(path, state={}), "does not fit this run"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_used_is_named_and_the_one_before_it_is_taken(two, caplog, kind):
    model, (newest, before) = two
    damage, message = BROKEN[kind]
    damage(newest)
    assert model.resume()
    assert model.trainer.standing.iteration == 2
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert str(newest) in warning
    assert message in warning
    with pytest.raises(UserError, match=message.split()[0]):
        DeepSymbolicOptimizer(model.config).load(newest)
    model.journal.close()
    before.unlink()
    with pytest.raises(Refused, match="nothing there is touched"):
        model.resume()
    assert newest.exists()


CHANGES = {
    "metric": {"task": {"metric": "neg_mse", "metric_params": []}},
    "protected": {"task": {"protected": True}},
    "noise": {"task": {"reward_noise": 0.1}},
    "complexity": {"training": {"complexity": "length"}},
    "a prior": {"prior": {"length": {"min_": 5, "max_": 20, "on": True}}},
    "the size of the batch": {"training": {"batch_size": 50}},
    "the hall of fame": {"logging": {"hof": 3}},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_run_with_other_settings_does_not_go_on(two, tmp_path, caplog, kind):
    before = files(tmp_path / "run")
    ((section, values),) = CHANGES[kind].items()
    with pytest.raises(Refused, match="nothing there is touched"):
        DeepSymbolicOptimizer(long(tmp_path, **CHANGES[kind])).resume()
    assert f"{section}.{next(iter(values))} is " in caplog.text
    assert files(tmp_path / "run") == before


def test_what_was_left_half_written_goes_when_the_run_goes_on(two, tmp_path):
    folder = tmp_path / "run"
    halves = [f".dso_Nguyen-5_0{suffix}.0123456789abcdef" for suffix in (".csv", "_hof.csv")]
    others = [".dso_Nguyen-5_01.csv.0123456789abcdef", ".mine.csv.0123", ".dso_Nguyen-5_0.csv"]
    for name in [*halves, *others]:
        (folder / name).touch()
    assert two[0].resume()
    assert {path.name for path in folder.glob(".*")} == {*others, ".dso_Nguyen-5_0.lock"}
    two[0].journal.close()


def test_a_run_may_go_on_for_longer_and_say_less(two, tmp_path):
    longer = {"training": {"n_samples": 2 * 10**6, "patience": 5, "n_cores_batch": 2}}
    model = DeepSymbolicOptimizer(long(tmp_path, **longer))
    assert model.resume()
    model.journal.close()


def test_a_log_that_was_shortened_is_said_to_be(two, caplog):
    model, _ = two
    path = Path(model.config["experiment"]["logdir"], "run", "dso_Nguyen-5_0.csv")
    path.write_text(path.read_text()[:200])
    assert model.resume()
    model.journal.close()
    assert "some of its rows are lost" in caplog.text


def test_there_is_nothing_to_save_before_setup_and_no_place_without_a_folder(tmp_path):
    model = DeepSymbolicOptimizer(long(None))
    with pytest.raises(RuntimeError, match="no run yet"):
        model.save()
    model.setup()
    with pytest.raises(UserError, match="a path is needed"):
        model.save()
    with pytest.raises(UserError, match="has no checkpoint of this run"):
        model.load(tmp_path)
    with pytest.raises(UserError, match="No such file"):
        model.load(tmp_path / "gone.zip")


def test_only_plain_values_are_written(tmp_path):
    with pytest.raises(UserError, match=r"state\.a\[1\] is a set"):
        write_checkpoint(tmp_path / "c.zip", {}, {"a": [1, {2}]})
    with pytest.raises(UserError, match=r"state\.b is a ndarray"):
        write_checkpoint(tmp_path / "c.zip", {}, {"b": np.array([None])})
    assert list(tmp_path.iterdir()) == []


numbers = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
)
dtypes = st.sampled_from(["f4", "f8", "i2", "u8", "bool"])
shapes = st.lists(st.integers(0, 3), max_size=3)
arrays = st.builds(lambda dtype, shape: np.ones(shape, dtype), dtypes, shapes)
trees = st.recursive(
    st.one_of(numbers, arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=5).filter(lambda k: k != "$array"), inner, max_size=3),
    ),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@settings(max_examples=20, deadline=None)
@given(state=st.dictionaries(st.text(max_size=5), trees, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("c") / "c.zip"
    if "$array" in state:
        return
    write_checkpoint(path, {"task": "t"}, state)
    about, found = read_checkpoint(path)
    assert about == {"task": "t"}
    assert same(found, state)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the bytes of a checkpoint."""
    path = tmp_path_factory.mktemp("small") / "c.zip"
    write_checkpoint(path, {}, {"a": np.arange(20.0), "b": {"c": np.eye(3, dtype=np.float32)}})
    return path.read_bytes(), path


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_right(small, data):
    content, path = small
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(changed[: data.draw(st.integers(0, len(content)))])
    try:
        _, state = read_checkpoint(path)
    except UserError:
        return
    assert same(state, {"a": np.arange(20.0), "b": {"c": np.eye(3, dtype=np.float32)}})


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    path = tmp_path / "c.zip"
    write_checkpoint(path, {}, {"a": np.arange(3)})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["0.npy"] = members["0.npy"].replace(b"(3,), ", b"(9" + b"9" * 9 + b",), ")[:200]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="damaged"):
        read_checkpoint(path)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_state_of_wrong_arrays_is_refused(running, data):
    """Whatever stands in place of one value, the run refuses it or goes on."""
    model, state = running
    part = data.draw(st.sampled_from(sorted(set(state) - {"standing", "best"})))
    leaves = list(paths_of(state[part], (part,)))
    if not leaves:
        return
    where = data.draw(st.sampled_from(leaves))
    changed = put(state, where, data.draw(st.one_of(numbers, arrays)))
    try:
        model.trainer.load_state_dict(changed)
    except UserError:
        return
    finally:
        model.trainer.load_state_dict(state)


def paths_of(tree, path):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from paths_of(value, (*path, key))
    else:
        yield path


def put(tree, path, value):
    if not path:
        return value
    return {**tree, path[0]: put(tree[path[0]], path[1:], value)}


@pytest.fixture(scope="module")
def running():
    kinds = {**KINDS["pqt"], **KINDS["memory"], **KINDS["novel"]}
    model = DeepSymbolicOptimizer(long(None, **kinds))
    cut_off(model, 2)
    return model, model.trainer.state_dict()


def test_the_last_two_are_kept_and_time_is_a_unit(tmp_path):
    checkpoints = Checkpoints(tmp_path, "dso_a_1", Guard(), 0.02, "seconds")
    checkpoints.start(0)
    assert not checkpoints.is_due(100)
    time.sleep(0.03)
    assert checkpoints.is_due(1)
    other = Checkpoints(tmp_path, "dso_a_11", Guard())
    other.save(7, {}, {})
    for i in (8, 9, 10):
        checkpoints.save(i, {}, {})
    names = [path.name for path in checkpoints.found()]
    assert names == ["dso_a_1_000000010.zip", "dso_a_1_000000009.zip"]
    assert len(other.found()) == 1
    assert not other.is_due(10**9)  # without save_freq


@pytest.mark.parametrize("delay", [0.15])
def test_a_process_that_is_killed_goes_on(tmp_path, delay):
    """SIGKILL at any moment; scripts/soak.py does this for longer and for more kinds."""
    sections = long(tmp_path, "cut", training={"n_samples": 60 * 40})
    (tmp_path / "c.json").write_text(json.dumps(sections))
    call = [sys.executable, "-m", "dso.run"]
    run = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    process = subprocess.Popen([*call, "c.json"], stdout=subprocess.DEVNULL, **run)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cut").glob("checkpoint/*.zip")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    model = DeepSymbolicOptimizer(sections)
    assert model.resume()
    model.train()
    whole = DeepSymbolicOptimizer(long(tmp_path, "whole", training={"n_samples": 60 * 40}))
    whole.train()
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
