"""Networks to anchor to."""

from typing import Any

import numpy as np

from dso.task.control.network import NetworkAnchor


def network(n_in: int = 8, n_out: int = 2, **changes: Any) -> NetworkAnchor:
    """Return a random network, the same for the same sizes."""
    random = np.random.default_rng(0)
    sizes = [n_in, 20, 13, n_out]
    pairs = list(zip(sizes[1:], sizes, strict=False))
    given: dict[str, Any] = {
        "weights": tuple(random.normal(size=pair).astype(np.float32) for pair in pairs),
        "biases": tuple(random.normal(size=n).astype(np.float32) for n, _ in pairs),
        "activation": "tanh",
        "head": "linear",
        "low": np.full(n_out, -1.0),
        "high": np.full(n_out, 1.0),
        "mean": np.empty(0),
        "deviation": np.empty(0),
        "limit": 0.0,
        **changes,
    }
    return NetworkAnchor(**given)
