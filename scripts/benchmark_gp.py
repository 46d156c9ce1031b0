"""Throughput of GP-meld: offspring bred, checked and scored per CPU-second, one thread.

The GP preset on a benchmark without constants, iterations 3 to 13 in five windows. "Bred, checked
and scored" is the time of breeding, which checks the priors, and of the evaluator; "in all" is
whole iterations, with selection, hall of fame, sampling and learning.

    python scripts/benchmark_gp.py [--benchmark Nguyen-12] [--set gp_meld.p_semantic=0.0]
"""

from __future__ import annotations

import argparse
import logging
import time
from statistics import median

from benchmark_throughput import Stopwatch

from dso import DeepSymbolicOptimizer
from dso.config import load_config, read_assignments, with_values

FIRST, N_WINDOWS, WINDOW = 3, 5, 2
COLUMNS = ("n_offspring", "n_offspring_novel", "n_refused")


def make_optimizer(benchmark: str, assignments: list[str]) -> DeepSymbolicOptimizer:
    """Return a run of the GP preset with other values that nothing ends, set up."""
    config = load_config("config_regression_gp.json")
    config["task"]["dataset"] = benchmark
    config["experiment"]["logdir"] = None
    config["training"].update(verbose=False, early_stopping=False, n_samples=10**12)
    config = with_values(config, read_assignments(assignments))
    optimizer = DeepSymbolicOptimizer(config)
    optimizer.setup()
    return optimizer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--benchmark", default="Nguyen-12")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    logging.getLogger("dso").setLevel(logging.ERROR)
    optimizer = make_optimizer(arguments.benchmark, arguments.set)
    trainer = optimizer.trainer
    assert trainer is not None
    assert "gp" in trainer.sources
    for _ in range(FIRST):
        trainer.step()
    watch = Stopwatch()
    watch.wrap(trainer.sources["gp"].controller, "_breed", "breed and check")
    watch.wrap(trainer.sources["gp"].controller, "_score", "score")
    watch.wrap(trainer.sources["gp"].controller, "_individuals", "tell equal values")
    watch.wrap(trainer.sources["gp"].controller, "_select", "select")
    watch.wrap(trainer.keeper, "take_in", "remember")
    rates, whole = [], []
    totals = dict.fromkeys(COLUMNS, 0.0)
    begin = time.process_time()
    for _ in range(N_WINDOWS):
        start, before = time.process_time(), dict(watch.seconds)
        rows = [trainer.step().row for _ in range(WINDOW)]
        seconds = time.process_time() - start
        bred = sum(watch.seconds[s] - before.get(s, 0.0) for s in ("breed and check", "score"))
        n_offspring = sum(row["n_offspring"] for row in rows)
        rates.append(n_offspring / bred)
        whole.append(n_offspring / seconds)
        for name in COLUMNS:
            totals[name] += sum(row[name] for row in rows)
    elapsed = time.process_time() - begin
    n_offspring = totals["n_offspring"]
    tries = n_offspring + totals["n_refused"]
    length = trainer.sources["gp"].controller.population.programs.lengths.mean()
    print(
        f"{arguments.benchmark}, {len(optimizer.task.y_train)} rows, {length:.0f} tokens a program"
    )
    print(f"{median(rates):,.0f} offspring per CPU-second bred, checked and scored", end=" ")
    print(f"(windows {min(rates):,.0f} to {max(rates):,.0f})")
    print(f"{median(whole):,.0f} in all (windows {min(whole):,.0f} to {max(whole):,.0f})")
    print(f"{totals['n_refused'] / tries:.1%} of the tries refused", end=", ")
    print(f"{totals['n_offspring_novel'] / n_offspring:.1%} of the offspring new")
    for name, seconds in sorted(watch.seconds.items(), key=lambda item: -item[1]):
        print(f"{name:18} {1e6 * seconds / n_offspring:6.2f} us {seconds / elapsed:6.1%}")


if __name__ == "__main__":
    main()
