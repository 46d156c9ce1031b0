"""Advice: what the decoder would say, position by position and all at once, for a policy."""

import numpy as np
import pytest

from dso.library import Library, create_tokens
from dso.native import _core
from dso.policy import Policy, RNNPolicy
from dso.pretraining.advice import NetworkAdvice
from dso.pretraining.model import PretrainedModel
from dso.prior import make_joint_prior
from dso.prior.joint_prior import JointPrior
from dso.program import FitData, ProgramBatch
from dso.streams import Stream
from tests.support.plugins import BagOfSymbols

X = np.random.default_rng(0).uniform(0.5, 2.0, (30, 2))
Y = X[:, 0] * np.sin(X[:, 1]) + 1.5
LIBRARY = Library(create_tokens(2, ["add", "sub", "mul", "sin", "exp", "const"]))


@pytest.fixture
def prior() -> JointPrior:
    return JointPrior(LIBRARY, [], max_length=12)


@pytest.fixture
def advice(model: PretrainedModel, prior: JointPrior) -> NetworkAdvice:
    return model.advice(FitData.of_rows(LIBRARY, X, Y), prior)


@pytest.fixture(params=[RNNPolicy, BagOfSymbols])
def advised(request: pytest.FixtureRequest, prior: JointPrior, advice: NetworkAdvice) -> Policy:
    """Return a policy that prefers nothing itself."""
    policy = request.param(LIBRARY, prior)
    for parameter in policy.parameters() if request.param is BagOfSymbols else ():
        parameter.data.zero_()
    policy.advice = advice
    return policy


def log_probs(policy: Policy, programs: ProgramBatch) -> np.ndarray:
    found, _ = policy.log_prob_and_entropy(policy.replay(programs))
    return found.detach().numpy()


def test_an_untrained_policy_writes_what_the_network_would(
    model: PretrainedModel, prior: JointPrior, advised: Policy
) -> None:
    programs = advised.sample(40, Stream(0, "test")).programs
    found = log_probs(advised, programs)
    decoder = model.ask(FitData.of_rows(LIBRARY, X, Y), prior).decoder
    for b in range(len(programs)):
        cache = [None] * len(decoder.memory)
        for t, token in enumerate(programs.row(b).tolist()):
            said, _, cache = decoder.log_probs(programs.tokens[b : b + 1], t, cache)
            assert found[b, t] == pytest.approx(said[0, token], abs=2e-4)


def test_a_token_that_the_network_does_not_know_gets_an_equal_share(
    model: PretrainedModel,
) -> None:
    library = Library(create_tokens(2, ["add", "harmonic", "sin"]))
    data = FitData.of_rows(library, X, Y)
    advice = model.advice(data, JointPrior(library, [], max_length=9))
    shares = np.exp(advice.start()(np.full((1, 3), library.L, dtype=np.int32), np.ones(1)))[0]
    unknown = library.names.index("harmonic")
    assert shares[unknown] == pytest.approx(1 / 4)
    assert np.delete(shares, unknown).sum() == pytest.approx(1)


def test_position_by_position_is_all_at_once(advised: Policy, advice: NetworkAdvice) -> None:
    programs = advised.sample(60, Stream(1, "test")).programs
    assert programs.lengths.min() < programs.lengths.max()
    rules = advised.prior.rules
    features, *_ = _core.replay32(rules, advice.observation, programs.native)
    write, at_once = advice.start(), advice.logits(features)
    for t in range(programs.tokens.shape[1]):
        is_open = (t < programs.lengths).astype(np.float32)
        found = write(features[:, t], is_open)
        np.testing.assert_allclose(found[is_open > 0], at_once[is_open > 0, t], atol=1e-5)
        assert (found[is_open == 0] == 0).all()


def test_weight_zero_changes_nothing(advised: Policy, advice: NetworkAdvice) -> None:
    advice.weight = 0.0
    stream = Stream(2, "test")
    with_advice = advised.sample(50, stream).programs
    advised.advice = None
    np.testing.assert_array_equal(with_advice.tokens, advised.sample(50, stream).programs.tokens)


def test_a_policy_learns_by_the_shares_that_it_draws_by(
    advised: Policy, advice: NetworkAdvice
) -> None:
    advice.weight = 3.0
    programs = advised.sample(4000, Stream(3, "test")).programs
    is_single = programs.lengths == 1
    one = programs[np.flatnonzero(is_single)[:1]]
    share = float(np.exp(log_probs(advised, one)[0, 0]))
    drawn = np.mean(is_single & (programs.tokens[:, 0] == one.tokens[0, 0]))
    assert drawn == pytest.approx(share, abs=4 * np.sqrt(share / 4000))


def test_priors_forbid_what_the_network_likes(model: PretrainedModel) -> None:
    section = {"repeat": {"on": True, "tokens": "mul", "min_": None, "max_": 0}}
    prior = make_joint_prior(section, LIBRARY, max_length=12)
    policy = RNNPolicy(LIBRARY, prior)
    policy.advice = model.advice(FitData.of_rows(LIBRARY, X, Y), prior)
    policy.advice.weight = 50.0
    programs = policy.sample(100, Stream(4, "test")).programs
    assert prior.allowed(programs).all()


def test_beyond_its_longest_program_the_network_is_silent(
    model: PretrainedModel, advice: NetworkAdvice
) -> None:
    longest = model.network.sizes.max_length
    n_tokens = LIBRARY.L
    features = np.full((2, longest + 3, 3), n_tokens, dtype=np.int32)
    assert (advice.logits(features)[:, longest:] == 0).all()
    write = advice.start()
    for t in range(longest + 3):
        found = write(features[:, t], np.ones(2, dtype=np.float32))
        assert (found == 0).all() == (t >= longest)
