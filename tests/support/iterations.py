"""Small iterations, as a trainer would hand them over, and a way to read tables back."""

import csv

import numpy as np

from dso.evaluation import Scores
from dso.library import Library, create_tokens
from dso.program import ProgramBatch
from dso.program.batch import Batch
from dso.runs.folder import RunFolder
from dso.training.trainer import Iteration

LIBRARY = Library(create_tokens(2, ["add", "log"]))
ADD, LOG, X1, X2 = (LIBRARY.names.index(name) for name in ("add", "log", "x1", "x2"))


def iteration(number, rows, rewards, cause=None, kept=None, statistics=None):
    """Return an iteration whose programs are the given rows of tokens."""
    n = len(rows)
    rewards = np.array(rewards, dtype=np.float64)
    programs = ProgramBatch.from_rows(rows)
    cause = np.zeros(n, np.uint8) if cause is None else np.array(cause, np.uint8)
    nothing = np.full(n, -1, np.int32)
    scores = Scores(
        rewards, cause, nothing, nothing.astype(np.int16), np.ones(n, bool), n, np.empty((n, 0))
    )
    kept = np.ones(n, bool) if kept is None else np.array(kept, bool)
    batch = Batch(programs, np.ones(n, bool), rewards)
    return Iteration(number, batch, scores, kept, 0.25, statistics or {})


def folder(path):
    return RunFolder(path, "task", 0)


def read(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))
