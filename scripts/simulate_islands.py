"""What more workers would bring to one search: measure rounds of islands, then simulate them.

    python scripts/simulate_islands.py measure config.json --islands 8 --out rounds.json
    python scripts/simulate_islands.py simulate rounds.json --workers 8 --workers 64

A round sends each island (state and guests) over the link of the process at home to a worker, lets
it iterate there, and sends it back; when all are there, home judges what they have found. The link
is one resource: what is sent waits for what is sent before it. Times of islands, sizes and the time
at home are drawn from the measured ones; there are as many islands as workers, unless told
otherwise.
"""

from __future__ import annotations

import heapq
import json
import pickle
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from dso.config import load_config
from dso.islands import Archipelago
from dso.islands.engine import Call, Results


@dataclass(frozen=True)
class Rounds:
    """What was measured.

    Attributes
    ----------
    seconds : list of float
        CPU seconds of each round of each island.
    bytes_out, bytes_back : list of int
        What was sent for it, without the data, which are sent once.
    seconds_at_home : list of float
        CPU seconds to pack what is sent and to judge the finds, for each island.
    """

    seconds: list[float]
    bytes_out: list[int]
    bytes_back: list[int]
    seconds_at_home: list[float]


@click.group()
def main() -> None:
    """Measure and simulate islands."""


@main.command()
@click.argument("config")
@click.option("--islands", default=8, help="Islands of the run that is measured.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def measure(config: str, islands: int, out: Path) -> None:
    """Do a run in this process, and write its times and sizes."""
    plain = load_config(config)
    plain["islands"]["n"] = islands
    plain["reduce"]["on"] = False  # so that all that is done are rounds of islands
    plain["experiment"]["logdir"] = None
    plain["training"]["verbose"] = False
    rounds = Rounds([], [], [], [])

    def engine(calls: Sequence[Call]) -> Results:
        for function, island, data, guests, *how in calls:
            start = time.process_time()
            stay = function(island, data, guests, *how)
            rounds.seconds.append(time.process_time() - start)
            rounds.bytes_out.append(len(pickle.dumps((island, guests))))
            rounds.bytes_back.append(len(pickle.dumps(stay)))
            yield stay

    model = Archipelago(plain, engine=engine)
    model.setup()
    while model.stop_reason is None:
        start, before = time.process_time(), sum(rounds.seconds)
        model.train_one_step()
        at_home = time.process_time() - start - (sum(rounds.seconds) - before)
        rounds.seconds_at_home.append(at_home / islands)
    out.write_text(json.dumps(asdict(rounds)))
    click.echo(summary(rounds))


def summary(rounds: Rounds) -> str:
    """Return medians as text."""
    return (
        f"median round {np.median(rounds.seconds):.3g} s, out {np.median(rounds.bytes_out):.3g} "
        f"bytes, back {np.median(rounds.bytes_back):.3g} bytes, home "
        f"{np.median(rounds.seconds_at_home):.2g} s an island"
    )


@main.command()
@click.argument("measured", type=click.Path(path_type=Path, exists=True))
@click.option("--workers", multiple=True, type=int, default=(1, 2, 8, 64, 1024))
@click.option("--islands", default=None, type=int, help="Default: as many as workers.")
@click.option("--rounds", "n_rounds", default=200)
@click.option("--bandwidth", default=1e9, help="Of the link at home, bytes a second.")
@click.option("--latency", default=1e-3, help="Of a message, seconds.")
def simulate(
    measured: Path,
    workers: tuple[int, ...],
    islands: int | None,
    n_rounds: int,
    bandwidth: float,
    latency: float,
) -> None:
    """Print the speed-up over one worker that does the same rounds."""
    rounds = Rounds(**json.loads(measured.read_text()))
    click.echo(summary(rounds))
    click.echo("workers islands s/round speed-up efficiency link home")
    for n in workers:
        n_islands = islands or n
        random = np.random.default_rng(0)
        times = [
            one_round(draw(rounds, n_islands, random), n, bandwidth, latency)
            for _ in range(n_rounds)
        ]
        total, alone, link, home = np.sum(times, axis=0)
        click.echo(
            f"{n:7d} {n_islands:7d} {total / n_rounds:7.3f} {alone / total:8.1f} "
            f"{alone / total / n:9.0%} {link / total:5.0%} {home / total:4.0%}"
        )


def draw(rounds: Rounds, n: int, random: np.random.Generator) -> Rounds:
    """Return `n` islands' times and sizes, drawn from the measured ones."""
    rows = random.integers(len(rounds.seconds), size=n)
    at_home = random.choice(rounds.seconds_at_home, n)
    return Rounds(
        [rounds.seconds[i] for i in rows],
        [rounds.bytes_out[i] for i in rows],
        [rounds.bytes_back[i] for i in rows],
        at_home.tolist(),
    )


def one_round(
    rounds: Rounds, n_workers: int, bandwidth: float, latency: float
) -> tuple[float, float, float, float]:
    """Simulate one round.

    Returns
    -------
    total : float
        Seconds from its start to its end.
    alone : float
        Seconds that one worker at home takes for it, which sends nothing.
    link : float
        Seconds in which the link was busy.
    home : float
        Seconds in which home judged.
    """
    home = sum(rounds.seconds_at_home)
    alone = sum(rounds.seconds) + home
    if n_workers == 1:
        return alone, alone, 0.0, home
    link_free = link_busy = 0.0
    waiting = list(range(len(rounds.seconds)))[::-1]
    events: list[tuple[float, int, int]] = [(0.0, k, -1) for k in range(n_workers)]
    last = 0.0
    while events:
        now, worker, island = heapq.heappop(events)
        if island >= 0:  # it is done there, and comes back
            duration = rounds.bytes_back[island] / bandwidth
            link_free = max(link_free, now) + duration
            link_busy += duration
            last = max(last, link_free + latency)
        if waiting:
            island = waiting.pop()
            duration = rounds.bytes_out[island] / bandwidth
            link_free = max(link_free, now) + duration
            link_busy += duration
            done = link_free + latency + rounds.seconds[island]
            heapq.heappush(events, (done, worker, island))
    return last + home, alone, link_busy, home


if __name__ == "__main__":
    main()
