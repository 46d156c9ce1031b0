"""Recovery: how many held-out skeletons a network finds again, and which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dso.library import Library, create_tokens
from dso.pretraining.distribution import Distribution
from dso.pretraining.examples import RICH, ExampleMaker
from dso.pretraining.model import Candidates, PretrainedModel
from dso.pretraining.pool import Pool
from dso.pretraining.vocabulary import Vocabulary
from dso.prior.joint_prior import JointPrior
from dso.program import FitData, mean_squared_error
from dso.streams import Stream

THRESHOLD = 1e-12
"""Normalised error on fresh rows below which an expression counts as found."""
N_ROWS, N_FRESH = 64, 200
SIZES = (6, 9, 99)
"""Largest numbers of tokens of the groups by size."""
MAX_LENGTH = 40


@dataclass(frozen=True)
class Problem:
    """Rows of a skeleton, and others to judge by.

    Attributes
    ----------
    data, fresh : FitData
    prior : JointPrior
    n_inputs, n_tokens : int
        Of the skeleton.
    """

    data: FitData
    fresh: FitData
    prior: JointPrior
    n_inputs: int
    n_tokens: int

    @property
    def size(self) -> int:
        """Number of its group by size."""
        return next(i for i, most in enumerate(SIZES) if self.n_tokens <= most)


class RecoverySet:
    """Problems from held-out skeletons, as many of each group of size and inputs.

    Parameters
    ----------
    held_out : Pool
    distribution : Distribution
    vocabulary : Vocabulary
    n : int
        How many problems.
    """

    def __init__(
        self, held_out: Pool, distribution: Distribution, vocabulary: Vocabulary, n: int = 90
    ) -> None:
        quiet = replace(distribution, noise={**distribution.noise, "share": 0.0})
        self._maker = ExampleMaker(held_out, quiet, vocabulary, weighted=False)
        self._pool, self._vocabulary = held_out, vocabulary
        self.problems = list(self._problems(n))

    def _problems(self, n: int) -> Iterator[Problem]:
        most = self._vocabulary.n_inputs
        n_each = n // (most * len(SIZES))
        counts = np.zeros((most, len(SIZES)), dtype=int)
        for skeleton in range(len(self._pool)):
            generator = Stream(2, "pretraining recovery", skeleton).generator()
            problem = self._problem(skeleton, generator)
            if problem is None:
                continue
            group = problem.n_inputs - 1, problem.size
            if counts[group] < n_each:
                counts[group] += 1
                yield problem
            if (counts == n_each).all():
                return

    def _problem(self, skeleton: int, generator: np.random.Generator) -> Problem | None:
        row = self._pool.row(skeleton)
        made = self._maker.of_skeleton(skeleton, generator, N_ROWS + N_FRESH)
        if made is None:
            return None
        spelling, x, y = made
        n_columns = spelling.n_inputs
        library = Library(create_tokens(n_columns, [*RICH, "arcsin", "arctan", "const"]))
        rows = FitData.of_rows(library, x[:, :n_columns], y)
        prior = JointPrior(library, [], max_length=MAX_LENGTH)
        n_inputs = len({token for token in row if token < self._vocabulary.n_inputs})
        return Problem(
            rows.on_rows(slice(N_ROWS)),
            rows.on_rows(slice(N_ROWS, None)),
            prior,
            n_inputs,
            len(row),
        )

    def found(self, model: PretrainedModel, n: int) -> np.ndarray:
        """Tell which problems are solved with `n` skeletons each, (problems,) bool."""
        method = "beam" if n == 1 else "sample"
        return np.array(
            [
                is_recovered(
                    model.candidates_for(problem.data, problem.prior, n, method=method), problem
                )
                for problem in self.problems
            ]
        )

    def table(self, found: np.ndarray) -> dict[str, float]:
        """Return the share of problems solved, of all and by group; an empty group has none."""
        groups = {"all": [True for _ in self.problems]}
        for inputs in range(1, self._vocabulary.n_inputs + 1):
            groups[f"inputs_{inputs}"] = [p.n_inputs == inputs for p in self.problems]
        for size, most in enumerate(SIZES):
            groups[f"tokens_{most}"] = [p.size == size for p in self.problems]
        return {
            name: round(float(found[is_in].mean()), 3)
            for name, is_in in groups.items()
            if any(is_in)
        }


def is_recovered(candidates: Candidates, problem: Problem) -> bool:
    """Tell whether one of the five best candidates has the values of fresh rows."""
    best = candidates.programs[:5]
    if not len(best):
        return False
    fresh = problem.fresh
    errors = mean_squared_error(fresh.library, best, fresh.columns, fresh.y).values
    return bool((errors < THRESHOLD * np.var(fresh.y)).any())
