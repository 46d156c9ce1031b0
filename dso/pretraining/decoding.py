"""Decoding: the allowed programs that the network considers likely for a table.

Many prefixes grow by one token at a time. Each asks the traversal state of the priors which tokens
may follow, so what is finished obeys them. Of all prefixes the best n are kept: by log-probability
(beam search), or by log-probability with Gumbel noise that a prefix hands on to what it becomes,
which draws n different programs, each as by chance, without replacement (Kool et al., 2019).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dso.library import Library
from dso.policy.sampling import make_replay
from dso.pretraining.network import Cache, Memory, Network
from dso.pretraining.sequences import whole_observation
from dso.pretraining.vocabulary import Vocabulary
from dso.prior.joint_prior import JointPrior
from dso.program import PAD, ProgramBatch


@dataclass(frozen=True)
class Decoded:
    """Different programs, the most likely first.

    Attributes
    ----------
    programs : ProgramBatch
        In tokens of the library, without constants.
    log_probs : (B,) float64
        Over the allowed tokens.
    """

    programs: ProgramBatch
    log_probs: np.ndarray

    def __getitem__(self, which: slice) -> Decoded:
        return Decoded(self.programs[which], self.log_probs[which])


@dataclass(frozen=True)
class _Prefixes:
    """W prefixes of the same length.

    Attributes
    ----------
    tokens : (W, T) int16
    log_probs, scores : (W,) float64
        A score is what the best are chosen by.
    cache : Cache
    """

    tokens: np.ndarray
    log_probs: np.ndarray
    scores: np.ndarray
    cache: Cache


class TokenMap:
    """Where the tokens of a vocabulary are in a library.

    Parameters
    ----------
    vocabulary : Vocabulary
    library : Library
    columns : sequence of int
        Inputs of the library, for the first, second, ... input of the vocabulary.
    skip : collection of str
        Tokens of the vocabulary that are not to be used.

    Attributes
    ----------
    ours, theirs : (n,) int
        Tokens that both have, in the vocabulary and in the library.
    of_library : (L + 1,) int64
        For each token of the library ours, V where there is none; the last stands for no token.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        library: Library,
        columns: Sequence[int],
        skip: Collection[str] = (),
    ) -> None:
        found = vocabulary.tokens_in(library)
        by_column = {library.tokens[t].input_var: t for t in library.input_tokens.tolist()}
        for k in range(vocabulary.n_inputs):
            found[k] = by_column.get(columns[k], -1) if k < len(columns) else -1
        found[[vocabulary.index[name] for name in skip if name in vocabulary.index]] = -1
        self.ours = np.flatnonzero(found >= 0)
        self.theirs = found[self.ours]
        self.of_library = np.full(library.L + 1, len(vocabulary), dtype=np.int64)
        self.of_library[self.theirs] = self.ours

    def allowed(self, n_tokens: int) -> np.ndarray:
        """Return which tokens of the vocabulary the library has, (V,) bool."""
        mask = np.zeros(n_tokens, dtype=bool)
        mask[self.ours] = True
        return mask


