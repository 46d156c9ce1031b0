"""From skeletons to programs: numbers are fitted, and converted to the user's units.

Where constants can be fitted, a skeleton f stands for a f + b. All its numbers are fitted at once,
in the numbers that the network sees. Then the tree is written in those of the user, with numbers
near plain ones made plain where the error allows that, spelled with the tokens of the library and
fitted once more.

The canonical tree may have fewer values than the skeleton, since sqrt(x / y) becomes sqrt(x) /
sqrt(y), and its spelling may be one that the priors forbid. Where it is, or fits worse than the
skeleton did, the skeleton is fitted as it was written, alone and as a f + b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dso.native import _core
from dso.pretraining.canonical import (
    Node,
    UndefinedError,
    add,
    map_numbers,
    multiply,
    number,
    numbers,
)
from dso.pretraining.decoding import TokenMap
from dso.pretraining.normalising import Normalised
from dso.pretraining.spelling import Speller, UnspellableError, tree_of
from dso.pretraining.vocabulary import Vocabulary
from dso.prior.joint_prior import JointPrior
from dso.program import FitData, ProgramBatch, mean_squared_error
from dso.streams import Stream

N_STARTS = 3
FIT_ROWS = 1000
"""Rows that numbers are fitted to; errors are on all of them."""
NEAR = 1e-5
"""A number this near to a plain one, for its size, may become it."""
WORSE = 1e-3
"""Share by which that may raise the squared error."""
EXACT = 1e-20


@dataclass(frozen=True)
class Completed:
    """Allowed programs with their numbers.

    Attributes
    ----------
    programs : ProgramBatch
        Of the library; in `constants` all numbers that were fitted.
    nmse : (B,) float64
        Mean squared error over the variance of the target; inf where invalid.
    skeletons : (B,) int
        Which skeleton each comes from.
    """

    programs: ProgramBatch
    nmse: np.ndarray
    skeletons: np.ndarray


class Completer:
    """Fits and writes programs for one table.

    Parameters
    ----------
    vocabulary : Vocabulary
    token_map : TokenMap
    prior : JointPrior
        What the programs obey.
    data : FitData
    table : Normalised
        The same rows.
    seed : int
    n_threads : int
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        token_map: TokenMap,
        prior: JointPrior,
        data: FitData,
        table: Normalised,
        *,
        seed: int = 0,
        n_threads: int = 1,
    ) -> None:
        self.vocabulary, self.map, self.prior = vocabulary, token_map, prior
        self.data, self.table, self.n_threads = data, table, n_threads
        self._key = Stream(seed, "pretrained constants").key
        self._rows = _spread_rows(data.n_rows)
        names = [vocabulary.names[t] for t in token_map.ours]
        self._speller = Speller(vocabulary, [name for name in names if name != "poly"])
        self._theirs = np.full(len(vocabulary), -1)
        self._theirs[token_map.ours] = token_map.theirs

    def complete(self, skeletons: ProgramBatch) -> Completed:
        """Return a program for each skeleton that has an allowed one.

        Parameters
        ----------
        skeletons : ProgramBatch
            Of the library, as the decoder wrote them.
        """
        if not self.table.is_fitted or not len(skeletons):
            return self._judged(skeletons, np.arange(len(skeletons)))
        ours = self._in_vocabulary(skeletons)
        fitted, errors = self._fitted(ours)
        rewritten = self._rewritten(ours, fitted)
        least = np.full(len(ours), np.inf)
        least[rewritten.skeletons] = rewritten.nmse
        aim = _nmse(errors, self.table.y, self.data.weights) * (1 + WORSE)
        lost = np.flatnonzero((least > np.maximum(aim, EXACT)) | np.isinf(least))
        return _better(rewritten, self._as_written(ours, fitted, lost))

    def _rewritten(self, ours: list[list[int]], fitted: np.ndarray) -> Completed:
        """Return programs from canonical trees, in the user's numbers."""
        exact: list[tuple[int, Node]] = []
        plain: list[tuple[int, Node | None]] = []
        for i, (row, values) in enumerate(zip(ours, fitted, strict=True)):
            tree = self._tree(row, values)
            if tree is not None:
                exact.append((i, tree))
                plain.append((i, map_numbers_safely(tree)))
        return _better(self._written(plain), self._written(exact))

    def _as_written(
        self, ours: list[list[int]], fitted: np.ndarray, which: np.ndarray
    ) -> Completed:
        """Fit some skeletons as the network wrote them: f, or a f + b where that is better."""
        table, index = self.table, self.vocabulary.index
        around = [index["add"], index["const"], index["mul"], index["const"]]
        starts = fitted.copy()
        if table.is_scaled:
            starts[~np.isnan(starts)] = 1.0  # these numbers belong to other inputs
        else:
            starts[:, 0] = table.centre + table.spread * fitted[:, 0]
            starts[:, 1] = table.spread * fitted[:, 1]
        bare = self._from_rows([(i, ours[i], starts[i, 2:]) for i in which])
        whole = self._from_rows([(i, [*around, *ours[i]], starts[i]) for i in which])
        return _better(bare, whole)

    def _from_rows(self, written: Sequence[tuple[int, list[int], np.ndarray]]) -> Completed:
        """Fit the numbers of rows of our tokens from where they are, and from elsewhere."""
        rows, values, of = [], [], []
        for i, row, numbers_ in written:
            theirs = self._theirs[row]
            if (theirs >= 0).all() and len(row) <= self.prior.max_length:
                rows.append(theirs.tolist())
                values.append(numbers_[: row.count(self.vocabulary.const)].tolist())
                of.append(i)
        return self._allowed(rows, values, of, N_STARTS)

    def _in_vocabulary(self, skeletons: ProgramBatch) -> list[list[int]]:
        of_library = self.map.of_library
        return [of_library[skeletons.row(b)].tolist() for b in range(len(skeletons))]

    def _fitted(self, rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of b + a f, in prefix order, (B, K), and squared errors (B,)."""
        index = self.vocabulary.index
        start = [index["add"], index["const"], index["mul"], index["const"]]
        programs = ProgramBatch.from_rows([[*start, *row] for row in rows])
        programs = replace(programs, constants=_ones(programs, self.vocabulary.const))
        x = np.zeros((self.vocabulary.n_inputs, len(self._rows)))
        x[: len(self.table.columns)] = self.table.x[:, self._rows]
        data = _core.Data(x, self.table.y[self._rows], self._weights, self.data.protected)
        return self._fit(self.vocabulary.library.native, programs, data, N_STARTS)

    @property
    def _weights(self) -> np.ndarray | None:
        weights = self.data.weights
        return None if weights is None else weights[self._rows]

    def _fit(
        self, native: _core.Library, programs: ProgramBatch, data: _core.Data, n_starts: int
    ) -> tuple[np.ndarray, np.ndarray]:
        return _core.fit_constants(
            native,
            programs.native,
            data,
            n_starts=n_starts,
            key=self._key,
            n_threads=self.n_threads,
        )

    def _tree(self, row: list[int], values: np.ndarray) -> Node | None:
        """Return b + a f in the user's numbers."""
        try:
            tree = tree_of(row, self.vocabulary, values[2:].tolist())
            whole = add(multiply(number(float(values[1])), tree), number(float(values[0])))
            return self.table.way_back(whole)
        except (UndefinedError, OverflowError):
            return None

    def _written(self, trees: Sequence[tuple[int, Node | None]]) -> Completed:
        """Spell trees, fit their numbers from where they are, and judge them."""
        rows, values, of = [], [], []
        for i, tree in trees:
            spelled = self._spelled(tree)
            if spelled is not None:
                rows.append([int(self._theirs[token]) for token, _ in spelled])
                values.append([v for t, v in spelled if t == self.vocabulary.const])
                of.append(i)
        return self._allowed(rows, values, of, 1)

    def _allowed(
        self, rows: list[list[int]], values: list[list[float]], of: list[int], n_starts: int
    ) -> Completed:
        """Fit and judge those programs that the priors allow."""
        programs = ProgramBatch.from_rows(rows, values)
        is_allowed = self.prior.allowed(programs) if rows else np.zeros(0, dtype=bool)
        polished = self._polished(programs[is_allowed], n_starts)
        return self._judged(polished, np.array(of, int)[is_allowed])

    def _spelled(self, tree: Node | None) -> list[tuple[int, float]] | None:
        if tree is None or not all(np.isfinite(value) for value in numbers(tree)):
            return None
        try:
            spelled = self._speller.spell(tree)
        except (UnspellableError, UndefinedError, OverflowError):
            return None
        return spelled if len(spelled) <= self.prior.max_length else None

    def _polished(self, programs: ProgramBatch, n_starts: int) -> ProgramBatch:
        if not len(programs) or not programs.constants.shape[1]:
            return programs
        data, is_there = self.data, ~np.isnan(programs.constants)
        first = replace(programs, constants=np.where(is_there, programs.constants, 1.0))
        rows = _core.Data(
            data.columns[:, self._rows], data.y[self._rows], self._weights, data.protected
        )
        constants, _ = self._fit(data.library.native, first, rows, n_starts)
        return replace(programs, constants=np.where(is_there, constants, np.nan))

    def _judged(self, programs: ProgramBatch, skeletons: np.ndarray) -> Completed:
        if not len(programs):
            return Completed(programs, np.empty(0), skeletons)
        data = self.data
        errors = mean_squared_error(
            data.library, programs, data.columns, data.y, data.weights, data.protected,
            self.n_threads,
        ).values  # fmt: skip
        return Completed(programs, _nmse(errors, data.y, data.weights), skeletons)


def _nmse(errors: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return squared errors (B,) over the variance of the target, inf where there are none."""
    with np.errstate(over="ignore", invalid="ignore"):
        apart = y - np.average(y, weights=weights)
        variance = max(float(np.average(apart**2, weights=weights)), 1e-300)
        return np.where(np.isfinite(errors), errors / variance, np.inf)


def _spread_rows(n_rows: int) -> np.ndarray:
    """Return which rows numbers are fitted to."""
    if n_rows <= FIT_ROWS:
        return np.arange(n_rows)
    return np.sort(Stream(0, "pretrained fit").generator().choice(n_rows, FIT_ROWS, replace=False))


def _ones(programs: ProgramBatch, const: int) -> np.ndarray:
    n_constants = int((programs.tokens == const).sum(axis=1).max(initial=0))
    return np.ones((len(programs), n_constants))


def map_numbers_safely(tree: Node) -> Node | None:
    """Return a tree with its numbers made plain that are nearly so, None where none is."""
    try:
        if all(plain_number(value) == value for value in numbers(tree)):
            return None
        return map_numbers(tree, plain_number)
    except (UndefinedError, OverflowError):
        return None


def plain_number(value: float) -> float:
    """Return the integer, or half of one, that a number is nearly; else the number."""
    nearest = round(2 * value) / 2
    return nearest if abs(value - nearest) <= NEAR * max(abs(nearest), 1.0) else value


def _better(preferred: Completed, other: Completed) -> Completed:
    """Return for each skeleton the preferred program where its error allows that."""
    errors = dict(zip(other.skeletons.tolist(), other.nmse.tolist(), strict=True))
    limits = [
        max(errors.get(skeleton, np.inf) * (1 + WORSE), EXACT)
        for skeleton in preferred.skeletons.tolist()
    ]
    first = preferred.nmse <= np.array(limits)
    second = np.isin(other.skeletons, preferred.skeletons[first], invert=True)
    return Completed(
        ProgramBatch.concatenate([preferred.programs[first], other.programs[second]]),
        np.concatenate([preferred.nmse[first], other.nmse[second]]),
        np.concatenate([preferred.skeletons[first], other.skeletons[second]]),
    )
