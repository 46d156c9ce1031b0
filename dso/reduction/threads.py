"""One thread for linear algebra: those of BLAS wait for each other by counting.

On a machine with other work to do that takes thirty times the work itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager:
    """Return a context in which numpy and scipy multiply matrices in one thread."""
    import scipy.linalg  # noqa: F401  # only what is loaded is limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "blas")
