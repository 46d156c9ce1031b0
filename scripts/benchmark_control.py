"""Measure the control task: step rates of the back ends, and what searches reach.

python scripts/benchmark_control.py rates
python scripts/benchmark_control.py auto --folder logs/auto
python scripts/benchmark_control.py search Pendulum-v1.json --seed 0 --seed 1 --out logs/control.csv
"""

from __future__ import annotations

import csv
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import gymnasium
import numpy as np

from dso import DeepSymbolicOptimizer
from dso.config import load_config, read_assignments, with_values
from dso.launch.jobs import Job, summary_rows
from dso.launch.stages import run_stages
from dso.program import Program, ProgramBatch
from dso.streams import Stream
from dso.task.control import ControlTask, Environment, Rollouts
from dso.task.control.backend import Episodes
from dso.task.control.behaviour import Behaviours
from dso.task.control.composition import Policies
from dso.task.control.racing import Racing

FUNCTION_SET = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", 0.1, 1.0, 5.0]
RATE_IDS = (
    "dso/CartPoleContinuous-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "dso/CartPoleSwingUp-v0",
    "InvertedDoublePendulum-v5",
    "Hopper-v5",
    "LunarLanderContinuous-v3",
)
FIXED = "x1"
N_PROGRAMS, N_EPISODES = 20, 5
SECONDS = 2.0

AUTO = ("LunarLanderAuto", "InvertedDoublePendulumBullet", "HopperBullet", "BipedalWalkerAuto")
"""Examples in which all actions become formulas."""
PUBLISHED = {
    "dso/CartPoleContinuous-v0": 999.59,
    "MountainCarContinuous-v0": 99.11,
    "Pendulum-v1": -155.4,
    "InvertedDoublePendulum-v5": 9149.9,
    "InvertedDoublePendulumBulletEnv-v0": 9149.9,
    "InvertedPendulumSwingupBulletEnv-v0": 891.9,
    "LunarLanderContinuous-v3": 261.36,
    "HopperBulletEnv-v0": 2122.4,
    "BipedalWalker-v3": 311.78,
}
"""Mean returns of 1 000 test episodes, on these environments or those they took the place of, of
DSP (Landajuela et al., 2021)."""
PUBLISHED_ESPL = {
    "dso/CartPoleContinuous-v0": 1000.0,
    "MountainCarContinuous-v0": 94.02,
    "Pendulum-v1": -151.72,
    "InvertedDoublePendulumBulletEnv-v0": 9359.9,
    "InvertedPendulumSwingupBulletEnv-v0": 890.36,
    "LunarLanderContinuous-v3": 283.56,
    "HopperBulletEnv-v0": 2442.48,
    "BipedalWalker-v3": 309.43,
}
"""The same of ESPL (Guo et al., 2023)."""
CEILINGS = {"Pendulum-v1": 0.0, "dso/CartPoleSwingUp-v0": 500.0, "MountainCarContinuous-v0": 100.0}
"""Greatest returns of an episode, where rewards are known to be bounded that well."""

COLUMNS = ("config", "changes", "seed", "n_samples", "n_steps", "r_avg_test", "success_rate",
           "published", "cpu_seconds", "seconds", "expression", "traversal")  # fmt: skip


@click.group()
def main() -> None:
    """See the module."""
    logging.getLogger("dso").setLevel(logging.WARNING)


def random_programs(task: ControlTask, n: int) -> ProgramBatch:
    """Return `n` expressions as an untrained policy writes them."""
    config = load_config({"task": {"task_type": "control"}, "experiment": {"logdir": None}})
    config["task"].update(env=task.environment.recipe.id, action_spec=spec(task.environment))
    model = DeepSymbolicOptimizer(config)
    model.setup()
    return model.policy.sample(n, Stream(0, "benchmark")).programs


def spec(environment: Environment) -> list[str | None]:
    """Learn the first action; the others are an observation."""
    return [None, *[FIXED] * (environment.n_actions - 1)]


