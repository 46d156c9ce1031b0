"""Islands that differ by what functions they may use."""

import pytest

from dso.islands import Archipelago
from dso.islands.portfolio import function_sets
from tests.support.runs import config


def test_functions_are_left_out_by_kind() -> None:
    everything = ["+", "mul", "sin", "exp", "log", 2.0, "const"]
    assert function_sets(everything) == [
        {},
        {"task.function_set": ["+", "mul", "sin", 2.0, "const"]},
        {"task.function_set": ["+", "mul", "exp", "log", 2.0, "const"]},
        {"task.function_set": ["+", "mul", 2.0, "const"]},
    ]


@pytest.mark.parametrize("functions", [None, [], ["add", "mul"], ["sin"], ["exp", "log"]])
def test_what_would_leave_nothing_or_all_is_no_other_set(functions) -> None:
    assert function_sets(functions) == [{}]


def test_one_kind_makes_two_sets() -> None:
    assert function_sets(["add", "cos"]) == [{}, {"task.function_set": ["add"]}]


def test_auto_is_dealt_out_in_turn() -> None:
    sections = config(islands={"n": 5, "portfolio": "auto"}, training={"n_samples": 1000})
    sections["task"]["function_set"] = ["add", "mul", "sin", "log"]
    model = Archipelago(sections)
    model.setup()
    sets = [island.config["task"]["function_set"] for island in model.islands]
    assert sets == [
        ["add", "mul", "sin", "log"],
        ["add", "mul", "sin"],
        ["add", "mul", "log"],
        ["add", "mul"],
        ["add", "mul", "sin", "log"],
    ]
