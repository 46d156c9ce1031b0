"""Pre-training: skeletons once, then a network that learns to read equations off data.

`pool` generates the skeletons of a distribution, and goes on where it was stopped. `train` trains a
network on them, and goes on where it was stopped or killed, to the same weights bit by bit; the
folder gets `state.npz`, `curve.csv` and, at each save, the weights as `weights.npz` and `.json`;
those after 1000, 2000, 4000, ... steps stay. `validate` judges weights as the curve does.

    python scripts/pretrain.py pool --out pool.npz --n 3000000
    python scripts/pretrain.py train --pool pool.npz --folder run --set n_steps=100000
    python scripts/pretrain.py validate --weights run/weights-*.json run/weights.json
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dso.errors import UserError
from dso.pretraining.architecture import Architecture
from dso.pretraining.distribution import load_distribution
from dso.pretraining.examples import ExampleMaker
from dso.pretraining.model import PretrainedModel
from dso.pretraining.network import Network
from dso.pretraining.pool import Pool, PoolBuilder, build_held_out, build_pool
from dso.pretraining.recovery import SIZES, RecoverySet
from dso.pretraining.training import Batches, Pretrainer, Recipe, validation_loss
from dso.pretraining.vocabulary import Vocabulary
from dso.pretraining.weights import as_files, load_weights
from dso.runs.disk import replace_file, write_bytes, write_text
from dso.streams import Stream

CHUNKS_PER_SAVE = 40
N_HELD_OUT = 3000


def held_out_pool(arguments: argparse.Namespace) -> Pool:
    """Return the skeletons that are kept for validation; they take seconds to generate."""
    distribution = load_distribution(arguments.distribution)
    builder = PoolBuilder(distribution, Vocabulary(), seed=arguments.seed, stream="held-out")
    return build_held_out(builder, N_HELD_OUT)


def make_pool(arguments: argparse.Namespace) -> None:
    """Generate a pool that shares no skeleton with the held-out ones."""
    held_out = held_out_pool(arguments)
    builder = PoolBuilder(
        load_distribution(arguments.distribution),
        Vocabulary(),
        seed=arguments.seed,
        excluded=held_out.keys,
    )
    if arguments.out.exists():
        builder.resume(Pool.load(arguments.out))
        print(f"going on with {len(builder)} skeletons", flush=True)
    start, n_before = time.process_time(), len(builder)

    def report(builder: PoolBuilder) -> None:
        if builder.n_chunks % CHUNKS_PER_SAVE == 0:
            replace_file(arguments.out, builder.pool().write)
            rate = (len(builder) - n_before) / (time.process_time() - start)
            n_trees = builder.n_chunks * builder.chunk
            print(f"{len(builder)} skeletons of {n_trees} trees, {rate:.0f}/s", flush=True)

    pool = build_pool(builder, arguments.n, report)
    replace_file(arguments.out, pool.write)
    if len(pool) < arguments.n:
        print(f"hardly any more are found: {len(pool)} skeletons, {arguments.n} were asked for")
    print(f"{arguments.out}: {len(pool)} skeletons, hash {pool.hash}")


GROUPS = ("inputs_1", "inputs_2", "inputs_3", *(f"tokens_{most}" for most in SIZES))
COLUMNS = (
    "step", "examples", "cpu_seconds", "rate", "train", "train_language_model", "validation",
    "validation_language_model", "recovery_1", "recovery_128",
    *(f"recovery_128_{group}" for group in GROUPS),
)  # fmt: skip
VALIDATION_SEED, N_VALIDATION, VALIDATION_POINTS = 1, 128, (20, 32, 48, 64, 64, 100, 100, 150)


class HeldOut:
    """What networks are judged by: frozen tables, and problems, of skeletons that no pool has.

    Parameters
    ----------
    arguments : argparse.Namespace
        Distribution and seed of the pool, and the device of the networks.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        distribution, self.vocabulary = load_distribution(arguments.distribution), Vocabulary()
        pool = held_out_pool(arguments)
        maker = ExampleMaker(pool, distribution, self.vocabulary, weighted=False)
        batches = Batches(self.vocabulary, arguments.device)
        self.batches = []
        for i, n_points in enumerate(VALIDATION_POINTS):
            generator = Stream(VALIDATION_SEED, "pretraining validation", i).generator()
            self.batches.append(batches(maker(N_VALIDATION, generator, n_points)))
        self.recovery = RecoverySet(pool, distribution, self.vocabulary)

    def loss(self, network: Network) -> float:
        """Return the cross-entropy per token on the tables."""
        return round(validation_loss(network, self.batches), 4)

    def recovered(self, network: Network) -> dict[str, float]:
        """Return the shares of the problems that are solved."""
        if not self.recovery.problems:
            return {}
        model = PretrainedModel(network.cpu(), self.vocabulary)
        row = {"recovery_1": self.recovery.table(self.recovery.found(model, 1))["all"]}
        shares = self.recovery.table(self.recovery.found(model, 128))
        row["recovery_128"] = shares.pop("all")
        return row | {f"recovery_128_{group}": share for group, share in shares.items()}


