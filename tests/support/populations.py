"""Populations of given programs."""

import numpy as np

from dso.gp import Population
from dso.program import ProgramBatch


def population_of(programs: ProgramBatch, rewards=None) -> Population:
    n = len(programs)
    rewards = np.zeros(n) if rewards is None else np.asarray(rewards, dtype=float)
    return Population(programs, rewards, np.zeros(n), programs.keys(), np.zeros(n, np.int32))
