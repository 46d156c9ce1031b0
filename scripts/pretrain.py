"""Pre-training: skeletons once, then a network that learns to read equations off data.

`pool` generates the skeletons of a distribution, and goes on where it was stopped.

    python scripts/pretrain.py pool --out pool.npz --n 3000000
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import numpy as np

from dso.pretraining.distribution import load_distribution
from dso.pretraining.pool import CHUNK, Pool, PoolBuilder, build_pool
from dso.pretraining.vocabulary import Vocabulary
from dso.runs.disk import replace_file

CHUNKS_PER_SAVE = 40
N_HELD_OUT = 3000


def held_out_pool(arguments: argparse.Namespace) -> Pool:
    """Return the skeletons that are kept for validation; they take seconds to generate."""
    distribution = load_distribution(arguments.distribution)
    builder = PoolBuilder(distribution, Vocabulary(), seed=arguments.seed, stream="held-out")
    return build_pool(builder, N_HELD_OUT)


def make_pool(arguments: argparse.Namespace) -> None:
    """Generate a pool that shares no skeleton with the held-out ones."""
    held_out = held_out_pool(arguments)
    builder = PoolBuilder(
        load_distribution(arguments.distribution),
        Vocabulary(),
        seed=arguments.seed,
        excluded=np.unique(held_out.keys),
    )
    if arguments.out.exists():
        builder.resume(Pool.load(arguments.out))
        print(f"going on with {len(builder)} skeletons", flush=True)
    start, n_before = time.process_time(), len(builder)

    def report(builder: PoolBuilder) -> None:
        if builder.n_chunks % CHUNKS_PER_SAVE == 0:
            replace_file(arguments.out, builder.pool().write)
            rate = (len(builder) - n_before) / (time.process_time() - start)
            n_trees = builder.n_chunks * CHUNK
            print(f"{len(builder)} skeletons of {n_trees} trees, {rate:.0f}/s", flush=True)

    pool = build_pool(builder, arguments.n, report)
    replace_file(arguments.out, pool.write)
    print(f"{arguments.out}: {len(pool)} skeletons")


def main() -> None:
    """Do one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    steps = parser.add_subparsers(dest="step", required=True)
    pool = steps.add_parser("pool", help="generate skeletons")
    pool.add_argument("--out", type=Path, required=True)
    pool.add_argument("--n", type=int, default=3_000_000)
    for step in (pool,):
        step.add_argument("--distribution", type=Path, help="JSON; default: the one of dso")
        step.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.getLogger("dso").setLevel(logging.WARNING)
    {"pool": make_pool}[arguments.step](arguments)


if __name__ == "__main__":
    main()
