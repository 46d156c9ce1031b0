"""The script: a pool, a training that is killed and goes on, and what it leaves."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dso.pretraining.model import PretrainedModel

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
