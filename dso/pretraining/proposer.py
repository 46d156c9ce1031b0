"""Proposer: what a pre-trained network considers likely for a run's data, with rewards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dso.part import Part
from dso.pretraining.model import PretrainedModel
from dso.program.batch import Batch, ScoredBatch

if TYPE_CHECKING:
    from dso.evaluation import Evaluator
    from dso.prior import JointPrior


PER_SKELETON = 2
"""Evaluations of a skeleton at most: its own fit, and the program that it becomes."""


@dataclass(frozen=True)
class Suggestions:
    """What the network proposed, and what that cost.

    Attributes
    ----------
    batch : ScoredBatch
        Off policy; the best first. May have no rows.
    n_evaluations : int
    notes : tuple of str
        What a user should know, one line each.
    """

    batch: ScoredBatch
    n_evaluations: int
    notes: tuple[str, ...]


class Proposer:
    """Asks a network about the data of an evaluator's task.

    Parameters
    ----------
    model : PretrainedModel
    prior : JointPrior
        What every program obeys.
    evaluator : Evaluator
        Of a task with `fit_data`.
    n_candidates : int
        Skeletons to decode.
    method : {"beam", "sample"}
    part : Part
        Which of the skeletons are completed here.
    seed : int
    n_threads : int
        Results do not depend on it.
    """

    def __init__(
        self,
        model: PretrainedModel,
        prior: JointPrior,
        evaluator: Evaluator,
        *,
        n_candidates: int,
        method: str,
        part: Part,
        seed: int,
        n_threads: int = 1,
    ) -> None:
        self.model, self.prior, self.evaluator = model, prior, evaluator
        self.n_candidates, self.method, self.part = n_candidates, method, part
        self.seed, self.n_threads = seed, n_threads

    def suggestions(self, iteration: int, n_evaluations: int | None = None) -> Suggestions:
        """Decode, fit and reward.

        Parameters
        ----------
        iteration : int
        n_evaluations : int, optional
            That are left; a skeleton takes up to `PER_SKELETON`, and one is always asked for.
        """
        data = self.evaluator.task.fit_data
        assert data is not None
        n = self.n_candidates
        if n_evaluations is not None:
            n = max(1, min(n, self.part.n * (n_evaluations // PER_SKELETON)))
        found = self.model.candidates_for(
            data,
            self.prior,
            n,
            method=self.method,
            part=self.part,
            seed=self.seed,
            n_threads=self.n_threads,
        )
        programs = found.programs
        bare = Batch.off_policy(replace(programs, constants=np.empty((len(programs), 0))))
        batch = self.evaluator.evaluate(bare, iteration, programs.constants)
        return Suggestions(batch, found.n_evaluations, found.notes)
