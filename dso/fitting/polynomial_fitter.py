"""PolynomialFitter: the polynomials with which programs with a token `poly` fit best.

For a program f(p, x) with a polynomial p = Q u (see `polynomial_basis`), f is inverted from the
root down to p: where f(z, x) = y, the polynomial ought to have the values z, and

    u = Q'W z

is the one nearest to them. If that is exact nothing is left to do. Else it is where Levenberg and
Marquardt's method starts, which lowers what matters, the squared error of the predictions:

    (Q'S W S Q + m) d = Q'S W (y - f(Q u, x)),    S = diag(df/dp)

is solved for the step d by conjugate gradients. Each of their steps is two products with Q, and few
are needed: Q is orthonormal, so that without S the matrix would be the identity. Normal equations
would take P times as long. Where f cannot be inverted, u starts as a constant.

Coefficients are dropped where the data do not support them: see `supported_degrees`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dso.errors import UserError
from dso.fitting.polynomial_basis import PolynomialBasis, supported_degrees
from dso.fitting.polynomial_python import fit_in_python
from dso.fitting.regressors import PARAMS_KEY, make_regressor, pruned
from dso.fitting.slots import constant_counts
from dso.library import FittedPolynomial
from dso.native import _core
from dso.program import FitData, ProgramBatch, has_poly, has_python_token, mean_squared_error
from dso.program.execute import VALID, Execution

NUMBERS_AT_ONCE = 4_000_000
"""Coefficients, or wanted values, held at once: 32 MB."""
MAX_REMEMBERED = 300_000
"""Programs whose number of terms is remembered."""


@dataclass(frozen=True)
class PolynomialOptions:
    """How polynomials are fitted: the fields of ``task.poly_optimizer_params``.

    Attributes
    ----------
    degree : int
        Greatest total degree.
    coef_tol : float
        Smaller coefficients are dropped.
    regressor : str
        See `make_regressor`; also ``"dso_least_squares"``.
    regressor_params : dict
        Its arguments. Of ``"dso_least_squares"``: cutoff_p_value, n_max_terms, coef_tol.
    """

    degree: int = 3
    coef_tol: float = 1e-6
    regressor: str = "dso_least_squares"
    regressor_params: dict[str, Any] | None = None


class Pruning(NamedTuple):
    """Parameters of `dso_least_squares`; the defaults prune nothing."""

    cutoff_p_value: float = 1.0
    n_max_terms: int | None = None
    coef_tol: float = 0.0


class PolynomialFits(NamedTuple):
    """What was fitted to B programs.

    Attributes
    ----------
    coefficients : (B, P) float64
        Of the monomials of the basis.
    constants : (B, K) float64
    mse : (B,) float64
        On all rows; NaN where invalid.
    cause : (B,) uint8
    node : (B,) int32
    """

    coefficients: np.ndarray
    constants: np.ndarray
    mse: np.ndarray
    cause: np.ndarray
    node: np.ndarray


class PolynomialFitter:
    """Fits polynomials to rows of data; what it returns depends on the program alone.

    Parameters
    ----------
    data : FitData
    options : PolynomialOptions
        Its degree is lowered to what this many rows support.
    """

    def __init__(self, data: FitData, options: PolynomialOptions | None = None) -> None:
        self.data, self.library = data, data.library
        self.options = options or PolynomialOptions()
        columns, weights = data.columns, data.weights
        n_rows = data.n_rows if weights is None else int(np.count_nonzero(weights))
        degrees = supported_degrees(len(columns), n_rows, self.options.degree)
        self.most_terms = degrees.most_terms
        self.basis = PolynomialBasis(columns, weights, degrees.dense)
        self.sparse_basis = None
        if degrees.sparse > degrees.dense:
            self.sparse_basis = PolynomialBasis(columns, weights, degrees.sparse)
        self.exponents = (self.sparse_basis or self.basis).exponents
        self._n_terms: dict[tuple[int, bytes], int] = {}
        self._regressor = None
        self._pruning = Pruning()
        params = self.options.regressor_params or {}
        if self.options.regressor == "dso_least_squares":
            self._pruning = _pruning(params)
        else:
            self._regressor = make_regressor(self.options.regressor, params)

    @property
    def n_monomials(self) -> int:
        """Monomials that a polynomial may have."""
        return len(self.exponents)

    def fit(
        self,
        programs: ProgramBatch,
        n_threads: int = 1,
        lower: np.ndarray | None = None,
        upper: np.ndarray | None = None,
    ) -> PolynomialFits:
        """Fit the polynomial of each program, for the constants that it has.

        Parameters
        ----------
        programs : ProgramBatch
            Each with one `poly`. Constants that are not known stand at 1.
        n_threads : int
        lower, upper : (B, K) float64, optional
            With them the constants between them are fitted too, starting from those given.
        """
        self._check(programs)
        programs = self._with_constants(programs)
        # What the native fit alone answers does not hold a column per program.
        holds_columns = self._is_regressed or self.basis.rows.step > 1
        holds_columns |= bool(has_python_token(self.library, programs).any())
        n_numbers = max(self.n_monomials, self.data.n_rows if holds_columns else 0)
        size = max(1, NUMBERS_AT_ONCE // n_numbers)
        low = programs.constants if lower is None else lower
        high = programs.constants if upper is None else upper
        parts = [
            self._fit(programs[rows], n_threads, low[rows], high[rows])
            for start in range(0, max(1, len(programs)), size)
            for rows in [slice(start, start + size)]
        ]
        fits = PolynomialFits(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        self._remember(replace(programs, constants=fits.constants), fits)
        return fits

    def polynomials(
        self, programs: ProgramBatch, n_threads: int = 1
    ) -> list[FittedPolynomial | None]:
        """Return the polynomial of each program that has one, None for others."""
        rows = np.flatnonzero(has_poly(self.library, programs))
        result: list[FittedPolynomial | None] = [None] * len(programs)
        if len(rows):
            fits = self.fit(programs[rows], n_threads)
            for b, coefficients in zip(rows.tolist(), fits.coefficients, strict=True):
                result[b] = self._polynomial(coefficients)
        return result

    def n_more_terms(self, programs: ProgramBatch) -> np.ndarray:
        """Return for each program (B,) by how much its fitted terms outnumber the token `poly`.

        The numbers of terms of recent fits are remembered; others are fitted once more.
        """
        more = np.zeros(len(programs), dtype=np.int64)
        rows = np.flatnonzero(has_poly(self.library, programs))
        if len(rows) == 0:
            return more
        keys = self._identities(self._with_constants(programs[rows]))
        counts = [self._n_terms.get(key) for key in keys]
        unknown = [i for i, count in enumerate(counts) if count is None]
        if unknown:
            fits = self.fit(programs[rows[unknown]])
            for i, coefficients in zip(unknown, fits.coefficients, strict=True):
                counts[i] = int(np.count_nonzero(coefficients))
        more[rows] = np.array(counts) - 1
        return more

    def _remember(self, programs: ProgramBatch, fits: PolynomialFits) -> None:
        if len(self._n_terms) > MAX_REMEMBERED:
            self._n_terms.clear()
        counts = np.count_nonzero(fits.coefficients, axis=1).tolist()
        self._n_terms.update(zip(self._identities(programs), counts, strict=True))

    def _identities(self, programs: ProgramBatch) -> list[tuple[int, bytes]]:
        """Return what tells programs apart: tokens, and constants."""
        counts = constant_counts(self.library, programs)
        return [
            (key, numbers[:count].tobytes())
            for key, numbers, count in zip(
                programs.keys().tolist(), programs.constants, counts.tolist(), strict=True
            )
        ]

    def _check(self, programs: ProgramBatch) -> None:
        counts = (programs.tokens == self.library.poly_token).sum(axis=1)
        if (counts != 1).any():
            raise UserError("a program can have one token 'poly' at most.")

    def _with_constants(self, programs: ProgramBatch) -> ProgramBatch:
        """Give every constant that is not known the value 1."""
        if self.library.const_token is None:
            return programs
        counts = constant_counts(self.library, programs)
        missing = max(0, int(counts.max(initial=0)) - programs.constants.shape[1])
        constants = np.pad(programs.constants, ((0, 0), (0, missing)), constant_values=1.0)
        return replace(programs, constants=np.where(np.isnan(constants), 1.0, constants))

    def _polynomial(self, coefficients: np.ndarray) -> FittedPolynomial:
        terms = np.flatnonzero(coefficients)
        return FittedPolynomial(self.exponents[terms], coefficients[terms])

    def _fit(
        self, programs: ProgramBatch, n_threads: int, lower: np.ndarray, upper: np.ndarray
    ) -> PolynomialFits:
        in_python = has_python_token(self.library, programs)
        is_exact = self.basis.rows.step == 1 and not self._is_regressed
        if not in_python.any():
            fits, wanted = self._fit_natively(programs, n_threads, lower, upper)
        else:
            fits, wanted = self._fit_in_lanes(programs, in_python, n_threads, lower, upper)
            is_exact = False
        if self._is_regressed:
            coefficients = self._regressed(fits.coefficients, wanted)
            fits = fits._replace(coefficients=coefficients)
        return fits if is_exact else self._judged(programs, fits, n_threads)

    def _fit_natively(
        self, programs: ProgramBatch, n_threads: int, lower: np.ndarray, upper: np.ndarray
    ) -> tuple[PolynomialFits, np.ndarray]:
        """Return the fits and what the polynomials ought to be on the rows of the basis."""
        basis = self.basis
        coefficients, constants, mse, cause, node, wanted = _core.fit_polynomials(
            self.library.native,
            programs.native,
            _core.Data(basis.columns, self.data.y[basis.rows], basis.weights, self.data.protected),
            basis.native,
            lower=_without_nan(lower),
            upper=_without_nan(upper),
            sparse_basis=None if self.sparse_basis is None else self.sparse_basis.native,
            most_terms=self.most_terms,
            coef_tol=self.options.coef_tol,
            with_wanted=self._is_regressed,
            n_threads=n_threads,
        )
        return PolynomialFits(coefficients, constants, mse, cause, node), wanted

    def _fit_in_lanes(
        self,
        programs: ProgramBatch,
        in_python: np.ndarray,
        n_threads: int,
        lower: np.ndarray,
        upper: np.ndarray,
    ) -> tuple[PolynomialFits, np.ndarray]:
        """Fit programs that partly only Python can execute; errors are left to `_judged`."""
        n_programs, n_rows = len(programs), self.basis.columns.shape[1]
        coefficients = np.zeros((n_programs, self.n_monomials))
        constants = programs.constants.copy()
        wanted = np.zeros((n_programs, n_rows if self._is_regressed else 0))
        native = ~in_python
        if native.any():
            fits, wishes = self._fit_natively(
                programs[native], n_threads, lower[native], upper[native]
            )
            coefficients[native], constants[native] = fits.coefficients, fits.constants
            if self._is_regressed:
                wanted[native] = wishes
        for b in np.flatnonzero(in_python).tolist():
            dense, wishes = fit_in_python(
                self.library,
                programs[b : b + 1],
                self.basis,
                self.data.y[self.basis.rows],
                self.data.protected,
                self.options.coef_tol,
            )
            coefficients[b, : len(dense)] = dense
            if self._is_regressed:
                wanted[b] = wishes
        unknown = np.full(n_programs, np.nan), np.zeros(n_programs, int), np.zeros(n_programs, int)
        return PolynomialFits(coefficients, constants, *unknown), wanted

    @property
    def _is_regressed(self) -> bool:
        """Whether the coefficients of a plain least-squares fit are not the last word."""
        pruning = self._pruning
        is_pruned = pruning.cutoff_p_value < 1 or pruning.n_max_terms is not None
        return is_pruned or self._regressor is not None

    def _regressed(self, coefficients: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return the coefficients (B, P) that the regressor finds for wanted values (B, n)."""
        result = np.zeros_like(coefficients)
        for found, wish in zip(result, wanted, strict=True):
            for basis in (self.sparse_basis, self.basis):
                if basis is None:
                    continue
                terms = self._terms_of(basis, wish)
                if np.count_nonzero(terms) <= self.most_terms:
                    break
            found[: len(terms)] = terms
        return result

    def _terms_of(self, basis: PolynomialBasis, wish: np.ndarray) -> np.ndarray:
        """Return the coefficients (P',) that the regressor finds; those of 1 where it cannot."""
        one = np.eye(1, len(basis.exponents))[0]
        try:
            if self._regressor is not None:
                found = self._regressor(basis.monomials, wish, basis.weights)
            else:
                found = self._pruned(basis, wish)
        except (ValueError, np.linalg.LinAlgError):  # numbers beyond the regressor
            return one
        if not np.isfinite(found).all():
            return one
        return np.where(np.abs(found) < self.options.coef_tol, 0.0, found)

    def _pruned(self, basis: PolynomialBasis, wish: np.ndarray) -> np.ndarray:
        values, to_monomials, _ = basis.arrays
        weighted = wish if basis.weights is None else basis.weights * wish
        found = to_monomials @ (values.T @ weighted)
        return pruned(
            np.where(np.abs(found) < self._pruning.coef_tol, 0.0, found),
            basis.monomials,
            wish,
            basis.weights,
            self._pruning.cutoff_p_value,
            self._pruning.n_max_terms,
        )

    def _judged(
        self, programs: ProgramBatch, fits: PolynomialFits, n_threads: int
    ) -> PolynomialFits:
        """Return the fits with their errors on all rows; where they are invalid, 1 takes over."""
        programs = replace(programs, constants=fits.constants)
        coefficients = fits.coefficients.copy()
        verdicts = self._errors(programs, coefficients, n_threads)
        bad = np.flatnonzero(verdicts.cause != VALID)
        if len(bad):
            coefficients[bad] = 0.0
            coefficients[bad, 0] = 1.0
            again = self._errors(programs[bad], coefficients[bad], n_threads)
            for old, new in zip(verdicts, again, strict=True):
                old[bad] = new
        return PolynomialFits(coefficients, fits.constants, *verdicts)

    def _errors(
        self, programs: ProgramBatch, coefficients: np.ndarray, n_threads: int
    ) -> Execution:
        polynomials = [self._polynomial(row) for row in coefficients]
        return mean_squared_error(
            self.library,
            programs,
            self.data.columns,
            self.data.y,
            self.data.weights,
            self.data.protected,
            n_threads,
            polynomials,
        )


def _pruning(params: dict[str, Any]) -> Pruning:
    """Refuse parameters of `dso_least_squares` that mean nothing."""
    cutoff, most = params.get("cutoff_p_value", 1.0), params.get("n_max_terms")
    if isinstance(cutoff, bool) or not isinstance(cutoff, int | float) or not 0 < cutoff <= 1:
        raise UserError(f"{PARAMS_KEY}.cutoff_p_value: {cutoff!r}; allowed: a number in (0, 1].")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 2):
        raise UserError(f"{PARAMS_KEY}.n_max_terms: {most!r}; allowed: null or an integer >= 2.")
    tolerance = params.get("coef_tol", 0.0)
    is_number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if not (is_number and 0 <= tolerance < np.inf):
        raise UserError(f"{PARAMS_KEY}.coef_tol: {tolerance!r}; allowed: a finite number >= 0.")
    return Pruning(**params)


def _without_nan(bounds: np.ndarray) -> np.ndarray:
    """Return bounds whose open places, of constants that are not known, are 1."""
    return np.where(np.isnan(bounds), 1.0, bounds)
