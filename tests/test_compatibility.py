"""A task and a prior as people wrote them for the original, by its import paths."""

import json
import pickle
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

import dso
from dso import DeepSymbolicOptimizer
from dso.config import load_config
from dso.fitting.uncertainty import ConstantErrors
from dso.functions import create_tokens
from dso.library import Library, Token
from dso.memory import Batch
from dso.prior import Constraint, Prior
from dso.program import Program, from_str_tokens, from_tokens
from dso.task import HierarchicalTask, SequentialTask, Task

X = np.linspace(-1, 1, 25)[:, np.newaxis]


class CubeTask(HierarchicalTask):
    """Reward closeness to x1^3."""

    def __init__(self, function_set, scale=1.0):
        super().__init__()
        tokens = create_tokens(n_input_var=1, function_set=function_set, protected=False)
        self.library = Library(tokens)
        self.scale = scale
        self.stochastic = False
        self.name = "cube"

    def reward_function(self, p, optimizing=False):
        y = p.execute(X)
        if p.invalid:
            return 0.0
        return self.scale / (1.0 + np.sqrt(np.mean((y - X[:, 0] ** 3) ** 2)))

    def evaluate(self, p):
        return {"success": bool(p.r >= self.scale - 1e-12), "n_tokens": len(p.traversal)}


class NoRepeatedParent(Constraint):
    """Forbid a token right below itself."""

    def __init__(self, library, tokens):
        Prior.__init__(self, library)
        self.tokens = library.actionize(tokens)

    def __call__(self, actions, parent, sibling, dangling):
        prior = self.init_zeros(actions)
        for token in self.tokens:
            prior += self.make_constraint(parent == self.library.parent_adjust[token], [token])
        return prior

    def describe(self):
        return "No token below itself."


def test_both_run_from_a_config(tmp_path):
    config = {
        "task": {"task_type": f"{__name__}:CubeTask", "function_set": ["mul", "sub"], "scale": 2.0},
        "training": {"n_samples": 3000, "batch_size": 200, "verbose": False},
        "prior": {
            "length": {"on": True, "min_": 2, "max_": 9},
            f"{__name__}:NoRepeatedParent": {"on": True, "tokens": "sub"},
        },
        "experiment": {"logdir": str(tmp_path), "exp_name": "old"},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert load_config(str(path))["task"]["scale"] == 2.0
    optimizer = DeepSymbolicOptimizer(str(path))
    result = optimizer.train()
    assert result["r"] == pytest.approx(2.0)
    assert result["success"] is True
    assert result["program"].evaluate["n_tokens"] == len(result["program"].tokens)
    sub = optimizer.library.index("sub")
    table = pd.read_csv(tmp_path / "old" / "dso_cube_0_hof.csv")
    assert not table["traversal"].str.contains("sub,sub").any()
    assert optimizer.prior.python.priors[0].tokens.tolist() == [sub]


def test_programs_are_made_from_tokens_and_text():
    library = CubeTask(["mul", "sub", "const"]).library
    program = from_str_tokens("mul,x1,mul,x1,x1", library)
    assert isinstance(program, Program)
    np.testing.assert_allclose(program.execute(X), X[:, 0] ** 3)
    same = from_tokens(program.tokens, library)
    assert repr(same) == repr(program) == "mul,x1,mul,x1,x1"
    assert all(isinstance(token, Token) for token in same.traversal)
    assert float(from_str_tokens("mul,x1,2.5", library).execute(X)[-1]) == 2.5


def test_names_are_where_they_were():
    assert issubclass(HierarchicalTask, Task)
    assert issubclass(SequentialTask, Task)
    assert issubclass(Constraint, Prior)
    assert {"programs", "on_policy"} <= set(Batch.__dataclass_fields__)


def test_pickles_of_version_0_1_0_find_the_classes_that_they_name():
    # An estimator fitted with `const` holds one of these.
    old = b"cdso.evaluation.uncertainty\nConstantErrors\n."
    assert pickle.loads(old) is ConstantErrors


def test_the_package_knows_its_version():
    assert dso.__version__ == version("deep-symbolic-optimization")
    with pytest.raises(AttributeError, match="__versions__"):
        dso.__versions__  # noqa: B018
