"""Tasks, tokens and policies as a user would bring them."""

import numpy as np
import torch
from torch import nn

from dso.library import Library, create_tokens
from dso.policy import TorchPolicy
from dso.task import HierarchicalTask, Task


class CountTokens(HierarchicalTask):
    """Written as for the original: no `optimizing` argument, odd but harmless super() call."""

    def __init__(self, weight):
        super(HierarchicalTask).__init__()
        self.library = Library(create_tokens(1, ["add", "sin"]))
        self.name = "count"
        self.stochastic = False
        self.weight = weight

    def reward_function(self, program):
        return self.weight * len(program)

    def evaluate(self, program):
        return {"length": len(program)}


def make_count(weight, bonus=1) -> Task:
    return CountTokens(weight + bonus)


def make_nothing():
    return None


not_callable = 3


def half(column: np.ndarray) -> np.ndarray:
    return column / 2


class BagOfSymbols(TorchPolicy):
    """Logits from the sum of embedded parent and sibling; no memory."""

    def __init__(self, library, prior, *, width=8, **options):
        super().__init__(library, prior, **options)
        torch.manual_seed(self.seed)
        self.embedding = nn.Embedding(self.n_symbols, width)
        self.head = nn.Linear(width, library.L)

    def start(self, n):
        return None

    def step(self, state, features, open_slots):
        return self.head(self.embedding(features).sum(dim=1)), state
