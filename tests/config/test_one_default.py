"""A default stands in the config and in the class that it configures; both say the same."""

import inspect
import math

import pytest
from pydantic import BaseModel

from dso.config import prior_sections, sections, task_sections
from dso.fitting import FitOptions
from dso.fitting.polynomial_fitter import PolynomialOptions
from dso.gp import Breeder, GPOptions
from dso.memory import Keeper
from dso.policy import RNNPolicy, StateManager
from dso.policy_optimizer import Baseline, policy_optimizer_class
from dso.prior.make import PRIORS
from dso.semantic import SemanticLimits
from dso.task.control import ControlTask
from dso.task.regression import RegressionTask
from dso.training.stopping import Stopping

PAIRS: list[tuple[type[BaseModel], type]] = [
    (task_sections.RegressionTask, RegressionTask),
    (task_sections.ControlTask, ControlTask),
    (task_sections.PolyOptimizer, PolynomialOptions),
    (sections.Policy, RNNPolicy),
    (sections.StateManager, StateManager),
    (sections.GPMeld, Breeder),
    (sections.GPMeld, GPOptions),
    (sections.Semantic, SemanticLimits),
    (sections.ConstantFit, FitOptions),
    (sections.Training, Baseline),
    (sections.Training, Stopping),
    (sections.Logging, Keeper),
    *((sections.PolicyOptimizer, policy_optimizer_class(name)) for name in ("pg", "pqt", "ppo")),
    *(
        (type(prior_sections.Priors.model_fields[name].default), made)
        for name, made in PRIORS.items()
    ),
]


def parameters(made: type) -> dict[str, object]:
    """Return the keyword arguments of a class that have a default, those of its bases too."""
    found: dict[str, object] = {}
    for one in reversed(made.__mro__):
        if "__init__" in vars(one):
            found |= {
                p.name: p.default
                for p in inspect.signature(one.__init__).parameters.values()
                if p.default is not p.empty
            }
    return found


def says_nothing(default: object) -> bool:
    """Tell whether a default means "not given", so that the class chooses a value itself."""
    return default is None or default == math.inf or default in ((), [], {})


@pytest.mark.parametrize(("section", "made"), PAIRS, ids=lambda one: one.__name__)
def test_a_class_has_the_default_of_its_section(section, made):
    fields = section.model_fields
    of_class = {n: d for n, d in parameters(made).items() if n in fields and not says_nothing(d)}
    of_config = {name: fields[name].default for name in of_class}
    as_lists = {n: list(d) if isinstance(d, tuple) else d for n, d in of_class.items()}
    assert as_lists == of_config
