"""Pool: the different skeletons of a distribution, generated once.

A skeleton is a program up to a factor and a summand, with `const` where a number is to be fitted.
Two that have the same values are one, the shorter spelling counts. The pool depends on
distribution, seed and number of chunks alone, so it can be built in pieces, and again anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import numpy as np

from dso.errors import UserError
from dso.pretraining.canonical import (
    CALL,
    FREE,
    PRODUCT,
    SUM,
    Node,
    UndefinedError,
    exponents,
    inputs,
    is_plain,
    numbers,
    up_to_affine,
)
from dso.pretraining.distribution import Distribution
from dso.pretraining.evaluated import excluded_keys, is_excluded
from dso.pretraining.identity import NO_KEY, Identifier
from dso.pretraining.spelling import Speller, UnspellableError, tree_of
from dso.pretraining.trees import TreeSampler, Uniforms
from dso.pretraining.vocabulary import Vocabulary
from dso.program import PAD, ProgramBatch
from dso.streams import Stream

VERSION = 1
CHUNK = 20_000
"""Trees drawn between two points at which a pool may be saved."""
MIN_NEW, N_BARREN = 0.001, 5
"""A pool ends after that many chunks in a row with a smaller share of new skeletons."""
MOST_HELD_OUT = 1 / 8
"""Largest share of the skeletons that exist."""
MAX_FREE = 3
PLAIN_EXPONENTS = frozenset({1 / 3, 2 / 3})
TRIGONOMETRIC = frozenset({"sin", "cos", "tan"})


@dataclass(frozen=True)
class Pool:
    """n skeletons.

    Attributes
    ----------
    tokens : (n, T) int8
        Prefix rows in tokens of the vocabulary, spelled with all of them, padded with -1.
    lengths : (n,) uint8
    counts : (n,) uint32
        How often each was drawn.
    keys : (n, 2) uint64
        Of its values; see `Keys`.
    about : dict
        Vocabulary, hash of the distribution, seed, stream, chunks and trees drawn.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    counts: np.ndarray
    keys: np.ndarray
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.tokens)

    def row(self, i: int) -> list[int]:
        """Return the tokens of skeleton `i`."""
        return self.tokens[i, : self.lengths[i]].tolist()

    @cached_property
    def hash(self) -> str:
        """First 16 digits of the SHA-256 of the skeletons."""
        return sha256(self.tokens.tobytes() + self.lengths.tobytes()).hexdigest()[:16]

    @property
    def n_existing(self) -> float:
        """A lower estimate of how many skeletons there are, found or not (Chao)."""
        once, twice = (int((self.counts == n).sum()) for n in (1, 2))
        return len(self) + once * (once - 1) / (2 * (twice + 1))

    def write(self, file: IO[bytes]) -> None:
        """Write the pool as a compressed npz."""
        about = np.frombuffer(json.dumps(self.about).encode(), np.uint8)
        np.savez_compressed(
            file,
            about=about,
            tokens=self.tokens,
            lengths=self.lengths,
            counts=self.counts,
            keys=self.keys,
        )

    @staticmethod
    def load(path: str | Path) -> Pool:
        """Read a pool.

        Raises
        ------
        UserError
            If the file is none, or of another version.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as data:
                about = json.loads(data["about"].tobytes())
                arrays = {name: data[name] for name in ("tokens", "lengths", "counts", "keys")}
        except OSError as error:
            raise UserError(f"pool {path}: {error.strerror or error}.") from None
        except Exception as error:  # readers of zip and npy raise many kinds on a broken file
            raise UserError(f"pool {path} is broken, or not a pool: {error}.") from None
        if about.get("version") != VERSION:
            raise UserError(f"pool {path} has version {about.get('version')}, not {VERSION}.")
        return Pool(**arrays, about=about)


class PoolBuilder:
    """Generates skeletons chunk by chunk.

    Parameters
    ----------
    distribution : Distribution
    vocabulary : Vocabulary
    seed : int
    stream : str
        Name of the random stream; another one gives other trees.
    chunk : int
        Trees of a chunk.
    excluded : (...) uint64
        Keys of what must not be generated, besides those that never are.
    """

    def __init__(
        self,
        distribution: Distribution,
        vocabulary: Vocabulary,
        *,
        seed: int = 0,
        stream: str = "pool",
        chunk: int = CHUNK,
        excluded: np.ndarray | None = None,
    ) -> None:
        self.distribution = distribution
        self.vocabulary = vocabulary
        self.seed, self.stream, self.chunk = seed, stream, chunk
        self._sampler = TreeSampler(distribution, vocabulary)
        self._speller = Speller.whole(vocabulary)
        self._constant = vocabulary.index["const"]
        self._identifier = Identifier(vocabulary)
        always = excluded_keys(self._identifier, distribution.excluded)
        more = np.empty(0, np.uint64) if excluded is None else excluded
        # What has no key for positive inputs is not for that reason what is excluded.
        self.excluded = np.union1d(always, more[more != NO_KEY])
        self.n_chunks = 0
        self._rows: list[bytes] = []
        self._counts: list[int] = []
        self._keys: list[tuple[int, int]] = []
        self._index: dict[int, int] = {}  # whole key -> skeleton
        self._forms: dict[bytes, int] = {}  # spelling -> skeleton, -1 where it was refused

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def _about(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "vocabulary": list(self.vocabulary.names),
            "distribution": self.distribution.pool_hash,
            "seed": self.seed,
            "stream": self.stream,
            "n_chunks": self.n_chunks,
            "n_trees": self.n_chunks * self.chunk,
        }

    def build_chunk(self) -> None:
        """Draw the trees of the next chunk."""
        stream = Stream(self.seed, f"pretraining {self.stream}", self.n_chunks)
        uniforms = Uniforms(stream.generator())
        waiting: dict[bytes, int] = {}  # spelling -> times drawn
        for _ in range(self.chunk):
            form = self._form(self._sampler(uniforms))
            if form is None:
                continue
            known = self._forms.get(form)
            if known is None:
                waiting[form] = waiting.get(form, 0) + 1
            elif known >= 0:
                self._counts[known] += 1
        self._add(waiting)
        self.n_chunks += 1

    def _form(self, row: Sequence[int]) -> bytes | None:
        """Return the spelling of the skeleton of a tree, None if it is not wanted."""
        try:
            tree = up_to_affine(tree_of(row, self.vocabulary))
            values = list(numbers(tree))
            if not self._is_wanted(tree, values):
                return None
            spelled = self._speller.spell(tree)
        except (UndefinedError, UnspellableError, OverflowError):
            return None
        form = bytes(token for token, _ in spelled)
        if len(form) > self.distribution.max_tokens:
            return None
        # A base that has to be written twice would have its constants twice.
        return form if form.count(self._constant) == values.count(FREE) else None

    def _is_wanted(self, tree: Node, values: list[float]) -> bool:
        return (
            bool(inputs(tree))
            and values.count(FREE) <= MAX_FREE
            and all(value == FREE or is_plain(value) for value in values)
            and all(_is_plain_exponent(value) for value in exponents(tree))
            and trigonometric_depth(tree) <= self.distribution.max_nested_trigonometry
        )

    def _add(self, forms: dict[bytes, int]) -> None:
        """Take in forms that are not known yet."""
        if not forms:
            return
        keys = self._identifier.keys(ProgramBatch.from_rows([list(form) for form in forms]))
        refused = is_excluded(keys, self.excluded)
        both = zip(keys.positive.tolist(), keys.whole.tolist(), strict=True)
        for (form, n), key, is_refused in zip(forms.items(), both, refused.tolist(), strict=True):
            if key[1] == NO_KEY or is_refused:
                self._forms[form] = -1
                continue
            known = self._index.get(key[1])
            if known is None:
                known = self._index[key[1]] = len(self._rows)
                self._rows.append(form)
                self._counts.append(0)
                self._keys.append(key)
            elif (len(form), form) < (len(self._rows[known]), self._rows[known]):
                self._rows[known] = form
            self._counts[known] += n
            self._forms[form] = known

    def pool(self) -> Pool:
        """Return what has been generated so far."""
        lengths = np.array([len(row) for row in self._rows], dtype=np.uint8)
        tokens = np.full((len(self), self.distribution.max_tokens), PAD, dtype=np.int8)
        is_written = np.arange(tokens.shape[1]) < lengths[:, None]
        tokens[is_written] = np.frombuffer(b"".join(self._rows), np.int8)
        keys = np.array(self._keys, dtype=np.uint64).reshape(-1, 2)
        return Pool(tokens, lengths, np.array(self._counts, np.uint32), keys, self._about)

    def resume(self, pool: Pool) -> None:
        """Go on where a pool was saved.

        Raises
        ------
        UserError
            If it was built otherwise.
        """
        for name, value in self._about.items():
            if name not in ("n_chunks", "n_trees") and pool.about[name] != value:
                raise UserError(
                    f"the pool was built with {name} {pool.about[name]!r}, not {value!r}; build "
                    "another one, under another name."
                )
        self.n_chunks = pool.about["n_chunks"]
        content, ends = pool.tokens[pool.tokens != PAD].tobytes(), np.cumsum(pool.lengths)
        starts = (ends - pool.lengths).tolist()
        self._rows = [content[a:b] for a, b in zip(starts, ends.tolist(), strict=True)]
        self._counts = pool.counts.tolist()
        self._keys = [(first, second) for first, second in pool.keys.tolist()]
        self._index = {key[1]: i for i, key in enumerate(self._keys)}
        self._forms = {row: i for i, row in enumerate(self._rows)}


def build_pool(
    builder: PoolBuilder, n: int, after_chunk: Callable[[PoolBuilder], None] | None = None
) -> Pool:
    """Build chunks until there are at least `n` skeletons, or hardly any new ones are found.

    Raises
    ------
    UserError
        If none is found.
    """
    n_barren = 0
    while len(builder) < n and n_barren < N_BARREN:
        n_before = len(builder)
        builder.build_chunk()
        is_barren = len(builder) - n_before < MIN_NEW * builder.chunk
        n_barren = n_barren + 1 if is_barren else 0
        if after_chunk is not None:
            after_chunk(builder)
    if not len(builder):
        raise UserError(
            f"the distribution has no skeleton: {builder.n_chunks * builder.chunk} trees gave "
            "none, except such as are excluded or held out. Allow more operators, numbers of "
            "operators or inputs, or a greater max_tokens."
        )
    return builder.pool()


def build_held_out(builder: PoolBuilder, n: int) -> Pool:
    """Build at least `n` skeletons to be held out; fewer where that would leave few for a pool."""
    found = build_pool(builder, n)
    n_kept = min(len(found), math.ceil(MOST_HELD_OUT * found.n_existing))
    kept = np.arange(n_kept) * len(found) // n_kept  # the first ones are the simplest
    arrays = {name: getattr(found, name)[kept] for name in ("tokens", "lengths", "counts", "keys")}
    return replace(found, **arrays)


def _is_plain_exponent(value: float) -> bool:
    return (abs(value) <= 6 and 2 * value == int(2 * value)) or abs(value) in PLAIN_EXPONENTS


def trigonometric_depth(tree: Node) -> int:
    """Return how many sines, cosines and tangents there are on one way down."""
    kind = tree[0]
    if kind == CALL:
        return trigonometric_depth(tree[2]) + (tree[1] in TRIGONOMETRIC)
    if kind in (PRODUCT, SUM):
        return max((trigonometric_depth(child) for child, _ in tree[-1]), default=0)
    return 0
