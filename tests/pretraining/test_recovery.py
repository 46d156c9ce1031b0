"""Recovery: what is reported of held-out skeletons that are few."""

from dataclasses import replace

import numpy as np

from dso.pretraining.distribution import Distribution
from dso.pretraining.pool import Pool
from dso.pretraining.recovery import RecoverySet
from dso.pretraining.vocabulary import Vocabulary


def test_groups_without_a_problem_have_no_share(
    pool: Pool, distribution: Distribution, vocabulary: Vocabulary
) -> None:
    kept = np.flatnonzero((pool.lengths <= 6) & ~(pool.tokens == 1).any(axis=1))[:4]
    arrays = {name: getattr(pool, name)[kept] for name in ("tokens", "lengths", "counts", "keys")}
    recovery = RecoverySet(replace(pool, **arrays), distribution, vocabulary)
    assert len(recovery.problems) == 4
    found = np.array([True, False, False, False])
    assert recovery.table(found) == {"all": 0.25, "inputs_1": 0.25, "tokens_6": 0.25}
