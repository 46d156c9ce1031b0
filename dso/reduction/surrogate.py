"""A smooth model of the data that gives gradients: an exact Gaussian process.

In standardised inputs u (logarithms of those that are positive) the target t (y, or log|y| where y
has one sign) is a line plus a Gaussian process of covariance

    k(u, v) = a^2 exp(-1/2 sum_j (u_j - v_j)^2 / l_j^2) + s^2 [u = v] / w

a, l and s are those of the greatest likelihood p(t | a, l, s), found by L-BFGS with its gradient

    d log p / d q = 1/2 tr((c c' - K^-1) dK/dq),    c = K^-1 t

What the model errs by on row i when it has not seen it is c_i / (K^-1)_ii, so that leaving out one
row after the other costs nothing more. The values of the model are never fitted by anything: it
proposes, and is asked whether a proposal makes the data easier to model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MAX_ROWS = 400
"""Rows that a model is made of; its time goes with their cube."""
MAX_POOL = 4000
"""Rows that they are chosen from."""
MAX_INPUTS = 30
"""Inputs that a model takes; others are left out beforehand."""
MAX_ITERATIONS, QUICK_ITERATIONS = 60, 20
JITTER = 1e-10
"""Share of a^2 on the diagonal, for Cholesky's sake."""
LOG_AMPLITUDE, LOG_LENGTH, LOG_NOISE = (-3.0, 4.0), (-2.5, 4.0), (float(np.log(1e-6)), 0.5)
"""Bounds."""
STARTS = ((0.5, 0.7, float(np.log(1e-3))), (0.5, 1.5, float(np.log(0.1))))
"""Amplitude, lengths and noise (logarithms) from which likelihoods are climbed."""


@dataclass(frozen=True)
class Scale:
    """How a column is standardised: shifted and divided, after its logarithm if `is_log`."""

    is_log: bool
    shift: float
    size: float

    @staticmethod
    def of(column: np.ndarray) -> Scale:
        """Take the logarithm of what is positive."""
        is_log = bool(column.min() > 0)
        values = np.log(column) if is_log else column
        return Scale(is_log, float(values.mean()), float(values.std()) or 1.0)

    def __call__(self, column: np.ndarray) -> np.ndarray:
        """Return the standardised column; NaN where it has no logarithm."""
        values = np.log(column) if self.is_log else column
        return (values - self.shift) / self.size

    def slope(self, column: np.ndarray) -> np.ndarray:
        """Return the slope of the standardised column by the column itself."""
        return 1 / (self.size * column) if self.is_log else np.full(len(column), 1 / self.size)


