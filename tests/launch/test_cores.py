"""All cores are those that the process may use: in a container, or where it is bound to some."""

import os
from collections.abc import Iterator

import pytest

from dso.build.sizes import n_cores
from dso.config import load_config, validate
from dso.regressor.options import n_threads


@pytest.fixture
def one_core() -> Iterator[None]:
    """Bind this process to one core."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot bind a process to a core")
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    yield
    os.sched_setaffinity(0, all_of_them)


@pytest.mark.usefixtures("one_core")
def test_all_cores_are_those_that_may_be_used() -> None:
    config = load_config({"task": {"task_type": "regression"}, "training": {"n_cores_batch": -1}})
    assert n_cores(validate(config)) == 1
    assert n_threads(None) == n_threads(-1) == n_threads(-2) == 1
    assert n_threads(3) == 3
