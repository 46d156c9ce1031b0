"""``dso play RUN``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dso.errors import UserError
from dso.launch.options import CONTEXT

if TYPE_CHECKING:
    import numpy as np

N_EPISODES, N_ROBUSTNESS = 5, 100


@click.command(context_settings=CONTEXT)
@click.argument("run_dir", metavar="RUN")
@click.option(
    "--episodes",
    default=None,
    type=click.IntRange(min=1),
    help=f"Default: {N_EPISODES}; with --robustness {N_ROBUSTNESS} of each value.",
)
@click.option("--seed", default=None, type=int, help="Which of several runs; default: the best.")
@click.option("--video", default=None, help="Film to make of them, e.g. out.mp4 or out.gif.")
@click.option("--window/--no-window", default=None, help="Default: where there is a screen.")
@click.option("--anchor", is_flag=True, help="Let the anchor play the same episodes.")
@click.option(
    "--robustness",
    multiple=True,
    metavar="NAME=VALUE,VALUE,...",
    help="Change a parameter of the environment instead; may be given several times.",
)
def play(
    run_dir: str,
    episodes: int | None,
    seed: int | None,
    video: str | None,
    window: bool | None,
    anchor: bool,
    robustness: tuple[str, ...],
) -> None:
    """Play the policy that RUN found: the folder of a control run, or the file of a policy.

    A page about the episodes is written into the folder.
    """
    if robustness:
        if video is not None or window or anchor:
            raise UserError("--robustness goes with --episodes and --seed alone.")
        _vary(run_dir, robustness, episodes or N_ROBUSTNESS, seed)
        return
    from dso.launch.play import PAGE, play, policy_of

    policy, _, folder = policy_of(run_dir, seed)
    click.echo(f"{policy.env_id}: {', '.join(policy.equations)}")
    played = play(run_dir, episodes or N_EPISODES, video, window=window, seed=seed, anchor=anchor)
    for i, one in enumerate(played.returns.tolist()):
        click.echo(f"  episode {i}: return {one:.6g}")
    click.echo(_mean("Mean return", played.returns))
    if played.anchor_returns is not None:
        click.echo(_mean("Mean return of the anchor", played.anchor_returns))
    if video is not None:
        click.echo(f"Film: {video}")
    click.echo(f"Page: {folder / PAGE}")


def _vary(run_dir: str, changes: tuple[str, ...], episodes: int, seed: int | None) -> None:
    from dso.launch.play import policy_of
    from dso.launch.robustness import PAGE, robustness

    table = robustness(run_dir, dict(map(_change, changes)), episodes, seed)
    click.echo(table.dropna(axis=1, how="all").to_string(index=False))
    click.echo(f"Page: {policy_of(run_dir, seed)[2] / PAGE}")


def _change(text: str) -> tuple[str, list[float]]:
    """Read ``g=9,10``."""
    name, _, values = text.partition("=")
    try:
        return name, [float(value) for value in values.split(",")]
    except ValueError:
        raise UserError(
            f"--robustness {text!r}: expected NAME=VALUE,VALUE,..., e.g. g=9,10,11."
        ) from None


def _mean(what: str, returns: np.ndarray) -> str:
    return (
        f"{what}: {returns.mean():.6g}, deviation {returns.std():.4g}, "
        f"from {returns.min():.6g} to {returns.max():.6g}"
    )
