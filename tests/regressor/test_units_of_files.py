"""The files of a fit show the columns that were given, also if the search saw others."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dso import DeepSymbolicRegressor
from dso.program import from_str_tokens
from dso.runs.folder import DATA_FILE
from dso.task.regression.data_archive import read_archive


@pytest.mark.slow
def test_tables_and_data_are_in_given_units(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(0, 5, 60)
    X, y = 1e6 * x[:, None], 1e-9 * (2 * x + np.sin(x))
    model = DeepSymbolicRegressor(
        n_samples=2000,
        random_state=0,
        verbosity=0,
        n_jobs=1,
        output_directory=tmp_path,
        run_id="run",
    ).fit(X, y)
    folder = tmp_path / "run"
    data = read_archive(folder / DATA_FILE)
    np.testing.assert_allclose(np.sort(data.X_train[:, 0]), np.sort(X[:, 0]))
    np.testing.assert_allclose(np.sort(data.y_train), np.sort(y))
    library = model._targets[0].library
    variance = np.var(data.y_train)
    for name in ("summary", *(path.stem for path in folder.glob("dso_*_pf.csv"))):
        with open(folder / f"{name}.csv", newline="") as file:
            for row in csv.DictReader(file):
                program = from_str_tokens(row["traversal"], library)
                values = program.execute(data.X_train)
                nmse = np.mean((values - data.y_train) ** 2) / variance
                assert float(row["nmse_test"]) == pytest.approx(nmse, rel=1e-6, abs=1e-12)
