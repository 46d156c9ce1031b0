"""A case of every prior, and a prior in Python."""

import numpy as np

from dso.library import Library, MultiDiscreteAction, StateChecker, Stop, create_tokens
from dso.prior import Prior
from dso.units import Quantities
from tests.support.function_sets import KOZA

KOZA_LIBRARY = Library(create_tokens(2, KOZA))
WITH_CONST = Library(create_tokens(2, ["add", "mul", "sin", "const"]))
ACTIONS = Library(
    [
        Stop([0, 0]),
        *(MultiDiscreteAction(dimension, value) for dimension in range(2) for value in range(2)),
        StateChecker(0, 0.0),
    ]
)
NOTHING_FORBIDDEN = None
LENGTH_AND_TIME = Quantities.of(["m", "s"], "m", ["x1", "x2"])

PRIOR_CASES: dict[str, tuple[Library, dict, str | None]] = {
    "relational": (
        KOZA_LIBRARY,
        {"targets": "x1", "effectors": "sub,div", "relationship": "uchild"},
        "sub,x1,x1",
    ),
    "length": (KOZA_LIBRARY, {"min_": 4, "max_": 9}, "sin,x1"),
    "repeat": (KOZA_LIBRARY, {"tokens": "sin,cos", "max_": 1}, "sin,cos,x1"),
    "inverse": (KOZA_LIBRARY, {}, "exp,log,x1"),
    "trig": (KOZA_LIBRARY, {}, "sin,exp,cos,x1"),
    "const": (WITH_CONST, {}, "add,x1,sin,const"),
    "no_inputs": (WITH_CONST, {}, "mul,const,const"),
    "uniform_arity": (KOZA_LIBRARY, {}, NOTHING_FORBIDDEN),
    "language_model": (KOZA_LIBRARY, {"weight": 0.5}, NOTHING_FORBIDDEN),
    "soft_length": (KOZA_LIBRARY, {"loc": 6.0, "scale": 2.0}, NOTHING_FORBIDDEN),
    "domain_range": (KOZA_LIBRARY, {}, "add,x2,log,x1"),
    "multi_discrete": (ACTIONS, {"dense": True}, "x1 < 0.0,a1_1,STOP,STOP"),
    "max_size": (KOZA_LIBRARY, {"max_": 6}, "sin,sin,x1"),
    "max_depth": (KOZA_LIBRARY, {"max_": 3}, "sin,sin,sin,x1"),
    "argument_size": (KOZA_LIBRARY, {"limits": {"div": [-1, 1], "exp": 3}}, "div,x1,sin,x1"),
    "nesting": (KOZA_LIBRARY, {"limits": {"exp": {"exp": 0, "log": 1}}}, "exp,add,x1,exp,x2"),
    "argument_type": (KOZA_LIBRARY, {"tokens": "sin"}, "sin,add,x1,x2"),
    "all_inputs": (KOZA_LIBRARY, {}, "add,x1,x1"),
    "units": (KOZA_LIBRARY, {"quantities": LENGTH_AND_TIME}, "add,x1,x2"),
    "mutually_exclusive": (KOZA_LIBRARY, {"tokens": "sin,cos"}, "add,sin,x1,cos,x1"),
}
"""Library, parameters, and a program that the prior forbids."""


class NoSineOfSine(Prior):
    """A prior in Python: sin may not stand right after sin."""

    def __call__(self, actions, parent, sibling, dangling):
        adjustment = self.init_zeros(actions)
        sin = self.library.index("sin")
        adjustment[actions[:, -1] == sin, sin] = -np.inf
        return adjustment
