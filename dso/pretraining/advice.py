"""Advice of the network to a policy, while it writes programs for a table.

The logit of a token becomes that of the policy and of the priors, plus

    w log q(token | table, tokens before)

where q is what the network gives it among the tokens that both know. A token that the network does
not know gets an equal share, and so does each beyond the longest program that it was trained on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dso.policy.advice import StepLogits
from dso.pretraining.decoding import TokenMap
from dso.pretraining.network import Cache, Memory, Network, one_thread
from dso.pretraining.sequences import whole_observation


class NetworkAdvice:
    """What a network would write for a table that it has read.

    Parameters
    ----------
    network : Network
    memory : Memory
        What it has read of the table.
    token_map : TokenMap
    n_tokens : int
        L, of the library.

    Attributes
    ----------
    weight : float
        w above.
    """

    def __init__(
        self, network: Network, memory: Memory, token_map: TokenMap, n_tokens: int
    ) -> None:
        self.network, self.memory, self.map = network, memory, token_map
        self.n_tokens = n_tokens
        self.weight = 1.0
        self.observation = whole_observation(n_tokens)

    def start(self) -> StepLogits:
        """Return what gives the logits of one position after the other; see `Advice.start`."""
        return _Writing(self).step

    @torch.no_grad()
    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return logits of all positions; see `Advice.logits`."""
        found = np.zeros((*features.shape[:2], self.n_tokens))
        longest = self.network.sizes.max_length
        before, parent, sibling = self.seen(features[:, :longest])
        with one_thread():
            logits = self.network.logits(self.memory, before, parent, sibling)
        found[:, :longest] = self.of_library(logits)
        return found

    def seen(self, features: np.ndarray) -> tuple[Tensor, ...]:
        """Return the token before, parent and sibling as tokens of the network."""
        tokens = torch.from_numpy(self.map.of_library[features])
        return tuple(tokens[..., k].contiguous() for k in range(3))

    def of_library(self, logits: Tensor) -> np.ndarray:
        """Return logits (..., L) of the library from those of the network's vocabulary."""
        known = logits.float()[..., torch.from_numpy(self.map.ours)]
        found = np.full((*logits.shape[:-1], self.n_tokens), -np.log(max(1, len(self.map.ours))))
        found[..., self.map.theirs] = torch.log_softmax(known, dim=-1).numpy()
        return self.weight * found


class _Writing:
    """Programs that grow together; only those that are not finished take time."""

    def __init__(self, advice: NetworkAdvice) -> None:
        self.advice = advice
        self._cache: Cache = [None] * len(advice.memory)
        self._rows: np.ndarray | None = None
        self._n_positions = 0

    @torch.no_grad()
    def step(self, features: np.ndarray, open_slots: np.ndarray) -> np.ndarray:
        """Return the logits of the next position, zero in rows that are finished."""
        advice, place = self.advice, self._n_positions
        logits = np.zeros((len(features), advice.n_tokens))
        self._n_positions += 1
        if place >= advice.network.sizes.max_length:
            return logits
        rows = np.flatnonzero(open_slots > 0)
        if self._rows is not None and len(rows) < len(self._rows):
            kept = torch.from_numpy(np.searchsorted(self._rows, rows))
            self._cache = [(k[kept], v[kept]) for k, v in filter(None, self._cache)]
        self._rows = rows
        with one_thread():
            found, self._cache = advice.network.step(
                advice.memory, self._cache, place, *advice.seen(features[rows])
            )
        logits[rows] = advice.of_library(found)
        return logits
