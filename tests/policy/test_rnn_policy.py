"""The native policy against torch operations, and its samples against what the priors promise."""

import numpy as np
import pytest
import torch

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.native import _core
from dso.policy import RNNPolicy, StateManager
from dso.prior import make_joint_prior
from dso.streams import Stream
from tests import reference_policy
from tests.support.function_sets import KOZA

PRIORS = {
    "length": {"on": True, "min_": 4, "max_": 20},
    "trig": {"on": True},
    "inverse": {"on": True},
    "uniform_arity": {"on": True},
    "soft_length": {"on": True, "loc": 10, "scale": 5},
}


def make_policy(function_set=KOZA, n_inputs=2, priors=PRIORS, noise=0.3, **options) -> RNNPolicy:
    library = Library(create_tokens(n_inputs, function_set))
    policy = RNNPolicy(library, make_joint_prior(priors, library, max_length=20), **options)
    random = np.random.default_rng(1)
    with torch.no_grad():  # away from the special point of zero weights
        for p in policy.parameters():
            p += torch.from_numpy(noise * random.normal(size=tuple(p.shape))).to(p.dtype)
    return policy


VARIANTS = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "layers": {"num_units": [8, 5]},
    "gru layers": {"cell": "gru", "num_units": 7, "num_layers": 2},
    "var_scale": {"cell": "gru", "initializer": "var_scale"},
    "everything observed": {
        "state_manager": StateManager(True, True, True, True),
    },
    "embedding": {
        "state_manager": StateManager(True, True, True, True, embedding=True, embedding_size=3),
    },
    "floor": {"action_prob_lowerbound": 0.2},
    "gru layers with a floor": {"cell": "gru", "num_units": [8, 5], "action_prob_lowerbound": 0.6},
    "dangling only": {"state_manager": StateManager(False, False, False, True)},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
