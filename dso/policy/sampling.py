"""From a prior and a network's logits to a batch, and from given programs to a replay.

`sample_stepwise` serves priors and networks that are not native. The native policy under compiled
priors alone samples in one native loop; both draw the same programs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dso.errors import UserError
from dso.native import _core
from dso.policy.advice import Advice, StepLogits
from dso.policy.policy import Replay
from dso.prior.joint_prior import JointPrior
from dso.prior.python_prior import plain_observation
from dso.program.batch import Batch
from dso.program.columns import PAD
from dso.program.program_batch import ProgramBatch

Stepper = _core.Stepper32 | _core.Stepper64
NativeReplay = Callable[
    [_core.RuleSet, _core.Observation, _core.Programs],
    tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
]
"""``_core.replay32`` or ``_core.replay64``."""


@dataclass(frozen=True)
class Drawn:
    """What a sampler returns.

    Attributes
    ----------
    tokens : (B, T) int16
        Padded with PAD.
    lengths : (B,) int32
        0 for rows that were given up.
    withdrawn : int
        Draws that met a dead end.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    withdrawn: int


def sample_stepwise(
    n: int,
    key: int,
    prior: JointPrior,
    observation: _core.Observation,
    start: Callable[[int], StepLogits],
    stepper: type[Stepper] = _core.Stepper32,
    advice: Advice | None = None,
) -> Drawn:
    """Draw `n` programs, all rows of a round at the same position.

    Rows that met a dead end are drawn again in a further round of only those.

    Parameters
    ----------
    n : int
    key : int
        Of the stream; row i draws from (key, i, attempt).
    prior : JointPrior
    observation : Observation
        What the network sees.
    start : callable
        Makes the step function for a round of this many rows.
    stepper : type
        ``_core.Stepper32`` or ``_core.Stepper64``.
    advice : Advice, optional
    """
    tokens = np.full((n, prior.max_length), PAD, dtype=np.int16)
    lengths = np.zeros(n, dtype=np.int32)
    rows = np.arange(n)
    withdrawn = 0
    for attempt in range(_core.MAX_ATTEMPTS):
        walk = stepper(prior.rules, key, rows.tolist(), attempt, prior.max_length)
        _walk(walk, prior, observation, start(len(rows)), advice)
        tokens[rows], lengths[rows] = walk.tokens, walk.lengths
        rows = rows[lengths[rows] == 0]
        withdrawn += len(rows)
        if len(rows) == 0:
            break
    tokens[lengths == 0] = PAD
    return Drawn(tokens, lengths, withdrawn)


def _walk(
    walk: Stepper,
    prior: JointPrior,
    observation: _core.Observation,
    step: StepLogits,
    advice: Advice | None,
) -> None:
    """Choose tokens until every row is finished or stuck."""
    plain = plain_observation(prior.library)
    advise = None if advice is None else advice.start()
    for t in range(prior.max_length):
        features, open_slots = walk.observe(observation)
        logits = step(features, open_slots)
        if not (logits[open_slots > 0] < np.inf).all():
            raise UserError(
                "the policy returned NaN or +inf as a logit; if its weights are no longer finite, "
                "policy_optimizer.learning_rate is too large."
            )
        if prior.python:
            features, open_slots = walk.observe(plain)
            actions = np.maximum(walk.tokens[:, :t], 0).astype(np.int32)
            logits = logits + prior.python.adjustments(
                actions, features[:, 1], features[:, 2], open_slots.astype(np.int32)
            )
        if advice is not None and advise is not None:
            logits = logits + advise(*walk.observe(advice.observation))
        walk.choose(logits)
        if walk.n_active == 0:
            return


def make_batch(drawn: Drawn, prior: JointPrior) -> Batch:
    """Replace rows that were given up by copies of others, and cut the padding.

    Raises
    ------
    UserError
        If no row could be completed.
    """
    tokens, lengths = drawn.tokens, drawn.lengths
    complete = np.flatnonzero(lengths > 0)
    if len(complete) == 0:
        raise UserError(
            "the priors left no way to complete any program of a whole batch; relax them: "
            + "; ".join(prior.descriptions)
        )
    n = len(tokens)
    if len(complete) < n:
        rows = np.where(lengths > 0, np.arange(n), complete[np.arange(n) % len(complete)])
        tokens, lengths = tokens[rows], lengths[rows]
    width = int(lengths.max())
    programs = ProgramBatch.from_arrays(np.ascontiguousarray(tokens[:, :width]), lengths)
    return Batch(programs, np.ones(n, dtype=bool), withdrawn=drawn.withdrawn)


def make_replay(
    programs: ProgramBatch,
    prior: JointPrior,
    observation: _core.Observation,
    replay: NativeReplay = _core.replay32,
    advice: Advice | None = None,
) -> Replay:
    """Walk programs through traversal state and all priors.

    Parameters
    ----------
    programs : ProgramBatch
    prior : JointPrior
    observation : Observation
        What the network sees.
    replay : callable
        In the precision wanted.
    advice : Advice, optional
    """
    features, open_slots, logits, allowed = replay(prior.rules, observation, programs.native)
    if prior.python:
        logits += prior.python.replay(programs, prior.rules).astype(logits.dtype)
        chosen = np.maximum(programs.tokens, 0).astype(np.intp)[:, :, None]
        allowed &= ~np.isneginf(np.take_along_axis(logits, chosen, axis=2)).any(axis=(1, 2))
    if advice is not None:
        seen, *_ = replay(prior.rules, advice.observation, programs.native)
        logits += advice.logits(seen).astype(logits.dtype)
    return Replay(programs, features, open_slots, logits, allowed)
