"""Small iterations, as a trainer would hand them over, and a way to read tables back."""

import csv

import numpy as np

from dso.library import Library, create_tokens
from dso.policy_optimizer import Lesson
from dso.runs.folder import RunFolder
from dso.training.stopping import Standing
from dso.training.trainer import Iteration
from tests.support.scored import scored_batch

LIBRARY = Library(create_tokens(2, ["add", "log"]))
ADD, LOG, X1, X2 = (LIBRARY.names.index(name) for name in ("add", "log", "x1", "x2"))


def iteration(number, rows, rewards, cause=None, kept=None, statistics=None):
    """Return an iteration whose programs are the given rows of tokens."""
    batch = scored_batch(rows, rewards, cause)
    kept = np.ones(len(rows), bool) if kept is None else np.array(kept, bool)
    return Iteration(
        Standing(iteration=number), batch, Lesson(kept, 0.25, statistics or {}), {}, {}
    )


def folder(path):
    return RunFolder(path, "task", 0)


def read(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))
