"""Clusters that cannot do what is wanted are refused before anything runs."""

from typing import Any

import pytest

from dso.cluster import cluster as connected
from dso.errors import UserError
from tests.support.cluster import cluster

__all__ = ["cluster"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_are_asked_first(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    address, _ = cluster
    with connected(address, ["dso.cluster:cluster"]) as client:
        assert client.submit(sum, [1, 2]).result() == 3
    message = (
        r"worker tcp://\S+: it cannot import 'no_such_module:Token' \(UserError: .*no_such_module"
    )
    with pytest.raises(UserError, match=message), connected(address, ["no_such_module:Token"]):
        pass
    monkeypatch.setattr("dso.cluster.version_of_dso", lambda: "0.0.1")
    with (
        pytest.raises(UserError, match=r"worker \S+: it has dso .*, but here is 0\.0\.1"),
        connected(address),
    ):
        pass
