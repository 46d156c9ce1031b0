"""Decoding: allowed, different, and as likely as the network says; compared with all programs."""

import copy
import itertools

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.pretraining.decoding import Decoder
from dso.pretraining.model import PretrainedModel
from dso.pretraining.network import Network
from dso.pretraining.vocabulary import Vocabulary
from dso.prior import make_joint_prior
from dso.prior.joint_prior import JointPrior
from dso.program import FitData, ProgramBatch

X = np.random.default_rng(0).uniform(0.5, 2.0, (30, 2))
Y = X[:, 0] * np.sin(X[:, 1]) + 1.5
RICH = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "n2", "const", 2.0]


def decoder(model: PretrainedModel, prior: JointPrior) -> Decoder:
    return model.ask(FitData.of_rows(prior.library, X, Y), prior).decoder


@pytest.fixture
def small(model: PretrainedModel) -> Decoder:
    library = Library(create_tokens(2, ["add", "sin"]))
    return decoder(model, JointPrior(library, [], max_length=4))


def all_programs(decoder: Decoder) -> dict[tuple[int, ...], float]:
    """Return all programs with their log-probabilities, each from its own prefixes."""
    arities = decoder.prior.library.arities
    n_tokens, longest = len(arities), decoder.max_length
    found = {}
    for length in range(1, longest + 1):
        for row in itertools.product(range(n_tokens), repeat=length):
            n_open = np.cumsum([arities[t] - 1 for t in row]) + 1
            if n_open[-1] == 0 and (n_open[:-1] > 0).all():
                found[row] = _log_prob(decoder, row)
    return found


def _log_prob(decoder: Decoder, row: tuple[int, ...]) -> float:
    prefix = np.full((1, decoder.max_length), -1, dtype=np.int16)
    total, cache = 0.0, [None] * len(decoder.memory)
    for t, token in enumerate(row):
        log_probs, _, cache = decoder.log_probs(prefix, t, cache)
        total += log_probs[0, token]
        prefix[0, t] = token
    return total


def test_a_wide_beam_finds_all_programs(small: Decoder) -> None:
    wanted = all_programs(small)
    assert np.exp(list(wanted.values())).sum() == pytest.approx(1, abs=1e-5)
    found = small.run(1000)
    rows = [tuple(found.programs.row(b).tolist()) for b in range(len(found.programs))]
    assert set(rows) == set(wanted)
    np.testing.assert_allclose(found.log_probs, [wanted[row] for row in rows], atol=1e-4)
    assert (np.diff(found.log_probs) <= 0).all()


def test_a_beam_keeps_the_best_prefixes(small: Decoder) -> None:
    best = max(all_programs(small).items(), key=lambda item: item[1])
    found = small.run(8)
    assert tuple(found.programs.row(0).tolist()) == best[0]
    assert len(found.programs) == 8


def test_draws_are_without_replacement_and_by_chance(
    network: Network, vocabulary: Vocabulary
) -> None:
    sure = copy.deepcopy(network)
    sure.head.weight.data *= 4  # else all programs would be about as likely
    library = Library(create_tokens(2, ["add", "sin"]))
    small = decoder(PretrainedModel(sure, vocabulary), JointPrior(library, [], max_length=3))
    wanted = all_programs(small)
    rows, log_probs = list(wanted), np.array(list(wanted.values()))
    index = {row: i for i, row in enumerate(rows)}
    generator = np.random.default_rng(1)
    n_runs, n = 300, 3  # of 10 programs
    counts = np.zeros(len(rows))
    for _ in range(n_runs):
        drawn = small.run(n, generator)
        chosen = [index[tuple(drawn.programs.row(b).tolist())] for b in range(len(drawn.programs))]
        assert len(set(chosen)) == n
        counts[chosen] += 1
    # The obvious way: add Gumbel noise to all programs, take the largest.
    noise = np.random.default_rng(2).gumbel(size=(20_000, len(rows)))
    top = np.argpartition(-(log_probs + noise), n, axis=1)[:, :n]
    shares = np.bincount(top.ravel(), minlength=len(rows)) / len(noise)
    deviation = np.sqrt(shares * (1 - shares) / n_runs)
    assert (np.abs(counts / n_runs - shares) < 4 * deviation + 0.01).all()


@pytest.mark.parametrize("generator", [None, np.random.default_rng(3)], ids=["beam", "sample"])
def test_all_programs_obey_the_priors(
    model: PretrainedModel, generator: np.random.Generator | None
) -> None:
    library = Library(create_tokens(2, RICH))
    config = {
        "trig": {"on": True},
        "repeat": {"on": True, "tokens": "const", "min_": None, "max_": 1},
        "length": {"on": True, "min_": 4, "max_": 15},
        "relational": {
            "on": True,
            "targets": ["exp"],
            "effectors": ["log"],
            "relationship": "child",
        },
    }
    prior = make_joint_prior(config, library, max_length=15)
    found = decoder(model, prior).run(200, generator)
    assert len(found.programs) > 150
    assert prior.allowed(found.programs).all()
    assert (found.programs.lengths >= 4).all()
    assert len(np.unique(found.programs.keys())) == len(found.programs)


def test_a_network_writes_no_longer_than_it_was_trained(model: PretrainedModel) -> None:
    library = Library(create_tokens(1, ["add", "sin"]))
    found = decoder(model, JointPrior(library, [], max_length=200))
    assert found.max_length == model.network.sizes.max_length


def test_tokens_that_the_network_does_not_know_are_not_written(model: PretrainedModel) -> None:
    library = Library(create_tokens(2, ["add", "harmonic", "max", 7.0, "sin"]))
    found = decoder(model, JointPrior(library, [], max_length=7)).run(100)
    used = {library.names[t] for t in found.programs.tokens[found.programs.tokens >= 0].tolist()}
    assert used == {"x1", "x2", "add", "sin"}


def test_where_nothing_is_allowed_nothing_is_proposed(model: PretrainedModel) -> None:
    library = Library(create_tokens(1, ["add", "harmonic"]))
    prior = make_joint_prior(
        {"length": {"on": True, "min_": 3, "max_": 4}, "repeat": {
            "on": True, "tokens": "harmonic", "min_": 1, "max_": None}},
        library, max_length=4,
    )  # fmt: skip
    assert len(decoder(model, prior).run(10).programs) == 0
    assert isinstance(decoder(model, prior).run(10).programs, ProgramBatch)