def plain_loop(env: Any, programs: list[Program], seeds: range) -> int:
    """Step a Gymnasium environment as a simple script would; return the number of steps."""
    n_steps = 0
    low, high = env.action_space.low, env.action_space.high
    with np.errstate(all="ignore"):
        for program in programs:
            for seed in seeds:
                observation, _ = env.reset(seed=seed)
                is_over = False
                while not is_over:
                    first = program.execute(observation[None])
                    action = np.append(first, [observation[0]] * (len(low) - 1))
                    action = np.clip(np.nan_to_num(action), low, high).astype(np.float32)
                    observation, _, terminated, truncated, _ = env.step(action)
                    is_over = terminated or truncated
                    n_steps += 1
    return n_steps


@main.command()
@click.argument("env_ids", nargs=-1)
def rates(env_ids: tuple[str, ...]) -> None:
    """Steps per CPU-second of each back end and of a plain loop, in turn, on one core."""
    print("| Environment | Back end | Steps per CPU-second | Plain loop | Ratio |")
    print("| --- | --- | --- | --- | --- |")
    for env_id in env_ids or RATE_IDS:
        environment = Environment(env_id)
        task = ControlTask(
            env=env_id, function_set=FUNCTION_SET, action_spec=spec(environment), fix_seeds=True
        )
        batch = random_programs(task, N_PROGRAMS)
        rows = [Program(task.library, batch.row(i)) for i in range(N_PROGRAMS)]
        policies, rollouts = task.policies(batch), Rollouts(environment)
        rollouts(policies, range(N_EPISODES))  # first use makes the environment
        n_fast, fast_seconds = 0, 0.0
        while fast_seconds < SECONDS:
            before, start = rollouts.n_steps, time.process_time()
            rollouts(policies, range(N_EPISODES))
            fast_seconds += time.process_time() - start
            n_fast += rollouts.n_steps - before
        env = gymnasium.make(environment.recipe.id)
        n_slow, slow_seconds, i = 0, 0.0, 0
        while slow_seconds < SECONDS:
            start = time.process_time()
            n_slow += plain_loop(env, rows[i % N_PROGRAMS : i % N_PROGRAMS + 1], range(N_EPISODES))
            slow_seconds += time.process_time() - start
            i += 1
        fast, slow = n_fast / fast_seconds, n_slow / slow_seconds
        name = type(rollouts.backend(policies)).__name__.removesuffix("Backend").lower()
        print(f"| `{env_id}` | {name} | {fast:,.0f} | {slow:,.0f} | {fast / slow:.1f} |")


@main.command()
@click.argument("env_ids", nargs=-1)
def physics(env_ids: tuple[str, ...]) -> None:
    """Show what of a step of an environment of Box2D is spent in the library's own step."""
    print("| Environment | Step, microseconds | Physics | Share |")
    print("| --- | --- | --- | --- |")
    for env_id in env_ids or ("LunarLanderContinuous-v3", "BipedalWalker-v3"):
        env: Any = Environment(env_id).recipe.make()
        random, spent, in_physics, n = np.random.default_rng(0), 0.0, 0.0, 0
        while spent < SECONDS:
            env.reset(seed=n)
            world = env.unwrapped.world = TimedWorld(env.unwrapped.world)
            actions = random.uniform(-1, 1, (2000, *env.action_space.shape)).astype(np.float32)
            start, is_over = time.process_time(), False
            while not is_over:
                _, _, terminated, truncated, _ = env.step(actions[n % 2000])
                is_over, n = terminated or truncated, n + 1
            spent, in_physics = spent + time.process_time() - start, in_physics + world.seconds
            env.unwrapped.world = world.world
        step, own = 1e6 * spent / n, 1e6 * in_physics / n
        print(f"| `{env_id}` | {step:.1f} | {own:.1f} | {own / step:.0%} |")


class TimedWorld:
    """A world of Box2D that measures its steps."""

    def __init__(self, world: Any) -> None:
        self.world, self.seconds = world, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def Step(self, *arguments: Any) -> None:
        """Take a step."""
        start = time.process_time()
        self.world.Step(*arguments)
        self.seconds += time.process_time() - start


def search_config(source: str, seed: int, changes: tuple[str, ...]) -> dict:
    """Return a config file, or the default control config for an environment, with changes."""
    if source.endswith(".json"):
        config = load_config(source)
    else:
        config = load_config({"task": {"task_type": "control", "env": source}})
    config["experiment"].update(seed=seed, logdir=None)
    config["training"]["verbose"] = False
    return with_values(config, read_assignments(changes))


