"""What is printed of the policy's parameters."""

import torch

from dso.runs.recorders import ParameterReport, parameter_table
from tests.support.iterations import X1, iteration


class TwoWeights:
    """A policy as far as reports are concerned."""

    def __init__(self, names=("kernel", "bias")):
        self.names = names
        self.values = [torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.zeros(1)]

    def parameters(self):
        return self.values

    def state_dict(self):
        return {name: v.numpy() for name, v in zip(self.names, self.values, strict=False)}


START = "iteration 1, start:\n  kernel: mean 3.000000e+00, variance 3.500000e+00\n"
START += "  bias: mean 0.000000e+00, variance 0.000000e+00"
END = "iteration 1, end:\n  kernel: mean 4.000000e+00, variance 3.500000e+00\n"
END += "  bias: mean 0.000000e+00, variance 0.000000e+00"


def lines_of_a_step(level):
    lines, policy = [], TwoWeights()
    report = ParameterReport(policy, level, lines.append)
    report.start(1)
    policy.values[0] += 1.0
    report.update(iteration(1, [[X1]], [0.0]))
    report.close()
    return lines


def test_level_one_reports_the_start_of_a_step_and_level_two_its_end_too():
    assert lines_of_a_step(1) == [START]
    assert lines_of_a_step(2) == [START, END]


def test_the_table_names_shapes_and_numbers_of_weights():
    table = "policy parameters:\n  kernel: 2 x 2 = 4\n  bias: 1 = 1\n  in all: 5"
    assert parameter_table(TwoWeights()) == table


def test_parameters_that_the_state_does_not_name_are_numbered():
    table = parameter_table(TwoWeights(names=("one",)))
    assert [line.split(":")[0].strip() for line in table.splitlines()[1:3]] == [
        "parameter0",
        "parameter1",
    ]
