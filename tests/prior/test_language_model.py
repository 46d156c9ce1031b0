"""The prior that learns from formulas: shares by hand, logits in the sampler, the corpus."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.native import _core
from dso.policy import RNNPolicy
from dso.pretraining.corpus import corpus_rows
from dso.prior import JointPrior, make_joint_prior
from dso.prior.language_model import LanguageModelPrior, kinds_of
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream
from tests.reference_priors import open_node
from tests.support.runs import config

LIBRARY = Library(create_tokens(3, ["add", "mul", "sin", "const", 2.0]))
TEXTS = ("add,sin,x1,x2", "mul,const,sin,x1", "sin,mul,2.0,x3", "add,x1,mul,x2,x2")
ROWS = [LIBRARY.actionize(text).tolist() for text in TEXTS]


def kind(token: int) -> str:
    """Return the kind of a token by its name."""
    name = LIBRARY.names[token]
    return "input" if name[0] == "x" else "number" if name in ("const", "2.0") else name


KINDS = ["input", "add", "mul", "sin", "number"]


def joint(library: Library = LIBRARY, rows: list = ROWS, **parameters) -> JointPrior:
    section = {"language_model": {"on": True, **parameters}}
    return make_joint_prior(section, library, max_length=30, corpus=lambda formulas: rows)


def reference(parent: str | None, sibling: str | None) -> dict[str, float]:
    """Return P(k | p, s) as the class says, from counters."""
    seen: list[tuple] = []
    for row in ROWS:
        for t, token in enumerate(row):
            node = open_node(row[:t], LIBRARY.arities)
            above = None if node is None else kind(node.token)
            before = kind(node.children[-1].token) if node and node.children else None
            seen.append((above, before, kind(token)))

    def smoothed(matching: list[str], base: dict[str, float]) -> dict[str, float]:
        counts = Counter(matching)
        n, d = len(matching), max(len(counts), 1)
        return {k: (counts[k] + d * base[k]) / (n + d) for k in KINDS}

    shares = smoothed([k for _, _, k in seen], dict.fromkeys(KINDS, 1 / len(KINDS)))
    shares = smoothed([k for p, _, k in seen if p == parent], shares)
    return smoothed([k for p, s, k in seen if (p, s) == (parent, sibling)], shares)


def logits_of(prior: JointPrior, row: list[int]) -> np.ndarray:
    """Return what is added at each position of a program (T, L)."""
    library = prior.library
    programs = ProgramBatch.from_rows([row])
    nothing = _core.Observation(-1, -1, -1, True, library.parent_adjust.tolist(), library.n_parents)
    return _core.replay64(prior.rules, nothing, programs.native)[2][0]


@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 1.0), (0.5, 1.0), (2.0, 3.0)])
def test_the_sampler_adds_what_the_formula_says(weight: float, temperature: float) -> None:
    prior = joint(weight=weight, temperature=temperature)
    sizes = Counter(kind(token) for token in range(LIBRARY.L))
    for text in ("add,mul,x1,const,sin,x2", "sin,sin,x3", "mul,add,x1,x2,add,2.0,x1"):
        row = LIBRARY.actionize(text).tolist()
        found = logits_of(prior, row)
        for t in range(len(row)):
            node = open_node(row[:t], LIBRARY.arities)
            above = None if node is None else kind(node.token)
            before = kind(node.children[-1].token) if node and node.children else None
            shares = {k: p ** (1 / temperature) for k, p in reference(above, before).items()}
            total = sum(shares.values())
            wanted = [
                weight * np.log(shares[kind(token)] / total / sizes[kind(token)])
                for token in range(LIBRARY.L)
            ]
            np.testing.assert_allclose(found[t], wanted, rtol=1e-12)


def test_an_untrained_policy_writes_what_the_formulas_are_like() -> None:
    only_sums = [LIBRARY.actionize(text).tolist() for text in ("add,x1,x2", "add,x1,add,x2,x3")]
    prior = joint(rows=only_sums * 20)
    programs = RNNPolicy(LIBRARY, prior).sample(400, Stream(0, "policy")).programs
    used = Counter(LIBRARY.names[t] for t in programs.tokens[programs.tokens >= 0].tolist())
    assert used["add"] > 20 * (used["mul"] + used["sin"])
    assert used["x1"] == pytest.approx(used["x3"], rel=0.4)  # inputs are alike


def test_weight_0_changes_nothing() -> None:
    row = LIBRARY.actionize("add,x1,sin,x2").tolist()
    np.testing.assert_array_equal(logits_of(joint(weight=0.0), row), 0)


def test_several_add_up() -> None:
    section = {"language_model": [{"on": True}, {"on": True, "weight": 0.5}]}
    both = make_joint_prior(section, LIBRARY, max_length=30, corpus=lambda formulas: ROWS)
    row = LIBRARY.actionize("add,x1,sin,x2").tolist()
    np.testing.assert_allclose(logits_of(both, row), 1.5 * logits_of(joint(), row))


def test_without_formulas_it_is_skipped() -> None:
    assert "No formula can be written" in joint(rows=[]).skipped[0]


def test_kinds_are_inputs_numbers_and_operators() -> None:
    library = Library(create_tokens(2, ["add", "const", 1.0, "poly"]))
    kinds = dict(zip(library.names, kinds_of(library).tolist(), strict=True))
    assert kinds["x1"] == kinds["x2"]
    assert kinds["const"] == kinds["1.0"]
    assert len(set(kinds.values())) == 4


def test_contexts_that_do_not_fit_are_refused() -> None:
    rules = _core.RuleSet([0, 1, 2])
    table = np.zeros((2, 2, 3))
    rules.add_context_logits([0, 1, 1, 0], [0, 0, 1, 1], table)
    for parents, siblings, values in (
        ([0, 1, 1], [0, 0, 1, 1], table),
        ([0, 1, 2, 0], [0, 0, 1, 1], table),
        ([0, 1, 1, 0], [0, 0, -1, 1], table),
        ([0, 1, 1, 0], [0, 0, 1, 1], table[..., :2]),
        ([0, 1, 1, 0], [0, 0, 1, 1], table[0]),
    ):
        with pytest.raises(ValueError, match=r"context|axes"):
            rules.add_context_logits(parents, siblings, values)


# ---- the corpus ----------------------------------------------------------------------------------


def texts(library: Library, rows: list[list[int]]) -> set[str]:
    return {" ".join(library.names[token] for token in row) for row in rows}


def test_formulas_are_written_with_the_tokens_of_the_library() -> None:
    koza = Library(create_tokens(1, ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]))
    rows = corpus_rows(koza)
    assert len(rows) > 60
    arities = koza.arities
    for row in rows:
        assert sum(arities[t] - 1 for t in row) == -1
    assert "add x1 add mul x1 x1 mul x1 mul x1 x1" in texts(koza, rows)  # Nguyen-1


def test_a_benchmark_does_not_learn_from_itself() -> None:
    model = DeepSymbolicOptimizer(
        config(task={"dataset": "Nguyen-1"}, prior={"language_model": {"on": True}})
    )
    model.setup()
    (prior,) = (p for p in model.prior.priors if isinstance(p, LanguageModelPrior))
    gone = texts(model.library, corpus_rows(model.library)) - texts(model.library, prior.rows)
    assert "add x1 add mul x1 x1 mul x1 mul x1 x1" in gone
    assert len(gone) < 6


def test_formulas_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("# springs\nx1*sin(x2)\n\n  x7 + 1.5  \nmax(x1, x2)\n")
    library = Library(create_tokens(2, ["add", "mul", "sin", "const"]))
    assert texts(library, corpus_rows(library, file)) == {"mul x1 sin x2", "add const x1"}


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("x1 + 1\nx1 +\n")
    with pytest.raises(UserError, match=r"formulas: .*own\.txt, line 2"):
        corpus_rows(LIBRARY, file)
    with pytest.raises(UserError, match=r"formulas: .*none\.txt: No such file"):
        corpus_rows(LIBRARY, tmp_path / "none.txt")
