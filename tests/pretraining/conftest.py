"""A small pool and an untrained network, made once."""

import pytest
import torch

from dso.pretraining.distribution import Distribution, load_distribution
from dso.pretraining.model import PretrainedModel
from dso.pretraining.network import Network
from dso.pretraining.pool import Pool, PoolBuilder
from dso.pretraining.vocabulary import Vocabulary
from tests.support.pretraining import TINY


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary()


@pytest.fixture(scope="session")
def distribution() -> Distribution:
    return load_distribution()


@pytest.fixture(scope="session")
def pool(distribution: Distribution, vocabulary: Vocabulary) -> Pool:
    """Return about a thousand skeletons."""
    builder = PoolBuilder(distribution, vocabulary, seed=3, chunk=1500)
    builder.build_chunk()
    return builder.pool()


@pytest.fixture(scope="session")
def network(vocabulary: Vocabulary) -> Network:
    torch.manual_seed(0)
    return Network(TINY, vocabulary.n_inputs, len(vocabulary)).eval()


@pytest.fixture(scope="session")
def model(network: Network, vocabulary: Vocabulary) -> PretrainedModel:
    return PretrainedModel(network, vocabulary)