class Training:
    """A folder with a training that can be stopped at any time.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of `train`.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        torch.set_num_threads(1)  # threads share out a batch, not a product
        self.arguments, self.folder = arguments, arguments.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.distribution = load_distribution(arguments.distribution)
        self.vocabulary = Vocabulary()
        self.sizes, self.recipe = settings(arguments.set)
        self.pool = Pool.load(arguments.pool)
        self._check_pool()
        maker = ExampleMaker(self.pool, self.distribution, self.vocabulary)
        self.trainer = Pretrainer(
            maker, self.vocabulary, self.sizes, self.recipe, arguments.device, arguments.threads
        )
        self.rows: list[dict[str, object]] = []
        self.cpu_before = 0.0
        if arguments.start_from:
            self.trainer.start_from(load_weights(arguments.start_from))
        self.resume()
        self.held_out = HeldOut(arguments)

    def _check_pool(self) -> None:
        wanted = {
            "vocabulary": list(self.vocabulary.names),
            "distribution": self.distribution.pool_hash,
        }
        for name, value in wanted.items():
            if self.pool.about[name] != value:
                raise UserError(f"the pool was built with another {name}.")
        # The held-out skeletons depend on the seed, and the pool is without those of its own.
        seed, own = self.arguments.seed, self.pool.about["seed"]
        if seed != own:
            raise UserError(
                f"the pool was built with --seed {own}, not {seed}; train with --seed {own}, or "
                f"build a pool with --seed {seed}. Another seed of the training is --set seed=..."
            )

    @property
    def _about(self) -> dict[str, object]:
        return {
            "inputs": self.vocabulary.n_inputs,
            "functions": list(self.vocabulary.functions),
            "architecture": self.sizes.as_dict(),
            "recipe": {f.name: getattr(self.recipe, f.name) for f in fields(Recipe)},
            "pool": {**self.pool.about, "n_skeletons": len(self.pool), "hash": self.pool.hash},
            "distribution": self.distribution.hash,
        }

    # ---- files ----

    def resume(self) -> None:
        """Go on from the saved state, if there is one."""
        file = self.folder / "state.npz"
        if not file.exists():
            return
        about, arrays = read_state(file)
        n_steps_done = int(arrays["n_steps_done"])
        for name in ("architecture", "distribution", "pool", "recipe"):
            other = different(about[name], self._about[name])
            if name == "recipe" and self.recipe.continues(Recipe(**about[name]), n_steps_done):
                continue
            if other:
                raise UserError(f"{file} was trained with another {name}: {other}.")
        self.rows, self.cpu_before = about["rows"], about["cpu_seconds"]
        self.trainer.load_state_dict(arrays)
        print(f"going on after step {self.trainer.n_steps_done}", flush=True)

    def save(self) -> None:
        """Write state, curve and weights."""
        about = {**self._about, "rows": self.rows, "cpu_seconds": self.cpu_seconds}
        packed = np.frombuffer(json.dumps(about).encode(), np.uint8)
        arrays = self.trainer.state_dict()
        replace_file(
            self.folder / "state.npz", lambda f: np.savez(f, about=packed, **arrays), sync=True
        )
        self._write_curve()
        self._write_weights("weights")

    def _write_weights(self, name: str) -> None:
        averages = self.trainer.learners["network"].averages
        content, described = as_files(
            {name: array.cpu().numpy() for name, array in averages.items()},
            {**self._about, "log": self.rows},
        )
        write_bytes(self.folder / f"{name}.npz", content)
        write_bytes(self.folder / f"{name}.json", described)

    def _write_curve(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.folder / "curve.csv", text.getvalue())

    @property
    def cpu_seconds(self) -> float:
        """Of all processes that have worked on this training."""
        return round(self.cpu_before + time.process_time(), 1)

    # ---- the loop ----

    def run(self) -> None:
        """Train to the end, saving now and then."""
        trainer, arguments = self.trainer, self.arguments
        losses: dict[str, list[float]] = {}
        saved = time.monotonic()
        if trainer.n_steps_done == self.recipe.n_steps:  # it may have been killed before this
            self._write_curve()
            self._write_weights("weights")
        while trainer.n_steps_done < self.recipe.n_steps:
            for name, loss in trainer.step().items():
                losses.setdefault(name, []).append(loss)
            is_last = trainer.n_steps_done == self.recipe.n_steps
            if trainer.n_steps_done % arguments.validate_every == 0 or is_last:
                self._add_row(losses)
                losses = {}
            if _is_milestone(trainer.n_steps_done):
                self._write_weights(f"weights-{trainer.n_steps_done}")
            if time.monotonic() - saved > arguments.save_every or is_last:
                self.save()
                saved = time.monotonic()

    def _add_row(self, losses: dict[str, list[float]]) -> None:
        trainer = self.trainer
        row: dict[str, object] = {
            "step": trainer.n_steps_done,
            "examples": trainer.n_examples,
            "cpu_seconds": self.cpu_seconds,
            "rate": round(trainer.n_examples / self.cpu_seconds, 1),
        }
        for name, learner in trainer.learners.items():
            end = "_language_model" if name == "language model" else ""
            row[f"train{end}"] = round(float(np.mean(losses.get(name, [np.nan]))), 4)
            row[f"validation{end}"] = self.held_out.loss(learner.averaged())
        is_last = trainer.n_steps_done == self.recipe.n_steps
        if (len(self.rows) + 1) % self.arguments.recover_every == 0 or is_last:
            row |= self.held_out.recovered(self.trainer.learners["network"].averaged())
        self.rows.append(row)
        self._show(row)
        print(" ".join(f"{name}={value}" for name, value in row.items()), flush=True)

    def _show(self, row: dict[str, object]) -> None:
        """Hand a row to TensorBoard."""
        if not self.arguments.tensorboard:
            return
        from torch.utils.tensorboard import SummaryWriter  # an extra

        with SummaryWriter(str(self.folder / "tensorboard")) as writer:
            for name, value in row.items():
                writer.add_scalar(name, value, int(str(row["examples"])))


def read_state(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `Training.save` wrote."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as data:
            arrays = dict(data)
        return json.loads(arrays.pop("about").tobytes()), arrays
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}.") from None
    except Exception:  # readers of zip and npy raise many kinds on a broken file
        raise UserError(
            f"{file} is cut short, or not a state; without it the training begins again."
        ) from None


def different(saved: Any, own: Any) -> Any:
    """Return what of a saved setting, or of an object of several, is not our own."""
    if isinstance(saved, dict):
        return {name: value for name, value in saved.items() if own.get(name) != value}
    return saved if saved != own else None


def _is_milestone(n_steps: int) -> bool:
    """Tell whether the weights are kept, for a curve: after 1000, 2000, 4000, ... steps."""
    n, rest = divmod(n_steps, 1000)
    return rest == 0 and n.bit_count() == 1


def settings(pairs: list[str]) -> tuple[Architecture, Recipe]:
    """Return architecture and recipe with some settings changed, each given as name=value."""
    architecture = {f.name for f in fields(Architecture)}
    recipe = {f.name for f in fields(Recipe)}
    chosen: dict[str, dict] = {"architecture": {}, "recipe": {}}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in architecture | recipe:
            raise UserError(f"--set: unknown name {name!r}. Allowed: "
                            f"{', '.join(sorted(architecture | recipe))}.")  # fmt: skip
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        chosen["architecture" if name in architecture else "recipe"][name] = value
    return Architecture(**chosen["architecture"]), Recipe(**chosen["recipe"])


def train(arguments: argparse.Namespace) -> None:
    """Train a network."""
    Training(arguments).run()


def validate(arguments: argparse.Namespace) -> None:
    """Print how good weights are."""
    models = {path: PretrainedModel.load(path) for path in arguments.weights}
    held_out = HeldOut(arguments)
    for path, model in models.items():
        row = {"validation": held_out.loss(model.network), **held_out.recovered(model.network)}
        print(path, *(f"{name}={value}" for name, value in row.items()), flush=True)


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}; at least 1 is needed")
    return number


def device(text: str) -> str:
    """Read the name of a device that torch can use here."""
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:  # an unknown name; one that is not there
        raise argparse.ArgumentTypeError(str(error).splitlines()[0]) from None
    return text


def main() -> None:
    """Do one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    steps = parser.add_subparsers(dest="step", required=True)
    pool = steps.add_parser("pool", help="generate skeletons")
    pool.add_argument("--out", type=Path, required=True)
    pool.add_argument("--n", type=count, default=3_000_000)
    training = steps.add_parser("train", help="train a network on a pool")
    training.add_argument("--pool", type=Path, required=True)
    training.add_argument("--folder", type=Path, required=True)
    training.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE")
    training.add_argument("--start-from", type=Path, help="weights to begin with")
    training.add_argument("--device", type=device, default="cpu")
    training.add_argument("--threads", type=count, default=1)
    training.add_argument("--validate-every", type=count, default=1000, metavar="STEPS")
    training.add_argument("--recover-every", type=count, default=10, metavar="VALIDATIONS")
    training.add_argument("--tensorboard", action="store_true")
    training.add_argument("--save-every", type=float, default=240.0, metavar="SECONDS")
    validation = steps.add_parser("validate", help="judge weights by what is held out")
    validation.add_argument("--weights", type=Path, nargs="+", required=True)
    validation.set_defaults(device="cpu")
    for step in (pool, training, validation):
        step.add_argument("--distribution", type=Path, help="JSON; default: the one of dso")
        step.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.getLogger("dso").setLevel(logging.WARNING)
    try:
        {"pool": make_pool, "train": train, "validate": validate}[arguments.step](arguments)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
