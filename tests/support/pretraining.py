"""A tiny network, and canonical trees of formulas."""

from dso.library import OPERATORS
from dso.library.expression import parse
from dso.pretraining.architecture import Architecture
from dso.pretraining.canonical import FREE, INPUT, OPERATIONS, Node, number

TINY = Architecture(
    width=16, n_heads=2, n_latents=3, n_encoder_layers=2, n_decoder_layers=2, widening=2
)

C = 77.0  # in a formula: a number to be fitted


def tree(text: str) -> Node:
    """Read a formula, in which 77 is a number to be fitted."""
    stack: list[Node] = []
    for node in reversed(parse(text).nodes):
        if isinstance(node, str):
            arguments = [stack.pop() for _ in range(OPERATORS[node].arity)]
            stack.append(OPERATIONS[node](*arguments))
        elif isinstance(node, int):
            stack.append((INPUT, node))
        else:
            stack.append(number(FREE if node == C else node))
    return stack[0]
