"""ValueLibrary: small expressions of a task, one per distinct value vector.

Expressions are enumerated in order of cost c, every form f applied to all entries cheap enough:

    f(s)     where cost(f) + cost(s) = c
    f(s, t)  where cost(f) + cost(s) + cost(t) = c

and dropped where the values on four key rows, or their negatives, are known already. Parts of equal
values make wholes of equal values, so that little is lost by it, and what grows from many spellings
of a function grows from one (observational equivalence: Albarghouthi, Gulwani & Kincaid, Recursive
program synthesis, 2013). Costs are not lengths: squares, cubes and small numbers are cheap even
where they have to be spelled out, since formulas are full of them.

All of this is done in native code: `native/semantic/library.hpp`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from dso.library import Library
from dso.native import _core
from dso.prior import JointPrior
from dso.program import ProgramBatch
from dso.semantic.forms import make_forms

MAX_COST = 40
"""Of an entry: more than any library has room for, unless it has very few tokens."""
SHARED_PART = 0.7
"""Of the entries, for expressions in any inputs; the others are for a few inputs each."""
MAX_SUBSETS = 16
"""Sets of inputs with entries of their own: with more, each would have too few."""


class ValueLibrary:
    """Expressions in order of cost that differ on four key rows.

    Parameters
    ----------
    library : Library
    prior : JointPrior
        What an entry must obey wherever it stands. What a program as a whole must have, such as a
        least length, is not asked of it.
    X : (D, N) float64
        Data by column.
    rows : (4,) int
        The key rows.
    bits : int
        Leading bits of mantissas that are compared.
    max_entries, max_vectors : int
        Limits of size, and of candidates computed.
    is_over : callable, optional
        Asked every 50 milliseconds; a true answer ends the growth.
    protected : bool
        Whether programs are executed in protected mode.

    Attributes
    ----------
    rows : (4,) int
    native : dso.native._core.ValueLibrary
    n_vectors : int
        Candidates that were computed.
    n_bytes : int
    stopped_by : {"entries", "vectors", "seconds", "cost"}
    """

    def __init__(
        self,
        library: Library,
        prior: JointPrior,
        X: np.ndarray,
        rows: np.ndarray,
        *,
        bits: int = 18,
        max_entries: int = 300_000,
        max_vectors: int = 100_000_000,
        is_over: Callable[[], bool] | None = None,
        protected: bool = False,
    ) -> None:
        self.library = library
        self.rows = np.asarray(rows)
        self.forms = make_forms(library, X, self.rows, protected)
        self.native = _core.ValueLibrary(
            self.forms.all,
            self.forms.arithmetic,
            prior.rules,
            bits=bits,
            growth=_core.Growth(
                max_entries=max_entries,
                max_vectors=max_vectors,
                max_cost=MAX_COST,
                shared_part=SHARED_PART,
                subsets=input_subsets(len(library.input_tokens)),
                is_over=is_over,
            ),
        )

    @staticmethod
    def entries_in(max_bytes: int) -> int:
        """Return how many entries a library may have to take at most this many bytes."""
        return _core.ValueLibrary.entries_in(max_bytes)

    def __len__(self) -> int:
        return len(self.native)

    @property
    def n_vectors(self) -> int:
        return self.native.n_vectors

    @property
    def n_bytes(self) -> int:
        return self.native.n_bytes

    @property
    def stopped_by(self) -> str:
        return self.native.stopped_by

    @property
    def costs(self) -> np.ndarray:
        """Cost of each entry, (n,) int32."""
        return self.native.costs

    @property
    def values(self) -> np.ndarray:
        """Values of each entry on the key rows, (n, 4) float64."""
        return self.native.values

    def programs(self, numbers: np.ndarray) -> ProgramBatch:
        """Return entries as programs."""
        return ProgramBatch.from_arrays(*self.native.programs(np.asarray(numbers, np.int64)))

    def find(self, values: np.ndarray) -> np.ndarray:
        """Return the entries with these values (Q, 4) or their negatives, -1 for none: (Q,)."""
        return self.native.find(np.asarray(values, dtype=np.float64))

    def nearest(
        self, values: np.ndarray, weights: np.ndarray | None = None, k: int = 1, n: int = 5000
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the entries that come nearest to given values.

        Parameters
        ----------
        values : (Q, 4) float64
            Wanted on the key rows.
        weights : (Q, 4) float64, optional
            Of the squared differences.
        k : int
            Entries for each.
        n : int
            Only the first n entries, the cheapest, are looked at.

        Returns
        -------
        entries : (Q, k) int64
            The nearest first; -1 where there are fewer.
        signs : (Q, k) int32
            -1 where the entry's negative is meant.
        distances : (Q, k) float64
            Weighted sums of squared differences.
        """
        values = np.asarray(values, dtype=np.float64)
        weights = np.ones_like(values) if weights is None else weights
        return self.native.nearest(values, weights, n, k)

    def join(self, values: np.ndarray, n_partners: int = 200) -> ProgramBatch:
        """Return programs with given values: an entry, or a sum, difference, product or quotient.

        Parameters
        ----------
        values : (Q, 4) float64
            Wanted on the key rows.
        n_partners : int
            One of the two entries is among this many of the cheapest.

        Returns
        -------
        ProgramBatch
            Q rows, of length 0 where there is none. They are not checked against priors or on
            other rows.
        """
        return ProgramBatch.from_arrays(
            *self.native.join(np.asarray(values, dtype=np.float64), n_partners)
        )


def input_subsets(n_inputs: int) -> list[int]:
    """Return the sets of inputs, as bits, that are given entries of their own."""
    if n_inputs < 2 or n_inputs > MAX_SUBSETS:
        return []
    subsets = [1 << i for i in range(n_inputs)]
    pairs = [1 << i | 1 << j for i, j in combinations(range(n_inputs), 2)]
    if n_inputs > 2 and len(subsets) + len(pairs) <= MAX_SUBSETS:
        subsets += pairs
    return subsets
