"""The lock of a table where the system has none for folders."""

import csv
from pathlib import Path

import pytest

from dso.runs import folder as module
from dso.runs.folder import insert_row


def test_tables_are_written_without_fcntl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fcntl", None)
    for seed in (1, 2):
        insert_row(tmp_path / "summary.csv", {"seed": seed})
    with open(tmp_path / "summary.csv", newline="") as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["1", "2"]
