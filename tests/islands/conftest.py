"""A Dask cluster on this machine."""

from tests.support.cluster import cluster

__all__ = ["cluster"]
