"""The script: a pool, a training that is killed and goes on, and what it leaves."""

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from dso.pretraining.model import PretrainedModel
from dso.pretraining.pool import Pool
from tests.support.scripts import script

ROOT = Path(__file__).parents[2]
SETTINGS = (
    "width=16", "n_heads=2", "n_latents=3", "n_encoder_layers=2", "n_decoder_layers=1",
    "n_steps=12", "n_decay=4", "n_warmup=2", "batch_size=8", "language_model_every=3",
)  # fmt: skip


def start(step: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "scripts" / "pretrain.py"), step, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def output(process: subprocess.Popen) -> str:
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    return text


def training(pool: Path, folder: Path, *more: str) -> subprocess.Popen:
    return start(
        "train", "--pool", str(pool), "--folder", str(folder), "--save-every", "0",
        "--validate-every", "6", "--recover-every", "100", "--set", *SETTINGS, *more,
    )  # fmt: skip


@pytest.fixture
def module(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the script with a small pool held out, and without recovery."""
    module = script("pretrain")
    monkeypatch.setattr(module, "held_out_pool", lambda _: pool)
    monkeypatch.setattr(module, "RecoverySet", lambda *_: None)
    monkeypatch.setattr(module.HeldOut, "recovered", lambda *_: {})
    monkeypatch.setattr(module, "VALIDATION_POINTS", (20,))
    monkeypatch.setattr(module, "N_VALIDATION", 8)
    n_threads, level = torch.get_num_threads(), logging.getLogger("dso").level
    yield module
    torch.set_num_threads(n_threads)
    logging.getLogger("dso").setLevel(level)


@pytest.fixture
def train(
    module: ModuleType, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Return a short training of a small pool in this process."""
    write_pool(tmp_path, pool)

    def run(*more: str, settings: tuple[str, ...] = ("n_steps=2", "n_decay=0")) -> None:
        command = [
            "pretrain.py", "train", "--pool", str(tmp_path / "pool.npz"), "--seed", "3",
            "--folder", str(tmp_path / "run"), "--set", *SETTINGS, *settings, *more,
        ]  # fmt: skip
        monkeypatch.setattr(sys, "argv", command)
        module.main()

    return run


def write_pool(folder: Path, pool: Pool) -> None:
    with (folder / "pool.npz").open("wb") as file:
        pool.write(file)


def test_a_training_goes_on_only_with_what_it_began_with(
    tmp_path: Path, pool: Pool, train: Callable[..., None]
) -> None:
    train()
    folder = tmp_path / "run"
    weights = (folder / "weights.npz").read_bytes()
    about = json.loads((folder / "weights.json").read_text())
    assert about["pool"]["hash"] == pool.hash

    # It was killed between the last state and the weights.
    for name in ("weights.npz", "weights.json", "curve.csv"):
        (folder / name).unlink()
    train()
    assert (folder / "weights.npz").read_bytes() == weights
    assert json.loads((folder / "weights.json").read_text()) == about
    assert "validation" in (folder / "curve.csv").read_text()

    longer = ("n_steps=3", "n_decay=0")
    with pytest.raises(SystemExit, match=r"built with --seed 3, not 4; train with --seed 3, or"):
        train("--seed", "4", settings=longer)
    write_pool(tmp_path, replace(pool, tokens=pool.tokens[::-1], lengths=pool.lengths[::-1]))
    with pytest.raises(SystemExit, match=r"error: .*state\.npz was trained with another pool: {'h"):
        train(settings=longer)
    write_pool(tmp_path, pool)
    state = folder / "state.npz"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(SystemExit, match=r"error: .*state\.npz is cut short, or not a state"):
        train(settings=longer)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("width=abc", r"error: network\.width is 'abc'; a whole number from 1 to"),
        ("encoder=3", r"error: network\.encoder is 3"),
        ("batch_size=0", r"error: recipe\.batch_size is 0"),
        ("max_length=12", r"error: network\.max_length is 12"),
        ("depth=3", r"error: --set: unknown name 'depth'"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(
    train: Callable[..., None], setting: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        train(settings=(setting,))


def test_numbers_of_threads_and_steps_are_at_least_one(
    train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--threads", "--validate-every", "--recover-every"):
        with pytest.raises(SystemExit):
            train(option, "0")
        assert f"argument {option}: 0; at least 1 is needed" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_said(
    train: Callable[..., None], device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train("--device", device)
    assert "error: argument --device: " in capsys.readouterr().err


def test_weights_are_judged_as_in_the_curve(
    train: Callable[..., None],
    module: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train()
    weights = tmp_path / "run" / "weights.json"
    last = json.loads(weights.read_text())["log"][-1]["validation"]
    monkeypatch.setattr(sys, "argv", ["pretrain.py", "validate", "--weights", str(weights)])
    capsys.readouterr()
    module.main()
    path, value = capsys.readouterr().out.split(" validation=")
    assert path == str(weights)
    assert float(value) == pytest.approx(last, abs=2e-3)  # weights are in half precision


@pytest.mark.slow
def test_a_training_that_was_killed_ends_with_the_same_weights(tmp_path: Path) -> None:
    pool = tmp_path / "pool.npz"
    output(start("pool", "--out", str(pool), "--n", "2000"))
    output(training(pool, tmp_path / "whole"))

    killed = training(pool, tmp_path / "killed")
    state = tmp_path / "killed" / "state.npz"
    deadline = time.monotonic() + 300
    while not state.exists() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert "going on after step" in output(training(pool, tmp_path / "killed"))

    with (
        np.load(tmp_path / "whole" / "state.npz") as one,
        np.load(tmp_path / "killed" / "state.npz") as other,
    ):
        for name in set(one.files) - {"about"}:  # there is CPU time in it
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert (tmp_path / "whole" / "weights.npz").read_bytes() == (
        tmp_path / "killed" / "weights.npz"
    ).read_bytes()
    with (tmp_path / "killed" / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["6", "12"]
    assert float(rows[1]["validation"]) > 0 < float(rows[1]["validation_language_model"])
    assert 0 <= float(rows[1]["recovery_128"]) <= 1

    model = PretrainedModel.load(tmp_path / "killed" / "weights")
    X = np.random.default_rng(0).uniform(1, 2, (30, 2))
    assert len(model.candidates(X, X[:, 0] * X[:, 1], 10)) > 0

    other = training(pool, tmp_path / "killed", "batch_size=9")
    text, _ = other.communicate(timeout=300)
    assert other.returncode != 0
    assert "was trained with another recipe" in text.splitlines()[-1]