def run(source: str, seed: int, changes: tuple[str, ...], most_steps: float) -> dict[str, object]:
    """Do one search and return its row; its steps are those of rewards, ranking and refinement."""
    config = search_config(source, seed, changes)
    n_tests, config["task"]["n_episodes_test"] = config["task"]["n_episodes_test"], 1
    start, cpu = time.perf_counter(), time.process_time()
    model = DeepSymbolicOptimizer(config)
    result = model.train(callback=lambda _: model.task.rollouts.n_steps >= most_steps)
    task = model.task
    assert isinstance(task, ControlTask)
    row = {
        "config": source,
        "changes": " ".join(changes),
        "seed": seed,
        "n_steps": task.rollouts.n_steps,
        "published": PUBLISHED.get(task.environment.recipe.id, ""),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "seconds": round(time.perf_counter() - start, 1),
        **{name: result[name] for name in ("n_samples", "expression", "traversal")},
    }
    task.n_episodes_test = n_tests
    return {**row, **task.evaluate(result["program"])}


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,))
@click.option("--set", "changes", multiple=True, help="section.key=JSON")
@click.option("--steps", default=math.inf, help="End a search after this many environment steps.")
@click.option("--out", type=click.Path(path_type=Path), help="A CSV that rows are added to.")
def search(
    sources: tuple[str, ...],
    seeds: tuple[int, ...],
    changes: tuple[str, ...],
    steps: float,
    out: Path | None,
) -> None:
    """Search policies, and test them in 1 000 episodes; rows that OUT has already are left out.

    SOURCES are config files or ids of environments, for these with the default control config.
    """
    done = _rows_of(out)
    for source in sources:
        for seed in seeds:
            if (source, " ".join(changes), str(seed)) in done:
                continue
            row = run(source, seed, changes, steps)
            print({name: row.get(name) for name in COLUMNS}, flush=True)
            if out is not None:
                append(out, row)


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--set", "changes", multiple=True, help="section.key=JSON")
def savings(sources: tuple[str, ...], changes: tuple[str, ...]) -> None:
    """What share of the steps of a search would be saved, by rule, if all episodes were played.

    Racing drops programs by a forecast. A bound drops those that cannot get above the same running
    quantile even if the rest of their episodes reach the ceiling. What acts like an earlier program
    has the same returns in every episode; races leave it out if these are the same in two.
    """
    print("| Environment | Programs | Steps | Bound | Racing | Acts alike | Racing, acts alike |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for source in sources:
        config = search_config(source, 0, changes)
        config["task"].update(racing=False, n_episodes_validation=0, n_episodes_test=1)
        config["task"]["refine_rounds"] = 0
        model = DeepSymbolicOptimizer(config)
        model.setup()
        task = model.task
        assert isinstance(task, ControlTask)
        env_id = task.environment.recipe.id
        count = Savings(CEILINGS.get(env_id, math.inf))
        task.rollouts = Watched(task.rollouts, count, task.fitting_seeds)
        while model.stop_reason is None:
            model.iterate()
        rules = (count.bound, count.raced, count.alike, count.both)
        shares = " | ".join(f"{n / count.n_steps:.0%}" for n in rules)
        print(f"| `{env_id}` | {count.n_programs} | {count.n_steps:.2g} | {shares} |", flush=True)


class Watched(Rollouts):
    """Tells of each batch that plays the training episodes."""

    def __init__(self, rollouts: Rollouts, count: Savings, seeds: list[int]) -> None:
        super().__init__(rollouts.environment)
        self.count, self.seeds = count, seeds

    def play(self, policies: Policies, seeds: Sequence[int], n_threads: int = 1) -> Episodes:
        """See `Rollouts.play`."""
        played = super().play(policies, seeds, n_threads)
        if list(seeds) == self.seeds:
            self.count.add(played.returns, played.steps)
        return played


class Savings:
    """Steps that rules would have saved in batches that played everything."""

    def __init__(self, ceiling: float) -> None:
        self.ceiling, self.racing, self.seen = ceiling, Racing(), set[bytes]()
        self.other_racing, self.behaviours = Racing(), Behaviours()
        self.n_programs = self.n_steps = self.bound = self.raced = self.alike = self.both = 0

    def add(self, returns: np.ndarray, steps: np.ndarray) -> None:
        """Count a batch: returns and steps (P, E)."""
        n, n_episodes = returns.shape
        self.n_programs, self.n_steps = self.n_programs + n, self.n_steps + int(steps.sum())
        if self.racing.quantile is not None and math.isfinite(self.ceiling):
            left = np.arange(n_episodes - 1, -1, -1)
            best = (returns.cumsum(axis=1) + self.ceiling * left) / n_episodes  # (P, E)
            is_over = np.logical_or.accumulate(best < self.racing.quantile, axis=1)
            self.bound += int(steps[:, 1:][is_over[:, :-1]].sum())
        played = 0

        def play(rows: np.ndarray, episodes: Any) -> np.ndarray:
            nonlocal played
            played += int(steps[np.ix_(rows, list(episodes))].sum())
            return returns[np.ix_(rows, list(episodes))]

        self.racing.mean_returns(play, n, range(n_episodes))
        self.raced, played = self.raced + int(steps.sum()) - played, 0
        self.behaviours.mean_returns(self.other_racing, play, n, range(n_episodes))
        self.both += int(steps.sum()) - played
        for row, of_row in zip(returns, steps.sum(axis=1).tolist(), strict=True):
            key = row.tobytes()
            self.alike += of_row if key in self.seen else 0
            self.seen.add(key)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--seed", "seeds", multiple=True, type=int, default=(0, 1, 2))
@click.option("--folder", default="logs/auto", type=click.Path(path_type=Path))
def auto(names: tuple[str, ...], seeds: tuple[int, ...], folder: Path) -> None:
    """Make all actions formulas, and print a table of the test returns.

    NAMES are examples whose action_spec is auto. A run that is done or begun in FOLDER is not done
    or begun again.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("dso").setLevel(logging.INFO)
    for name in names or AUTO:
        for seed in seeds:
            place = folder / f"{name}_{seed}"
            if summary_rows(place):
                continue
            config = load_config(f"{name}.json")
            config["experiment"].update(logdir=str(folder), exp_name=place.name, seed=seed)
            config["training"]["verbose"] = False
            run_stages(Job(0, config, is_resumed=(place / f"stages_{seed}").exists()))
    print("| Environment | Seed | Mean return | Anchor | DSP | ESPL | Tokens | Steps | Policy |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    returns: dict[str, list[float]] = {}
    for place in sorted(folder.iterdir()):
        for row in summary_rows(place):
            print(_auto_line(place, row))
            returns.setdefault(env_of(place), []).append(float(str(row["r_avg_test"])))
    print("\n| Environment | Seeds | Mean | Deviation | Least | Greatest |")
    print("| --- | --- | --- | --- | --- | --- |")
    for env_id, of_env in returns.items():
        figures = (np.mean(of_env), np.std(of_env), min(of_env), max(of_env))
        shown = " | ".join(f"{figure:.1f}" for figure in figures)
        print(f"| `{env_id}` | {len(of_env)} | {shown} |")


def env_of(place: Path) -> str:
    """Return the environment of a run folder."""
    return str(json.loads((place / "config.json").read_text())["task"]["env"])


def _auto_line(place: Path, row: Mapping[str, object]) -> str:
    """Return the line of a table about one run."""
    env_id = env_of(place)
    sizes = ", ".join(str(len(entry)) for entry in json.loads(str(row["traversal"])))
    figures = [f"{float(str(row[name])):.1f}" for name in ("r_avg_test", "r_avg_anchor")]
    published = [str(table.get(env_id, "")) for table in (PUBLISHED, PUBLISHED_ESPL)]
    cells = (f"`{env_id}`", str(row["seed"]), *figures, *published, sizes,
             f"{float(str(row['n_steps'])):.2g}", f"`{row['expression']}`")  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _rows_of(path: Path | None) -> set[tuple[str, str, str]]:
    """Return what searches a CSV file has."""
    if path is None or not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["config"], row["changes"], row["seed"]) for row in csv.DictReader(file)}


def append(path: Path, row: dict[str, object]) -> None:
    """Add a row to a CSV file."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
