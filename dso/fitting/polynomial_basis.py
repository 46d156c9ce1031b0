"""Polynomials of a degree on given rows: the part of a fit that depends on the data alone.

A polynomial with the coefficients b has the values M b for the monomials M (n, P). The monomials of
inputs on different scales are nearly dependent, so that fits with M lose most digits. Instead

    Q = M C    with    Q'WQ = 1

is found once: inputs are shifted and scaled to [-1, 1], which changes no polynomial, and the
columns made orthonormal under the weights W by two QR decompositions, the second of which removes
the rounding of the first. Then the polynomial nearest to values z has the coordinates u = Q'W z,
which is one product, with no equations to solve, and the coefficients b = C u.
"""

from __future__ import annotations

import logging
from functools import cached_property
from itertools import combinations_with_replacement
from math import comb
from typing import Any, NamedTuple

import numpy as np

from dso.errors import UserError
from dso.native import _core

logger = logging.getLogger("dso")

DEGREE_KEY = "task.poly_optimizer_params.degree"
"""That errors and warnings name."""
MAX_MONOMIALS = 2000
"""Terms that are ever fitted: more would take minutes for one basis."""
MAX_NUMBERS = 2**24
"""Of rows times monomials held in memory: 128 MB. Longer data are fitted by evenly spread rows."""
MIN_PIVOT = 1e-10
"""Share of a column that must not depend on those before it."""


def n_monomials(n_inputs: int, degree: int) -> int:
    """Return how many monomials there are up to a total degree."""
    return comb(n_inputs + degree, degree)


def exponents_up_to(n_inputs: int, degree: int) -> np.ndarray:
    """Return the exponents (P, D) int32 of all monomials, by degree, then by first exponent."""
    rows = []
    for total in range(degree + 1):
        of_degree = list(combinations_with_replacement(range(n_inputs), total))
        rows += [np.bincount(factors, minlength=n_inputs) for factors in reversed(of_degree)]
    return np.array(rows, dtype=np.int32)


class Degrees(NamedTuple):
    """How high polynomials may be.

    Attributes
    ----------
    dense : int
        Where every monomial has a coefficient.
    sparse : int
        Where no more than `most_terms` coefficients are left.
    most_terms : int
        Terms that this many rows support.
    """

    dense: int
    sparse: int
    most_terms: int


