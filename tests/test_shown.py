"""What objects say of themselves, in a terminal and in a notebook."""

import re

from dso import DeepSymbolicOptimizer
from dso.library import Library, create_tokens
from dso.program import from_str_tokens
from tests.support.runs import config


def test_an_optimiser_says_where_it_stands():
    model = DeepSymbolicOptimizer(config())
    assert repr(model) == "<DeepSymbolicOptimizer Nguyen-5: nothing built yet>"
    assert model._repr_latex_() is None
    model.train_one_step()
    assert re.fullmatch(
        r"<DeepSymbolicOptimizer Nguyen-5, seed 0: 100 samples, goes on; best R 0\.\d{6}: .+>",
        repr(model),
    )
    assert model._repr_latex_().startswith(r"$\displaystyle ")
    while model.train_one_step() is None:
        pass
    assert "400 samples, n_samples = 400 are spent; best" in repr(model)


def test_a_policy_says_what_it_is_made_of():
    model = DeepSymbolicOptimizer(config())
    model.setup()
    n_weights = sum(value.numel() for value in model.policy.parameters())
    assert repr(model.policy) == (
        f"<RNNPolicy lstm of 32 units, {model.library.L} tokens, at most 64 a program, "
        f"{n_weights} weights>"
    )


def test_numbers_of_a_program_are_short_where_people_read_them():
    library = Library(create_tokens(1, ["add", "mul", "const"]), ["mass_kg"])
    program = from_str_tokens("add,mul,0.123456789,x1,2.5", library)
    assert program.short_expression(4) == "0.1235*mass_kg + 2.5"
    assert program.expression == "0.123456789*mass_kg + 2.5"
    assert program._repr_latex_() == r"$\displaystyle 0.12346 mass_{kg} + 2.5$"
