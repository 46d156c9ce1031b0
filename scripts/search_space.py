"""How much of the search space priors cut away, estimated from samples of the untrained policy.

With one config:
  --mode marginal  each prior switched off in turn: how many samples does the full set forbid then?
  --mode single    all priors off: how many samples does each prior alone forbid?
  --mode all       all priors off: how many samples does the full set forbid?
With two configs over the same tokens: how many samples of the first does the second forbid?

    python scripts/search_space.py config_regression.json --mode single --n 10000
"""

from __future__ import annotations

import copy
import logging

import click

from dso.build import data_ranges
from dso.config import load_config, validate
from dso.errors import UserError
from dso.policy import RNNPolicy
from dso.prior import JointPrior, make_joint_prior
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream
from dso.task import Task, make_task


def build(config: dict) -> tuple[Task, JointPrior]:
    """Return the task and the priors of a config."""
    checked = validate(config)
    section = checked.task.to_dict()
    section.pop("validation_fraction", None)
    task = make_task(**section)
    prior = make_joint_prior(
        checked.prior.to_dict(),
        task.library,
        max_length=checked.policy.max_length,
        **data_ranges(task.fit_data),
    )
    return task, prior


def sample(config: dict, n: int) -> ProgramBatch:
    """Draw from the untrained policy under the priors of a config."""
    task, prior = build(config)
    return RNNPolicy(task.library, prior).sample(n, Stream(0, "search space")).programs


def switched_on(config: dict) -> list[str]:
    """Return the names of the priors that are on."""
    sections = {
        name: value for name, value in config["prior"].items() if name != "count_constraints"
    }
    return [
        name
        for name, value in sections.items()
        if any(one.get("on") for one in (value if isinstance(value, list) else [value]))
    ]


def with_only(config: dict, names: list[str]) -> dict:
    """Return the config with these priors and no others."""
    changed = copy.deepcopy(config)
    changed["prior"] = {name: config["prior"][name] for name in names}
    return changed


def forbidden(programs: ProgramBatch, config: dict) -> int:
    """Count the programs that the priors of a config forbid."""
    return int((~build(config)[1].allowed(programs)).sum())


def measure(config: dict, n: int, mode: str) -> dict[str, int]:
    """Return how many of `n` samples are forbidden, by prior or altogether."""
    names = switched_on(config)
    if mode == "marginal":
        return {
            name: forbidden(sample(with_only(config, [o for o in names if o != name]), n), config)
            for name in names
        }
    free = sample(with_only(config, []), n)
    if mode == "single":
        return {name: forbidden(free, with_only(config, [name])) for name in names}
    return {"all": forbidden(free, config)}


@click.command()
@click.argument("config")
@click.argument("other", required=False)
@click.option("--n", default=1000, show_default=True, help="Samples.")
@click.option("--mode", type=click.Choice(["marginal", "single", "all"]), help="With one config.")
def main(config: str, other: str | None, n: int, mode: str | None) -> None:
    """Print how many of N samples the priors forbid."""
    logging.getLogger("dso").setLevel(logging.ERROR)
    if (other is None) == (mode is None):
        raise click.UsageError("give either a second config or --mode")
    try:
        first = load_config(config)
        if other is None:
            assert mode is not None
            counts = measure(first, n, mode)
        else:
            second = load_config(other)
            if build(first)[0].library.names != build(second)[0].library.names:
                raise UserError(f"{config} and {other} have different tokens.")
            counts = {other: forbidden(sample(first, n), second)}
    except UserError as error:
        raise click.ClickException(str(error)) from None
    for name, count in counts.items():
        print(f"{name:20} forbids {count:6} of {n} ({count / n:.1%})")


if __name__ == "__main__":
    main()