def supported_degrees(n_inputs: int, n_rows: int, degree: int) -> Degrees:
    """Return the greatest degrees up to `degree` that this many rows support.

    A fit with p terms needs 2 p + 1 rows, or it can be exact without being true. Where all
    monomials are too many, those of a higher degree can still be told apart if there are more rows
    than monomials, and count where all but a few coefficients turn out to be zero.

    Raises
    ------
    UserError
        If there are rows enough, but more monomials than are ever fitted.
    """
    most_terms = max(1, (n_rows - 1) // 2)
    counts = [n_monomials(n_inputs, d) for d in range(degree + 1)]
    dense = max(d for d, count in enumerate(counts) if d == 0 or count <= most_terms)
    if counts[dense] > MAX_MONOMIALS:
        possible = max(d for d, count in enumerate(counts) if count <= MAX_MONOMIALS)
        raise UserError(
            f"{DEGREE_KEY}: {degree} makes {counts[degree]} monomials of {n_inputs} inputs; at "
            f"most {MAX_MONOMIALS} are fitted, which allows degree {possible} "
            f"({counts[possible]} monomials)."
        )
    limit = min(n_rows - 1, MAX_MONOMIALS)
    sparse = max(d for d, count in enumerate(counts) if d <= dense or count <= limit)
    return Degrees(dense, sparse, most_terms)


def warn_of_degrees(n_inputs: int, n_rows: int, degree: int) -> None:
    """Say so where the degree is lowered."""
    dense, sparse, most_terms = supported_degrees(n_inputs, n_rows, degree)
    if dense == degree:
        return
    logger.warning(
        "%s: %d is lowered to %d, since %d monomials of %d inputs are too many for %d rows "
        "(two rows for each and one more)%s.",
        DEGREE_KEY,
        degree,
        dense,
        n_monomials(n_inputs, degree),
        n_inputs,
        n_rows,
        f"; degree {sparse} where no more than {most_terms} terms are left"
        if sparse > dense
        else "",
    )


class PolynomialBasis:
    """Orthonormal polynomials on the rows of some data; computed when first asked for.

    Parameters
    ----------
    columns : (D, N) float64
    weights : (N,) float64 or None
    degree : int

    Attributes
    ----------
    rows : slice
        Which rows of the data stand for all.
    exponents : (P, D) int32
    """

    def __init__(self, columns: np.ndarray, weights: np.ndarray | None, degree: int) -> None:
        self._columns = columns
        self._weights = weights
        self.exponents = exponents_up_to(len(columns), degree)
        n_rows = columns.shape[1]
        most = max(2 * len(self.exponents) + 1, MAX_NUMBERS // len(self.exponents))
        self.rows = slice(None, None, -(-n_rows // most))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        state.pop("native", None)  # computed again where it is needed
        return state

    @property
    def columns(self) -> np.ndarray:
        """Inputs (D, n) of the rows that are used."""
        return self._columns[:, self.rows]

    @property
    def weights(self) -> np.ndarray | None:
        """Weights (n,) of the rows that are used."""
        return None if self._weights is None else self._weights[self.rows]

    @cached_property
    def monomials(self) -> np.ndarray:
        """Values (n, P) of the monomials as they are."""
        return _products(self.columns, self.exponents)

    @cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Orthonormal polynomials (n, rank), their coefficients (P, rank), greatest values (P,)."""
        with np.errstate(all="ignore"):
            sizes = np.abs(self.monomials).max(axis=0)
        for degree in range(int(self.exponents[-1].sum()), -1, -1):
            is_used = self.exponents.sum(axis=1) <= degree
            values, to_monomials = self._orthonormal(self.exponents[is_used])
            if np.isfinite(to_monomials).all() and np.isfinite(sizes[is_used]).all():
                break
        # Where numbers are so large or small that powers overflow, only lower degrees are used.
        whole = np.zeros((len(self.exponents), values.shape[1]))
        whole[is_used] = to_monomials
        sizes = np.where(is_used, sizes, 0.0)
        return values, whole, sizes

    @cached_property
    def native(self) -> _core.PolynomialBasis:
        """The same for the native fit."""
        return _core.PolynomialBasis(self.exponents, *self.arrays)

    def _orthonormal(self, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values (n, rank), orthonormal under the weights, and coefficients (P, rank)."""
        low, high = self.columns.min(axis=1), self.columns.max(axis=1)
        middle, half = low / 2 + high / 2, high / 2 - low / 2
        half = np.where(half > 0, half, 1.0)
        with np.errstate(all="ignore"):
            shifted = (self.columns - middle[:, None]) / half[:, None]
            expansion = _expansion(exponents, middle, half)
        values = _products(shifted, exponents)
        kept, coordinates = _orthogonalised(values, self.weights)
        with np.errstate(all="ignore"):
            return values[:, kept] @ coordinates, expansion[:, kept] @ coordinates


def _products(columns: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Return the values (n, P) of monomials of columns (D, n)."""
    values = np.ones((columns.shape[1], len(exponents)))
    place = {row.tobytes(): k for k, row in enumerate(exponents)}
    with np.errstate(all="ignore"):
        for k, row in enumerate(exponents[1:], start=1):
            last = np.flatnonzero(row)[-1]
            shorter = row.copy()
            shorter[last] -= 1
            values[:, k] = values[:, place[shorter.tobytes()]] * columns[last]
    return values


def _expansion(exponents: np.ndarray, middle: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return the coefficients (P, P) in x of each monomial of (x - middle) / half."""
    place = {tuple(row): k for k, row in enumerate(exponents.tolist())}
    result = np.zeros((len(exponents), len(exponents)))
    for k, row in enumerate(exponents.tolist()):
        terms = {tuple([0] * len(row)): 1.0}
        for d in np.flatnonzero(row):
            power = row[d]
            factors = [
                comb(power, e) * (-middle[d]) ** (power - e) / half[d] ** power
                for e in range(power + 1)
            ]
            terms = {
                (*term[:d], e, *term[d + 1 :]): value * factor
                for term, value in terms.items()
                for e, factor in enumerate(factors)
            }
        for term, value in terms.items():
            result[place[term], k] = value
    return result


def _orthogonalised(
    values: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return independent columns of values (n, P), and (rank, rank) that makes them orthonormal."""
    from scipy.linalg import solve_triangular

    if weights is not None:
        values = np.sqrt(weights)[:, None] * values
    norms = np.linalg.norm(values, axis=0)
    kept = np.flatnonzero(norms > 0)
    scaled = values[:, kept] / norms[kept]
    triangle = np.asarray(np.linalg.qr(scaled, mode="r"))
    if triangle.shape[0] < len(kept) or np.abs(np.diag(triangle)).min() < MIN_PIVOT:
        independent = _independent(scaled)
        kept, scaled = kept[independent], scaled[:, independent]
        triangle = np.asarray(np.linalg.qr(scaled, mode="r"))
    identity = np.eye(len(kept))
    inverse = solve_triangular(triangle, identity)
    # A second time: the first leaves the columns orthogonal but for their near dependence.
    inverse = inverse @ solve_triangular(np.linalg.qr(scaled @ inverse, mode="r"), identity)
    return kept, inverse / norms[kept][:, None]


def _independent(columns: np.ndarray) -> np.ndarray:
    """Return which unit columns do not depend on those before them."""
    basis = np.zeros_like(columns)
    kept: list[int] = []
    for k, column in enumerate(columns.T):
        rest = column.copy()
        for _ in range(2):
            rest -= basis[:, : len(kept)] @ (basis[:, : len(kept)].T @ rest)
        size = np.linalg.norm(rest)
        if size > MIN_PIVOT and len(kept) < len(columns):
            basis[:, len(kept)] = rest / size
            kept.append(k)
    return np.array(kept)
