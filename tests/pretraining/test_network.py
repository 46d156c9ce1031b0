"""Network: what it says does not depend on what must not matter, and steps agree with the whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dso.errors import UserError
from dso.pretraining.architecture import Architecture, make_architecture
from dso.pretraining.distribution import Distribution
from dso.pretraining.examples import ExampleMaker
from dso.pretraining.network import Network, half_bits, n_simple_functions, table_sketch
from dso.pretraining.pool import Pool
from dso.pretraining.training import Batches, cross_entropy
from dso.pretraining.vocabulary import Vocabulary
from tests.support.pretraining import TINY

KINDS = {
    "usual": TINY,
    "plain": replace(TINY, sketch=False),
    "seed": replace(TINY, sketch=False, encoder="set_transformer", rows="bits"),
}


@pytest.fixture(scope="module")
def batch(
    pool: Pool, distribution: Distribution, vocabulary: Vocabulary
) -> dict[str, torch.Tensor]:
    maker = ExampleMaker(pool, distribution, vocabulary)
    return Batches(vocabulary)(maker(6, np.random.default_rng(0), n_points=20))


@pytest.fixture(params=list(KINDS))
def any_network(request: pytest.FixtureRequest, vocabulary: Vocabulary) -> Network:
    torch.manual_seed(1)
    return Network(KINDS[request.param], vocabulary.n_inputs, len(vocabulary)).eval()


@torch.no_grad()
def logits(network: Network, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    memory = network.read(batch["x"], batch["y"], batch["level"], batch["allowed"].float())
    return network.logits(memory, batch["before"], batch["parent"], batch["sibling"])


def test_the_order_of_rows_does_not_matter(
    any_network: Network, batch: dict[str, torch.Tensor]
) -> None:
    order = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    turned = {**batch, "x": batch["x"][:, order], "y": batch["y"][:, order]}
    torch.testing.assert_close(
        logits(any_network, turned), logits(any_network, batch), atol=1e-4, rtol=1e-4
    )


def test_data_allowed_tokens_and_level_matter(
    any_network: Network, batch: dict[str, torch.Tensor]
) -> None:
    usual = logits(any_network, batch)
    for name, changed in (
        ("x", batch["x"] * 1.5),
        ("y", batch["y"].flip(1)),
        ("level", batch["level"] + 1),
        ("allowed", ~batch["allowed"]),
    ):
        assert not torch.allclose(logits(any_network, {**batch, name: changed}), usual, atol=1e-3)


def test_a_token_sees_only_those_before_it(
    any_network: Network, batch: dict[str, torch.Tensor]
) -> None:
    later = {name: batch[name].clone() for name in ("before", "parent", "sibling")}
    for features in later.values():
        features[:, 4:] = 0
    torch.testing.assert_close(
        logits(any_network, {**batch, **later})[:, :4], logits(any_network, batch)[:, :4]
    )


@torch.no_grad()
def test_steps_with_a_cache_are_the_whole(
    any_network: Network, batch: dict[str, torch.Tensor]
) -> None:
    memory = any_network.read(batch["x"], batch["y"], batch["level"], batch["allowed"].float())
    whole = logits(any_network, batch)
    cache = [None] * len(memory)
    for t in range(whole.shape[1]):
        features = [batch[name][:, t] for name in ("before", "parent", "sibling")]
        step, cache = any_network.step(memory, cache, t, *features)
        torch.testing.assert_close(step, whole[:, t], atol=1e-4, rtol=1e-4)


def test_a_language_model_does_not_see_rows(
    vocabulary: Vocabulary, batch: dict[str, torch.Tensor]
) -> None:
    network = Network(TINY, vocabulary.n_inputs, len(vocabulary), sees_data=False).eval()
    other = {**batch, "x": batch["x"] + 1, "y": batch["y"] * 2}
    torch.testing.assert_close(logits(network, other), logits(network, batch), rtol=0, atol=0)


def test_cross_entropy_is_over_the_allowed_tokens(
    network: Network, vocabulary: Vocabulary, batch: dict[str, torch.Tensor]
) -> None:
    given = iter(cross_entropy(network, batch, reduction="none"))
    raw = logits(network, batch)
    for b in range(len(raw)):
        kept = batch["allowed"][b]
        for t, token in enumerate(batch["tokens"][b].tolist()):
            if token >= 0:
                wanted = raw[b, t].exp()[kept].sum().log() - raw[b, t, token]
                torch.testing.assert_close(next(given), wanted, atol=1e-4, rtol=1e-4)
    assert next(given, None) is None


def test_bits_are_those_of_half_precision() -> None:
    values = np.array([1.0, -2.5, 0.1, 65504.0, -1e9], dtype=np.float32)
    wanted = np.unpackbits(
        np.clip(values, -65504, 65504).astype(">f2").view(np.uint8).reshape(-1, 2), axis=1
    )
    found = half_bits(torch.from_numpy(values)).numpy()
    np.testing.assert_array_equal(found, wanted.astype(np.float32) * 2 - 1)


def test_a_sketch_has_correlations_with_simple_functions() -> None:
    x = torch.linspace(-2, 2, 50)[None, :, None]
    found = table_sketch(x, x[..., 0] * -3 + 1)
    assert found.shape == (1, 2 * n_simple_functions(1))
    assert found.abs().max() <= 1 + 1e-5
    torch.testing.assert_close(found[0, 0], torch.tensor(-1.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(found[0, 1], torch.tensor(0.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "lstm"}, r"network\.encoder is 'lstm'"),
        ({"rows": "words"}, r"network\.rows is 'words'"),
        ({"width": 10, "n_heads": 4}, "n_heads divides width"),
        ({"n_layers": 3}, "unknown key 'n_layers'"),
    ],
)
def test_sizes_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_architecture(settings)


def test_settings_make_the_architecture() -> None:
    assert make_architecture(TINY.as_dict()) == TINY != Architecture()
