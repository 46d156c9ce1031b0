"""The interface of policies: how they sample, and what learning needs of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from dso.policy.advice import Advice
from dso.prior.joint_prior import JointPrior
from dso.program.batch import Batch
from dso.program.columns import Columns
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream


@dataclass(frozen=True)
class Replay(Columns):
    """Given programs, walked once through traversal state and priors.

    Attributes
    ----------
    programs : ProgramBatch
    features : (B, T, O) int32
        Rows of the policy's input table.
    open_slots : (B, T) float
        Open slots before each token.
    prior : (B, T, L) float
        Logit adjustments, -inf where a token was forbidden.
    allowed : (B,) bool
        Whether every token of the row obeys the priors; the log-probability of others is -inf.
    """

    programs: ProgramBatch
    features: np.ndarray
    open_slots: np.ndarray
    prior: np.ndarray
    allowed: np.ndarray


class Policy(ABC):
    """A distribution over programs with parameters to learn.

    Attributes
    ----------
    max_length : int
        Longest program that it writes.
    prior : JointPrior
        What it may write.
    advice : Advice, optional
        What it adds to its logits for now.
    """

    max_length: int
    prior: JointPrior
    advice: Advice | None = None

    @abstractmethod
    def sample(self, n: int, stream: Stream) -> Batch:
        """Draw `n` programs; row i depends on nothing but the weights, `stream` and i."""

    @abstractmethod
    def replay(self, programs: ProgramBatch) -> Replay:
        """Walk programs, drawn by whomever, through traversal state and priors."""

    @abstractmethod
    def log_prob_and_entropy(self, replay: Replay) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and entropies per token, each (B, T), zero on padding.

        Differentiable with respect to `parameters`; may be called any number of times on one
        replay while the weights change.
        """

    @abstractmethod
    def parameters(self) -> list[nn.Parameter]:
        """Return what an optimiser updates in place."""

    @abstractmethod
    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the weights by name."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned."""