class Surrogate:
    """A Gaussian process of some rows of data.

    Parameters
    ----------
    X : (N, D) float64
        At most `MAX_ROWS` rows; D at least 1.
    y : (N,) float64
    weights : (N,) float64, optional
        Of the rows; an error of y has a variance in proportion to 1 / weight.
    is_log : bool
        Whether the logarithm of y, which then has one sign, is modelled.
    start : (D + 2,) float64, optional
        Where the likelihood is climbed from; default: several places.
    is_quick : bool
        Whether the first of these places and few steps are enough.
    likeness : (N, N) float64, optional
        What the covariances are multiplied by: a form that y has in an input which is not among
        the columns. Such a model is asked for its errors only.

    Attributes
    ----------
    theta : (D + 2,) float64
        Logarithms of a, l and s.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        is_log: bool = False,
        start: np.ndarray | None = None,
        is_quick: bool = False,
        likeness: np.ndarray | None = None,
    ) -> None:
        self.X, self.y, self.is_log = X, y, is_log
        self._likeness = likeness
        self.scales = [Scale.of(column) for column in X.T]
        self._U = self.standardised(X)
        self._noise_shape = np.ones(len(y)) if weights is None else weights.mean() / weights
        target = np.log(np.abs(y)) if is_log else y
        self._sign = float(np.sign(y[0])) if is_log else 1.0
        design = np.column_stack([np.ones(len(y)), self._U])
        self._line = np.linalg.lstsq(design, target, rcond=None)[0]
        rest = target - design @ self._line
        self._size = max(float(rest.std()), 1e-9 * float(np.abs(target).max()), 1e-300)
        self._t = rest / self._size
        self.theta = self._most_likely(start, is_quick)
        self._solve()

    # ------------------------------------------------------------------------------- likelihood

    def _most_likely(self, start: np.ndarray | None, is_quick: bool) -> np.ndarray:
        from scipy.optimize import minimize  # slow to import

        d = self._U.shape[1]
        if start is not None:
            starts = [start]
        else:
            starts = [np.r_[a, np.full(d, length), noise] for a, length, noise in STARTS]
        starts = starts[:1] if is_quick else starts
        bounds = [LOG_AMPLITUDE, *[LOG_LENGTH] * d, LOG_NOISE]
        low, high = np.array(bounds).T
        best = None
        for place in starts:
            found = minimize(
                self._cost,
                np.clip(place, low, high),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": QUICK_ITERATIONS if is_quick else MAX_ITERATIONS},
            )
            if best is None or found.fun < best.fun:
                best = found
            if best.x[-1] < STARTS[0][2]:
                break  # without noise; the other start is for data with noise
        assert best is not None
        return best.x

    def _covariance(self, theta: np.ndarray, V: np.ndarray | None = None) -> np.ndarray:
        """Return the covariance of the rows with other standardised rows V (default: the same)."""
        lengths = np.exp(-theta[1:-1])
        A = self._U * lengths
        B = A if V is None else V * lengths
        squares = A @ B.T
        squares -= (A**2).sum(axis=1)[:, None] / 2
        squares -= (B**2).sum(axis=1) / 2
        np.minimum(squares, 0.0, out=squares)
        np.exp(squares, out=squares)
        squares *= np.exp(2 * theta[0])
        if V is None and self._likeness is not None:
            squares *= self._likeness
        return squares

    def _cost(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the negative logarithm of the likelihood and its gradient."""
        K = self._covariance(theta)
        inverse, log_det = self._inverse(K, theta)
        if inverse is None:
            return 1e10, np.zeros_like(theta)
        c = inverse @ self._t
        W = inverse - np.outer(c, c)
        noise = np.exp(2 * theta[-1]) * float(np.diag(W) @ self._noise_shape)
        W *= K
        # sum_ab W_ab (u_a - u_b)^2 of each input, by one product of matrices.
        U = self._U
        spread = (W.sum(axis=1) @ U**2 - np.einsum("ij,ij->j", U, W @ U)) * np.exp(-2 * theta[1:-1])
        return (self._t @ c + log_det) / 2, np.r_[W.sum(), spread, noise]

    def _inverse(self, K: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Return the inverse of the covariance of what is observed, and its log determinant."""
        from scipy.linalg import lapack

        A = K.copy()
        noise = np.exp(2 * theta[-1]) * self._noise_shape
        A[np.diag_indices_from(A)] += noise + JITTER * np.exp(2 * theta[0])
        factor, failed = lapack.dpotrf(A, lower=1, overwrite_a=1)
        if failed:
            return None, 0.0
        log_det = 2 * float(np.log(np.diag(factor)).sum())
        inverse, failed = lapack.dpotri(factor, lower=1, overwrite_c=1)
        if failed:
            return None, 0.0
        inverse = np.tril(inverse)
        inverse += np.tril(inverse, -1).T
        return inverse, log_det

    def _solve(self) -> None:
        self._K = self._covariance(self.theta)
        inverse, _ = self._inverse(self._K, self.theta)
        if inverse is None:  # where the best place is at the limit of what can be inverted
            inverse = np.linalg.pinv(self._K + np.exp(2 * self.theta[-1]) * np.eye(len(self._K)))
        self._c = inverse @ self._t
        self._left_out = self._c / np.diag(inverse)

    # ----------------------------------------------------------------------------------- results

    def standardised(self, X: np.ndarray) -> np.ndarray:
        """Return inputs (M, D) as the model sees them."""
        with np.errstate(all="ignore"):
            return np.column_stack([s(c) for s, c in zip(self.scales, X.T, strict=True)])

    @property
    def errors(self) -> np.ndarray:
        """By what the model errs on each row that it has not seen (N,), in units of y."""
        errors = np.abs(self._left_out) * self._size
        # Of a logarithm to first order; a factor of two and more counts as it is.
        return errors * np.abs(self.y) if self.is_log else errors

    @property
    def noise(self) -> float:
        """The share of the scatter of t that is noise, as a standard deviation."""
        return float(np.exp(self.theta[-1]) * self._size)

    @cached_property
    def _slopes(self) -> np.ndarray:
        """Gradients of t at the rows by standardised inputs, (N, D)."""
        G = np.empty_like(self._U)
        for j, length in enumerate(np.exp(-2 * self.theta[1:-1])):
            u = self._U[:, j]
            weighted = self._K * self._c
            G[:, j] = (weighted @ u - u * weighted.sum(axis=1)) * length
        return G * self._size + self._line[1:]

    @cached_property
    def gradients(self) -> np.ndarray:
        """Gradients of y at the rows (N, D)."""
        G = self._slopes * np.column_stack(
            [s.slope(c) for s, c in zip(self.scales, self.X.T, strict=True)]
        )
        return G * self.y[:, None] if self.is_log else G

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the values (M,) of the model for inputs (M, D)."""
        V = self.standardised(X)
        t = self._size * (self._c @ self._covariance(self.theta, V))
        t = t + self._line[0] + V @ self._line[1:]
        return self._sign * np.exp(t) if self.is_log else t