def test_log_probs_and_entropies_agree_with_torch_per_token(options, dtype, tolerance):
    policy = make_policy(dtype=dtype, **options)
    replay = policy.replay(policy.sample(6, Stream(0, "policy")).programs)
    native = policy.log_prob_and_entropy(replay)
    torch_ = reference_policy.log_prob_and_entropy(policy, replay)
    for ours, theirs in zip(native, torch_, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_gradient_equals_autograd_in_float64(options):
    policy = make_policy(dtype=torch.float64, **options)
    replay = policy.replay(policy.sample(5, Stream(3, "policy")).programs)
    random = np.random.default_rng(0)
    weights = torch.from_numpy(random.normal(size=(2, *replay.programs.tokens.shape)))

    def gradients(log_prob_and_entropy):
        log_prob, entropy = log_prob_and_entropy
        loss = (weights[0] * log_prob + weights[1] * entropy).sum()
        return torch.autograd.grad(loss, policy.parameters())

    native = gradients(policy.log_prob_and_entropy(replay))
    expected = gradients(reference_policy.log_prob_and_entropy(policy, replay))
    assert any(float(g.abs().max()) > 1e-3 for g in expected)
    for ours, theirs in zip(native, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_gradient_passes_a_finite_difference_check(floor):
    policy = make_policy(dtype=torch.float64, num_units=3, action_prob_lowerbound=floor)
    replay = policy.replay(policy.sample(3, Stream(3, "policy")).programs)

    def total() -> torch.Tensor:
        log_prob, entropy = policy.log_prob_and_entropy(replay)
        return log_prob.sum() + 0.5 * entropy.sum()

    gradients = torch.autograd.grad(total(), policy.parameters())
    random = np.random.default_rng(0)
    for p, gradient in zip(policy.parameters(), gradients, strict=True):
        for _ in range(5):
            at = tuple(int(random.integers(n)) for n in p.shape)
            with torch.no_grad():
                before = p[at].item()
                p[at] = before + 1e-6
                up = total().item()
                p[at] = before - 1e-6
                down = total().item()
                p[at] = before
            assert gradient[at].item() == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_sampled_frequencies_follow_the_reported_probabilities(floor):
    policy = make_policy(noise=1.0, action_prob_lowerbound=floor)
    first = policy.sample(20_000, Stream(5, "policy")).programs
    replay = policy.replay(first[[0]])
    with torch.no_grad():
        probabilities = np.zeros(policy.library.L)
        for token in range(policy.library.L):
            if policy.library.arities[token] == 0:
                continue
            rows = np.flatnonzero(first.tokens[:, 0] == token)
            log_prob, _ = policy.log_prob_and_entropy(policy.replay(first[rows[:1]]))
            probabilities[token] = float(log_prob[0, 0].exp())
    frequencies = np.bincount(first.tokens[:, 0], minlength=policy.library.L) / len(first)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(frequencies, probabilities, atol=0.015)
    assert replay.allowed.all()


def test_the_floor_comes_before_the_priors():
    """A network sure of sin leaves 0.4 / L to each other token; the priors then share it out."""
    priors = {"length": {"on": True, "min_": 2, "max_": 4}}
    policy = make_policy(["sin", "cos", "exp"], 1, priors, noise=0, action_prob_lowerbound=0.4)
    with torch.no_grad():
        policy.parameters()[-1][0, policy.library.names.index("sin")] = 100.0
    first = policy.sample(20_000, Stream(0, "policy")).programs.tokens[:, 0]
    shares = np.bincount(first, minlength=4)[[policy.library.names.index("cos")]] / len(first)
    # x1 may not come first: sin has 0.6 + 0.1 and two others 0.1 of what is left, 0.9.
    assert shares == pytest.approx(0.1 / 0.9, abs=0.01)


@pytest.mark.parametrize("floor", [-0.1, 1.0, float("nan")])
def test_a_floor_outside_its_range_is_refused(floor):
    with pytest.raises(ValueError, match="floor"):
        make_policy(action_prob_lowerbound=floor).sample(2, Stream(0, "policy"))


def test_a_row_depends_on_nothing_but_its_index():
    stream = Stream(0, "policy")
    policy = make_policy()
    batch = policy.sample(300, stream).programs
    fewer = policy.sample(37, stream).programs
    network = policy._network(policy._network_parameters())
    arguments = policy.prior.rules, policy._observation, stream.key
    tokens, lengths, _ = network.sample(*arguments, 7, 20, 1, 30)
    np.testing.assert_array_equal(lengths, batch.lengths[30:37])
    np.testing.assert_array_equal(tokens[:, : batch.tokens.shape[1]], batch.tokens[30:37])
    assert network.sample(*arguments, 0, 20)[0].shape == (0, 20)
    threaded = make_policy(n_threads=2).sample(300, stream).programs
    for i in range(37):
        np.testing.assert_array_equal(batch.row(i), fewer.row(i))
    np.testing.assert_array_equal(batch.tokens, threaded.tokens)


def test_untrained_policy_is_the_softmax_of_the_priors():
    policy = make_policy(noise=0)
    replay = policy.replay(policy.sample(4, Stream(0, "policy")).programs)
    log_prob, _ = policy.log_prob_and_entropy(replay)
    for b in range(4):
        for t, token in enumerate(replay.programs.row(b)):
            expected = torch.log_softmax(torch.from_numpy(replay.prior[b, t]), 0)[int(token)]
            assert log_prob[b, t].item() == pytest.approx(expected.item(), abs=1e-6)


def test_dead_ends_are_drawn_again_and_counted():
    # Below sin no terminal is allowed but x1, and x1 may occur once: a second sin has no way out.
    priors = {
        "length": {"on": True, "min_": 2, "max_": 6},
        "repeat": {"on": True, "tokens": "x1", "max_": 1},
        "relational": {
            "on": True,
            "targets": "x2,add,sin",
            "effectors": "sin",
            "relationship": "child",
        },
    }
    policy = make_policy(["add", "sin"], priors=priors, noise=0)
    batch = policy.sample(500, Stream(0, "policy"))
    assert batch.withdrawn > 0
    assert policy.prior.allowed(batch.programs).all()


def test_priors_without_any_way_to_finish_are_an_error():
    priors = {"repeat": {"on": True, "tokens": "x1", "max_": 0}}
    policy = make_policy(["add", "sin"], n_inputs=1, priors=priors)
    with pytest.raises(UserError, match="no way to complete"):
        policy.sample(10, Stream(0, "policy"))


def test_weights_that_are_no_longer_finite_are_named():
    policy = make_policy()
    with torch.no_grad():
        policy.parameters()[0][0, 0] = float("nan")
    with pytest.raises(UserError, match="no longer finite"):
        policy.sample(10, Stream(0, "policy"))


def test_a_bias_of_several_rows_is_refused():
    parameters = [np.zeros(shape) for shape in ((5, 8), (2, 8), (3, 8), (2, 4), (1, 4))]
    with pytest.raises(ValueError, match="do not fit"):
        _core.Network64("lstm", parameters)


def test_a_network_refuses_symbols_beyond_its_table():
    policy, other = make_policy(), make_policy(n_inputs=9)
    network = policy._network(policy._network_parameters())
    with pytest.raises(ValueError, match="another library"):
        network.sample(policy.prior.rules, other._observation, 0, 5, 20)


def test_weights_are_restored():
    policy, other = make_policy(), make_policy(noise=0)
    other.load_state_dict(policy.state_dict())
    stream = Stream(1, "policy")
    np.testing.assert_array_equal(
        policy.sample(20, stream).programs.tokens, other.sample(20, stream).programs.tokens
    )
    with pytest.raises(UserError, match="do not fit"):
        make_policy(num_units=5).load_state_dict(policy.state_dict())


def test_something_must_be_observed():
    with pytest.raises(UserError, match="observe"):
        StateManager(False, False, False, False)


def test_log_probs_of_a_trained_run_agree_with_torch_per_token():
    optimizer = DeepSymbolicOptimizer({"experiment": {"logdir": None}})
    optimizer.config_training["verbose"] = False
    optimizer.setup()
    for _ in range(40):
        optimizer.train_one_step()
    policy = optimizer.policy
    assert np.abs(policy.state_dict()["layer0.recurrent"]).max() > 0.005  # away from the start
    replay = policy.replay(policy.sample(10, Stream(0, "test")).programs)
    native = policy.log_prob_and_entropy(replay)
    torch_ = reference_policy.log_prob_and_entropy(policy, replay)
    for ours, theirs in zip(native, torch_, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=0, atol=1e-5)
