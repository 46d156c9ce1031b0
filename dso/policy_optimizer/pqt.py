"""Priority queue training: imitate the best programs so far.

    loss = -weight mean(log p)

over draws from the queue: maximum likelihood. The size of rewards plays no part, only which
programs are the best, and a good one is learned from again and again instead of once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dso.policy_optimizer.pg import PolicyGradient
from dso.program.batch import ScoredBatch
from dso.program.program_batch import ProgramBatch

if TYPE_CHECKING:
    from dso.memory import PriorityQueue
    from dso.policy import Policy


class PriorityQueueTraining(PolicyGradient):
    """Raise the log-probability of programs drawn from the queue of the best.

    The term is ``-pqt_weight * mean(log_prob)`` over the draws (Abolafia et al., Neural program
    synthesis with priority queue training, 2018); the entropy is that of the kept rows.

    Parameters
    ----------
    policy : Policy
    pqt_batch_size : int
        Programs drawn per step, with replacement, so that they may be more than the queue holds.
    pqt_weight : float
    pqt_use_pg : bool
        Add the policy gradient on the kept rows.
    **section
        See `PolicyOptimizer`.
    """

    uses_queue = True

    def __init__(
        self,
        policy: Policy,
        *,
        pqt_batch_size: int = 1,
        pqt_weight: float = 200.0,
        pqt_use_pg: bool = False,
        **section: Any,
    ) -> None:
        super().__init__(policy, **section)
        self.pqt_batch_size = pqt_batch_size
        self.pqt_weight = pqt_weight
        self.pqt_use_pg = pqt_use_pg

    def step(
        self, batch: ScoredBatch, baseline: float, queue: PriorityQueue | None = None
    ) -> dict[str, float]:
        """Update the policy once; see `PolicyOptimizer.step`. Needs a queue."""
        assert queue is not None
        n_rows, drawn = len(batch), queue.sample(self.pqt_batch_size)
        replay = self.policy.replay(ProgramBatch.concatenate([batch.programs, drawn]))
        log_prob, entropy = self.totals(replay)
        loss = log_prob.new_zeros(())
        if len(drawn):
            loss = -self.pqt_weight * log_prob[n_rows:].mean()
        if self.pqt_use_pg:
            rewards = self.rewards(batch, log_prob)
            loss = loss + self.loss(log_prob[:n_rows], entropy[:n_rows], rewards, baseline)
        return self.descend(loss, entropy[:n_rows])
