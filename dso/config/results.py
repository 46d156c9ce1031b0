"""Which keys decide what a run finds, and so must not change before it is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ENDS = (
    "n_samples",
    "max_seconds",
    "max_megabytes",
    "reward_threshold",
    "patience",
    "early_stopping",
    "verbose",
)
"""Keys of `training` that only say when a run ends and what it shows of itself."""

_WITHOUT_EFFECT = ("experiment", "checkpoint", "postprocess")
_KEYS_WITHOUT_EFFECT = {
    "training": (*ENDS, "n_cores_batch", "debug"),
    "policy": ("debug",),
    "policy_optimizer": ("debug", "summary"),
    "gp_meld": ("verbose", "parallel_eval"),
    # Of the data it is the rows that count, wherever they are from.
    "task": ("dataset", "dataset_test", "weights", "model_selection"),
}
_KEPT = ("hof", "save_pareto_front")
"""Keys of `logging` that say what is kept, and with it what is judged."""


def deciding_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the keys on which results depend, by ``section.key``.

    The seed, and the data themselves, are compared elsewhere.
    """
    return dict(_deciding(config))


def _deciding(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, values in config.items():
        if section in _WITHOUT_EFFECT or not isinstance(values, Mapping):
            continue
        for key, value in values.items():
            is_kept = section != "logging" or key in _KEPT
            if is_kept and key not in _KEYS_WITHOUT_EFFECT.get(section, ()):
                yield f"{section}.{key}", value
