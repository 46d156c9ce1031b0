"""Files of runs and of sweeps, written by hand."""

import json
from pathlib import Path


def write_run(folder: Path, seed: int, hof: list[tuple], pf: list[tuple]) -> None:
    columns = "r,count_on_policy,count_off_policy,expression,traversal,nmse_test,success"
    rows = [f'{r},1,0,{text},"{text},x1",0.5,{success}' for r, text, success in hof]
    (folder / f"dso_toy_{seed}_hof.csv").write_text("\n".join([columns, *rows]) + "\n")
    rows = [f'{size},{r},1,0,{text},"{text},x1",0.5,False' for size, r, text in pf]
    (folder / f"dso_toy_{seed}_pf.csv").write_text(
        "\n".join([f"complexity,{columns}", *rows]) + "\n"
    )


def write_sweep(folder: Path, settings: list[tuple[str, tuple[float, ...]]]) -> None:
    """Write a sweep over epsilon with two seeds each; of runs without a reward none has ended."""
    entries = []
    for i, (epsilon, rewards) in enumerate(settings):
        name = f"{i:03d}_epsilon={epsilon}"
        inner = folder / name
        inner.mkdir()
        config = {"experiment": {"exp_name": f"sweep/{name}", "task_name": "toy"}}
        entries.append({"config": config, "varied": {"training.epsilon": float(epsilon)}})
        (inner / "config.json").write_text(json.dumps(config))
        rows = [f"{seed},{r},False,100" for seed, r in enumerate(rewards)]
        (inner / "summary.csv").write_text("\n".join(["seed,r,success,n_samples", *rows]) + "\n")
        for seed in range(2):
            write_run(inner, seed, [(0.9, f"e{i}s{seed}", False)], [(1, 0.2, "p")])
    batch = {"format": "dso batch", "version": 1, "runs": 2, "entries": entries}
    (folder / "batch.json").write_text(json.dumps(batch))
