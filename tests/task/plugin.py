"""Tasks as a user would bring them."""

from dso.library import Library, create_tokens
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
