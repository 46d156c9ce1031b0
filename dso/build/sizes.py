"""How large a run may be, and on how many cores it runs."""

from __future__ import annotations

from dso.config import Config
from dso.errors import UserError

MAX_TOKENS = 10**9
MAX_WEIGHTS = 10**8
"""Tokens of a batch, and weights of a network, beyond which no machine has the memory."""


def check_sizes(config: Config) -> None:
    """Refuse what would take more memory than machines have, each key being allowed by itself."""
    training, policy = config.training, config.policy
    batches = {
        "training.batch_size": training.batch_size,
        "training.warm_start": training.warm_start if training.use_memory else None,
        "gp_meld.population_size": config.gp_meld.population_size,
    }
    for name, given in batches.items():
        size = given or 0
        if size * policy.max_length > MAX_TOKENS:
            raise UserError(
                f"{name}: {size}; with policy.max_length = {policy.max_length} that is "
                f"{size * policy.max_length:.3g} tokens at once; allowed: {MAX_TOKENS:.3g}."
            )
    units = policy.num_units if isinstance(policy.num_units, list) else None
    units = units or [policy.num_units] * policy.num_layers  # type: ignore[list-item]
    n_weights = sum(4 * n * (n + below) for below, n in zip([0, *units], units, strict=False))
    if n_weights > MAX_WEIGHTS:
        raise UserError(
            f"policy.num_units: {policy.num_units!r} in {len(units)} layer(s) are {n_weights:.3g} "
            f"weights; allowed: {MAX_WEIGHTS:.3g}."
        )


def n_cores(config: Config) -> int:
    """Return the threads, or processes for Python tasks, that one run may use."""
    given = config.training.n_cores_batch
    if config.gp_meld.run_gp_meld and config.gp_meld.parallel_eval:
        given = -1
    from joblib import cpu_count  # the cores that this process may use

    return cpu_count() if given == -1 else given or 1