class Decoder:
    """Grows programs for one table.

    Parameters
    ----------
    network : Network
    memory : Memory
        What the network has read of the table.
    token_map : TokenMap
    prior : JointPrior
    """

    def __init__(
        self, network: Network, memory: Memory, token_map: TokenMap, prior: JointPrior
    ) -> None:
        self.network, self.memory, self.map, self.prior = network, memory, token_map, prior
        self.max_length = min(prior.max_length, network.sizes.max_length)
        self._arities = np.asarray(prior.library.arities)
        self._observation = whole_observation(prior.library.L)

    def run(self, n: int, generator: np.random.Generator | None = None) -> Decoded:
        """Return up to `n` different programs.

        Parameters
        ----------
        n : int
        generator : numpy Generator, optional
            To draw them; without it the search is a beam search.
        """
        prefixes = _Prefixes(
            np.full((1, self.max_length), PAD, dtype=np.int16),
            np.zeros(1),
            np.zeros(1),
            [None] * len(self.memory),
        )
        finished = _Finished(n)
        for t in range(self.max_length):
            prefixes = self._grown(prefixes, t, n, finished, generator)
            if len(prefixes.tokens) == 0:
                break
        return finished.decoded()

    @torch.no_grad()
    def log_probs(self, prefixes: np.ndarray, t: int, cache: Cache) -> tuple:
        """Return log-probabilities (W, L) of the token at place `t`, open slots (W,) and the cache.

        Parameters
        ----------
        prefixes : (W, T) int16
            Their first `t` tokens count.
        t : int
        cache : Cache
            Of the tokens before.
        """
        rows = np.zeros((len(prefixes), t + 1), dtype=np.int16)
        rows[:, :t] = prefixes[:, :t]
        lengths = np.full(len(rows), t + 1, dtype=np.int32)
        replay = make_replay(ProgramBatch.from_arrays(rows, lengths), self.prior, self._observation)
        seen = torch.from_numpy(self.map.of_library[replay.features[:, t]])  # (W, 3)
        logits, cache = self.network.step(
            self.memory, cache, t, *(seen[:, k].contiguous() for k in range(3))
        )
        whole = np.full((len(rows), self.prior.library.L), -np.inf)
        whole[:, self.map.theirs] = logits.float().numpy()[:, self.map.ours]
        whole[np.isneginf(replay.prior[:, t])] = -np.inf
        return _log_softmax(whole), replay.open_slots[:, t], cache

    def _grown(
        self,
        prefixes: _Prefixes,
        t: int,
        n: int,
        finished: _Finished,
        generator: np.random.Generator | None,
    ) -> _Prefixes:
        """Return the best prefixes with one token more; hand over those that are complete."""
        chosen, n_open, cache = self.log_probs(prefixes.tokens, t, prefixes.cache)
        log_probs = prefixes.log_probs[:, None] + chosen
        scores = log_probs
        if generator is not None:
            scores = _perturbed(log_probs, prefixes.scores, generator)
        rows, tokens = _best(scores, n)
        is_last = n_open[rows] - 1 + self._arities[tokens] == 0
        grown = prefixes.tokens[rows]
        grown[:, t] = tokens
        finished.add(
            grown[is_last], t + 1, log_probs[rows, tokens][is_last], scores[rows, tokens][is_last]
        )
        goes_on = ~is_last & (scores[rows, tokens] > finished.least)
        rows, tokens = rows[goes_on], tokens[goes_on]
        parents = torch.from_numpy(rows)
        kept: Cache = [(k.index_select(0, parents), v.index_select(0, parents)) for k, v in cache]
        return _Prefixes(grown[goes_on], log_probs[rows, tokens], scores[rows, tokens], kept)


class _Finished:
    """The best n complete programs so far."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.least = -np.inf
        self._rows: list[np.ndarray] = []
        self._log_probs, self._scores = np.empty(0), np.empty(0)

    def add(self, rows: np.ndarray, length: int, log_probs: np.ndarray, scores: np.ndarray) -> None:
        self._rows += [row[:length] for row in rows]
        self._log_probs = np.append(self._log_probs, log_probs)
        self._scores = np.append(self._scores, scores)
        if len(self._rows) > self.n:
            best = np.sort(np.argsort(-self._scores, kind="stable")[: self.n])
            self._rows = [self._rows[i] for i in best]
            self._log_probs, self._scores = self._log_probs[best], self._scores[best]
        if len(self._rows) == self.n:
            self.least = float(self._scores.min())

    def decoded(self) -> Decoded:
        order = np.argsort(-self._log_probs, kind="stable")
        programs = ProgramBatch.from_rows([self._rows[i].tolist() for i in order])
        return Decoded(programs, self._log_probs[order])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities (W, L); a row in which nothing is allowed stays at -inf."""
    largest = logits.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.where(np.isneginf(largest), -np.inf, logits - largest)
        found = apart - np.log(np.exp(apart).sum(axis=1, keepdims=True))
    return np.where(np.isneginf(largest), -np.inf, found)


def _perturbed(
    log_probs: np.ndarray, parents: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return log-probabilities (W, L) with Gumbel noise whose largest per row is the parent's."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        noisy = log_probs - np.log(-np.log(generator.random(log_probs.shape)))
        largest = noisy.max(axis=1, keepdims=True)
        # log(exp(-parent) - exp(-largest) + exp(-noisy)), without overflow.
        v = parents[:, None] - noisy + np.log1p(-np.exp(noisy - largest))
        found = parents[:, None] - np.maximum(v, 0) - np.log1p(np.exp(-np.abs(v)))
    return np.where(np.isneginf(log_probs), -np.inf, found)


def _best(scores: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of the `n` largest finite scores, the largest first."""
    flat = scores.ravel()
    if len(flat) > 4 * n:
        candidates = np.argpartition(-flat, n)[:n]
        candidates = np.sort(candidates)
    else:
        candidates = np.arange(len(flat))
    order = candidates[np.argsort(-flat[candidates], kind="stable")][:n]
    order = order[np.isfinite(flat[order])]
    return order // scores.shape[1], order % scores.shape[1]
