"""Training: it learns, and a run that was stopped is the run that was not, bit by bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dso.errors import UserError
from dso.pretraining.distribution import Distribution
from dso.pretraining.examples import ExampleMaker
from dso.pretraining.pool import Pool
from dso.pretraining.training import Pretrainer, Recipe, cross_entropy, validation_loss
from dso.pretraining.vocabulary import Vocabulary
from dso.pretraining.weights import Weights
from tests.support.pretraining import TINY

SHORT = Recipe(
    n_steps=40, n_decay=10, batch_size=6, n_warmup=5, learning_rate=3e-3, language_model_every=2
)


@pytest.fixture
def maker(pool: Pool, distribution: Distribution, vocabulary: Vocabulary) -> ExampleMaker:
    return ExampleMaker(pool, distribution, vocabulary)


def pretrainer(maker: ExampleMaker, recipe: Recipe = SHORT, n_threads: int = 1) -> Pretrainer:
    return Pretrainer(maker, maker.vocabulary, TINY, recipe, n_threads=n_threads)


def assert_same_state(one: Pretrainer, other: Pretrainer) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_a_run_that_was_stopped_is_the_same(maker: ExampleMaker) -> None:
    whole = pretrainer(maker)
    for _ in range(3):
        whole.step()
    later = pretrainer(maker)
    later.load_state_dict(whole.state_dict())
    losses = [[trainer.step() for _ in range(2)] for trainer in (whole, later)]
    assert losses[0] == losses[1]
    assert_same_state(whole, later)


def test_the_number_of_threads_changes_nothing(maker: ExampleMaker) -> None:
    one, three = pretrainer(maker), pretrainer(maker, n_threads=3)
    for _ in range(3):
        assert one.step() == three.step()
    assert_same_state(one, three)


def test_a_step_follows_the_gradient_of_the_whole_batch(maker: ExampleMaker) -> None:
    trainer = pretrainer(maker)
    learner = trainer.learners["network"]
    batch = trainer.batches(maker(6, np.random.default_rng(3)))
    loss = cross_entropy(learner.network, batch)
    expected = torch.autograd.grad(loss, list(learner.parameters.values()))
    assert learner.differentiate(batch) == pytest.approx(float(loss.detach()), rel=1e-5)
    for (name, parameter), gradient in zip(learner.parameters.items(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_the_loss_falls_and_the_average_is_what_is_kept(maker: ExampleMaker) -> None:
    trainer = pretrainer(maker, Recipe(n_steps=30, n_decay=10, batch_size=16, n_warmup=3))
    validation = [trainer.batches(maker(32, np.random.default_rng(9), n_points=20))]
    learner = trainer.learners["network"]
    before = validation_loss(learner.averaged(), iter(validation))
    for _ in range(25):
        trainer.step()
    after = validation_loss(learner.averaged(), iter(validation))
    assert after < before - 0.2
    assert trainer.n_examples == 25 * 16
    name = "head.weight"
    assert not torch.equal(learner.averages[name], learner.parameters[name])


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(n_steps=100, n_decay=20, n_warmup=10, learning_rate=1.0, final_share=0.1)
    rates = np.array([recipe.rate_at(step) for step in range(120)])
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    np.testing.assert_array_equal(rates[10:81], 1.0)
    assert (np.diff(rates[80:101]) < 0).all()
    assert rates[90] == pytest.approx(0.55)
    np.testing.assert_allclose(rates[100:], 0.1)


def test_a_run_may_become_longer_before_its_rate_falls() -> None:
    usual = Recipe(n_steps=100, n_decay=20)
    longer, decay = Recipe(n_steps=200, n_decay=50), Recipe(n_steps=90, n_decay=10)
    assert longer.continues(usual, 80)
    assert not longer.continues(usual, 81)
    assert decay.continues(usual, 80)
    assert usual.continues(usual, 95)
    assert not Recipe(n_steps=100, n_decay=20, batch_size=4).continues(usual, 5)


def test_a_decay_beyond_the_run_is_refused() -> None:
    with pytest.raises(UserError, match=r"recipe\.n_decay is 20, not from 0 to 10"):
        Recipe(n_steps=10, n_decay=20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, r"recipe\.batch_size is 0; a whole number from 1"),
        ({"n_steps": 1e5}, r"recipe\.n_steps is 100000\.0; a whole number"),
        ({"learning_rate": "fast"}, r"recipe\.learning_rate is 'fast'; a number from"),
        ({"averaging": 1.5}, r"recipe\.averaging is 1\.5; a number from 0 to 1"),
        ({"bf16": "yes"}, r"recipe\.bf16 is 'yes'; true or false"),
        ({"seed": -1}, r"recipe\.seed is -1"),
    ],
)
def test_values_of_a_recipe_that_cannot_be_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Recipe(**change)


def test_a_network_that_is_too_short_for_the_targets_is_refused(maker: ExampleMaker) -> None:
    sizes = replace(TINY, max_length=12)
    with pytest.raises(UserError, match=r"max_length is 12; targets have up to 30 tokens"):
        Pretrainer(maker, maker.vocabulary, sizes, SHORT)


def test_what_the_optimiser_needs_is_where_the_weights_are(maker: ExampleMaker) -> None:
    trainer = pretrainer(maker)
    trainer.step()
    learner = trainer.learners["network"]
    state = learner.state_dict()
    # There may be no GPU here, but there is always a device without values.
    learner.parameters = {
        name: torch.nn.Parameter(p.detach().to("meta")) for name, p in learner.parameters.items()
    }
    learner.load_state_dict(state)
    for parameter in learner.parameters.values():
        found = learner.optimizer.state[parameter]
        assert {name: moment.device.type for name, moment in found.items()} == dict.fromkeys(
            ("step", "exp_avg", "exp_avg_sq"), "meta"
        )


def test_training_can_start_from_weights(maker: ExampleMaker) -> None:
    first = pretrainer(maker)
    first.step()
    arrays = {n: p.detach().numpy() for n, p in first.learners["network"].parameters.items()}
    vocabulary = maker.vocabulary
    about = {
        "inputs": vocabulary.n_inputs,
        "functions": list(vocabulary.functions),
        "architecture": TINY.as_dict(),
    }
    second = pretrainer(maker)
    second.start_from(Weights(arrays, about))
    for name, parameter in second.learners["network"].parameters.items():
        np.testing.assert_array_equal(parameter.detach().numpy(), arrays[name])
    assert second.n_steps_done == 0
    for change, message in (
        ({"head.weight": arrays["head.weight"][:5]}, r"another network: head\.weight"),
        ({"head.more": arrays["head.weight"]}, r"another network: it has weight head\.more"),
    ):
        with pytest.raises(UserError, match=message):
            second.start_from(Weights({**arrays, **change}, about))
    for change, message in (
        ({"functions": about["functions"][::-1]}, "have another vocabulary"),
        ({"architecture": {**TINY.as_dict(), "n_heads": 4}}, "have n_heads 4, the network 2"),
    ):
        with pytest.raises(UserError, match=message):
            second.start_from(Weights(arrays, {**about, **change}))
    third = Pretrainer(maker, vocabulary, replace(TINY, n_decoder_layers=1), SHORT)
    with pytest.raises(UserError, match="have n_decoder_layers 2, the network 1"):
        third.start_from(Weights(arrays, about))
