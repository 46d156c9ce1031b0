"""The table of what priors masked: it counts every sample of the run."""

import logging

import numpy as np
import pandas as pd

from dso import DeepSymbolicOptimizer
from dso.program.program_batch import ProgramBatch


def test_the_table_counts_every_sample(tmp_path, caplog):
    optimizer = DeepSymbolicOptimizer(
        {
            "task": {"task_type": "regression", "dataset": "Nguyen-1"},
            "training": {"n_samples": 300, "batch_size": 100, "verbose": False},
            "prior": {"count_constraints": True},
            "experiment": {"logdir": str(tmp_path), "exp_name": "run"},
        }
    )
    batches: list[ProgramBatch] = []
    with caplog.at_level(logging.INFO, logger="dso"):
        optimizer.train(lambda standing: batches.append(optimizer.last.batch.programs))
    assert len(batches) == 3
    everything = ProgramBatch.concatenate(batches)
    expected = optimizer.prior.mask_counts(everything)
    table = pd.read_csv(next(tmp_path.glob("run/*_constraint_counts.csv")))
    for prior, rows in table.groupby("prior"):
        np.testing.assert_array_equal(rows["masked"], expected[prior])
        assert rows["token"].tolist() == optimizer.library.names
    shares = table["masked"] / everything.lengths.sum()
    np.testing.assert_allclose(table["share"], shares)
    assert table.query("prior == 'TrigConstraint' and token == 'sin'")["masked"].item() > 0
    assert any("masked, %" in record.message for record in caplog.records)


def test_without_the_key_nothing_is_counted(tmp_path):
    optimizer = DeepSymbolicOptimizer(
        {
            "task": {"task_type": "regression", "dataset": "Nguyen-1"},
            "training": {"n_samples": 100, "batch_size": 100, "verbose": False},
            "experiment": {"logdir": str(tmp_path), "exp_name": "run"},
        }
    )
    optimizer.train()
    assert not list(tmp_path.glob("run/*constraint*"))
