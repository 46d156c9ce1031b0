"""The workers of a Dask cluster, asked before anything runs whether they can do what is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dso.errors import UserError
from dso.version import version_of_dso

if TYPE_CHECKING:
    from distributed import Client

SECONDS_TO_ANSWER = 10


@contextmanager
def cluster(scheduler: str, code: Iterable[str] = ()) -> Iterator[Client]:
    """Connect to a Dask cluster; joblib then does its work there.

    Parameters
    ----------
    scheduler : str
        Its address, e.g. ``"tcp://10.0.0.1:8786"``.
    code : iterable of str
        References to a user's own objects, which workers must be able to import.

    Raises
    ------
    UserError
        If Dask is not installed, if no scheduler or worker answers, or if a worker lacks dso, has
        another version of it, or cannot import what is referred to.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UserError(
            "--backend dask: Dask is not installed; pip install 'deep-symbolic-optimization[dask]'."
        ) from None
    try:
        client = Client(scheduler, set_as_default=False, timeout=SECONDS_TO_ANSWER)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"--scheduler {scheduler!r}: no scheduler answers there: {error}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_TO_ANSWER)
        except TimeoutError:
            raise UserError(f"--scheduler {scheduler!r}: it has no workers.") from None
        _check_workers(client, scheduler, tuple(dict.fromkeys(code)))
        yield client


def _check_workers(client: Client, scheduler: str, code: tuple[str, ...]) -> None:
    """Refuse workers on which something is missing."""
    here = version_of_dso()

    # As a local function it travels as code: a worker without dso could not look it up.
    def what_is_wrong() -> str | None:
        try:
            from dso.plugins import import_object
            from dso.version import version_of_dso
        except ImportError as error:
            return f"its dso is missing, or of another version than {here} ({error})"
        if (there := version_of_dso()) != here:
            return f"it has dso {there}, but here is {here}"
        for reference in code:
            try:
                import_object(reference, "worker")
            except Exception as error:
                return f"it cannot import {reference!r} ({type(error).__name__}: {error})"
        return None

    for address, wrong in client.run(what_is_wrong).items():
        if wrong is not None:
            raise UserError(f"--scheduler {scheduler!r}: worker {address}: {wrong}.")
