"""Training: the cross-entropy of the tokens that a table comes from, step by step.

A step depends on the state before it and its number alone: its examples are drawn from a stream of
their own. So a run that goes on from a saved state is the run that was never stopped, bit by bit.
A batch is taken apart into groups, and threads take one group after another; their gradients are
added up in the order of the groups, so the number of threads changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dso.errors import UserError
from dso.pretraining.architecture import Architecture, make_architecture
from dso.pretraining.checks import check_flag, check_number, check_whole
from dso.pretraining.examples import MAX_TOKENS, ExampleMaker, Examples
from dso.pretraining.network import Network
from dso.pretraining.sequences import Sequences
from dso.pretraining.vocabulary import Vocabulary
from dso.pretraining.weights import Weights
from dso.streams import Stream

N_GROUPS = 4
"""Into which a batch is split by length."""

_COUNTS = {
    "n_steps": (0, 10**9),
    "n_decay": (0, 10**9),
    "batch_size": (1, 10**6),
    "n_warmup": (0, 10**9),
    "language_model_every": (0, 10**9),
    "seed": (0, 2**63 - 1),
}
"""Whole numbers of a recipe, with the least and the greatest that is allowed."""
_RANGES = {
    "learning_rate": (1e-9, 10.0),
    "final_share": (0.0, 1.0),
    "weight_decay": (0.0, 10.0),
    "clip": (1e-9, 1e9),
    "averaging": (0.0, 1.0),
}
"""The other numbers."""

Batch = dict[str, Tensor]
"""Inputs and targets of programs by name."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    n_steps : int
    n_decay : int
        The last of these, in which the learning rate falls as a cosine to `final_share` of itself.
    batch_size : int
    learning_rate : float
        Between the `n_warmup` first steps, in which it rises, and the `n_decay` last ones.
    n_warmup : int
    final_share : float
    weight_decay, clip : float
    averaging : float
        Of the exponential moving average of the weights, which is what is used afterwards.
    language_model_every : int
        A network of the same size that does not see the data takes part in each such step; 0: none.
    bf16 : bool
        Products in bfloat16. Much faster where the processor has them, much slower elsewhere.
    seed : int
    """

    n_steps: int = 100_000
    n_decay: int = 20_000
    batch_size: int = 128
    learning_rate: float = 1e-3
    n_warmup: int = 1000
    final_share: float = 0.02
    weight_decay: float = 0.01
    clip: float = 1.0
    averaging: float = 0.999
    language_model_every: int = 0
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _COUNTS.items():
            check_whole(f"recipe.{name}", getattr(self, name), least, most)
        for name, (low, high) in _RANGES.items():
            check_number(f"recipe.{name}", getattr(self, name), low, high)
        check_flag("recipe.bf16", self.bf16)
        if not 0 <= self.n_decay <= self.n_steps:
            raise UserError(f"recipe.n_decay is {self.n_decay}, not from 0 to {self.n_steps}.")

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        risen = min(1.0, (step + 1) / max(1, self.n_warmup))
        fallen = min(1.0, max(0.0, 1 - (self.n_steps - step) / max(1, self.n_decay)))
        least = self.final_share
        return (
            self.learning_rate
            * risen
            * (least + (1 - least) * (1 + math.cos(math.pi * fallen)) / 2)
        )

    def continues(self, other: Recipe, step: int) -> bool:
        """Whether the first steps of both are the same, so that this one may take over at `step`.

        A run whose learning rate has not begun to fall can be made longer or shorter.
        """
        if replace(self, n_steps=0, n_decay=0) != replace(other, n_steps=0, n_decay=0):
            return False
        constant = min(recipe.n_steps - recipe.n_decay for recipe in (self, other))
        return self == other or step <= constant


class Learner:
    """One network with its optimiser and the moving average of its weights.

    Parameters
    ----------
    network : Network
    recipe : Recipe
    threads : ThreadPoolExecutor
        They take the groups of a batch.
    """

    def __init__(self, network: Network, recipe: Recipe, threads: ThreadPoolExecutor) -> None:
        self.network, self.recipe, self._threads = network, recipe, threads
        self.parameters = dict(network.named_parameters())
        self.averages = {name: p.detach().clone() for name, p in self.parameters.items()}
        decayed = [p for p in self.parameters.values() if p.ndim > 1]
        others = [p for p in self.parameters.values() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            betas=(0.9, 0.95),
            fused=True,
        )

    def step(self, batch: Batch, rate: float, average: float) -> float:
        """Take one step, return the cross-entropy per token before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.differentiate(batch)
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.recipe.clip)
        self.optimizer.step()
        with torch.no_grad():
            kept, now = list(self.averages.values()), list(self.parameters.values())
            torch._foreach_lerp_(kept, [p.detach() for p in now], 1 - average)
        return loss

    def differentiate(self, batch: Batch) -> float:
        """Set the gradients of the cross-entropy per token, and return it."""
        n_tokens = int((batch["tokens"] >= 0).sum())
        parameters = list(self.parameters.values())

        def work(group: Batch) -> tuple[float, tuple[Tensor, ...]]:
            loss = cross_entropy(self.network, group, self.recipe.bf16, "sum") / n_tokens
            return float(loss.detach()), torch.autograd.grad(loss, parameters)

        # The longest programs take most time, so they come first.
        losses, gradients = zip(*self._threads.map(work, by_length(batch)[::-1]), strict=True)
        for parameter, *parts in zip(parameters, *gradients, strict=True):
            parameter.grad = torch.stack(parts).sum(dim=0)
        return sum(losses)

    def averaged(self) -> Network:
        """Return a network with the averaged weights."""
        network = self.network
        copy = Network(
            network.sizes, network.n_inputs, network.n_tokens, sees_data=network.sees_data
        )
        copy.load_state_dict(self.averages)
        return copy.to(next(network.parameters()).device).eval()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return weights, averages and moments by name."""
        moments = self.optimizer.state
        arrays: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            state = moments.get(parameter, {})
            arrays[f"weight {name}"] = parameter
            arrays[f"average {name}"] = self.averages[name]
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if key in state:
                    arrays[f"{key} {name}"] = state[key]
        return {name: array.detach().cpu().numpy().copy() for name, array in arrays.items()}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        UserError
            If it is that of another network.
        """
        for name in arrays:
            if name.startswith("weight ") and name.removeprefix("weight ") not in self.parameters:
                raise UserError(f"the state is that of another network: it has {name}.")
        moments: Any = self.optimizer.state
        for name, parameter in self.parameters.items():
            found = arrays.get(f"weight {name}")
            if found is None or found.shape != tuple(parameter.shape):
                raise UserError(f"the state is that of another network: {name}.")
            state = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if f"{key} {name}" in arrays:
                    # The fused optimiser wants the number of its step there too.
                    state[key] = torch.tensor(arrays[f"{key} {name}"], device=parameter.device)
            with torch.no_grad():
                parameter.copy_(torch.tensor(found))
                self.averages[name].copy_(torch.tensor(arrays[f"average {name}"]))
            if state:
                moments[parameter] = state


class Pretrainer:
    """Trains a network on examples.

    Parameters
    ----------
    maker : ExampleMaker
    vocabulary : Vocabulary
    sizes : Architecture
    recipe : Recipe
    device : str
    n_threads : int
        That work on a batch at the same time. torch should have one for itself.
    """

    def __init__(
        self,
        maker: ExampleMaker,
        vocabulary: Vocabulary,
        sizes: Architecture,
        recipe: Recipe,
        device: str = "cpu",
        n_threads: int = 1,
    ) -> None:
        if sizes.max_length < MAX_TOKENS:
            raise UserError(
                f"network.max_length is {sizes.max_length}; targets have up to {MAX_TOKENS} tokens."
            )
        self.maker, self.vocabulary, self.recipe, self.device = maker, vocabulary, recipe, device
        self.batches = Batches(vocabulary, device)
        self._threads = ThreadPoolExecutor(n_threads)
        self._made: dict[int, Future[Batch]] = {}
        self.n_steps_done = 0
        self.learners = {"network": self._learner(sizes, sees_data=True)}
        if recipe.language_model_every:
            self.learners["language model"] = self._learner(sizes, sees_data=False)

    def _learner(self, sizes: Architecture, *, sees_data: bool) -> Learner:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            network = Network(
                sizes, self.vocabulary.n_inputs, len(self.vocabulary), sees_data=sees_data
            )
        return Learner(network.to(self.device), self.recipe, self._threads)

    @property
    def n_examples(self) -> int:
        """Examples seen so far."""
        return self.n_steps_done * self.recipe.batch_size

    def step(self) -> dict[str, float]:
        """Take one step; return the cross-entropy of each network that took part."""
        step, recipe = self.n_steps_done, self.recipe
        batch = self._batch(step)
        # The average must forget where it started from.
        average = min(recipe.averaging, (1 + step) / (10 + step))
        losses = {}
        for name, learner in self.learners.items():
            every = 1 if name == "network" else recipe.language_model_every
            if step % every == 0:
                losses[name] = learner.step(batch, recipe.rate_at(step), average)
        self.n_steps_done += 1
        return losses

    def _batch(self, step: int) -> Batch:
        """Return the batch of a step, while a thread makes that of the next."""
        made = self._made.get(step) or self._threads.submit(self._make, step)
        self._made = {step + 1: self._threads.submit(self._make, step + 1)}
        return made.result()

    def _make(self, step: int) -> Batch:
        generator = Stream(self.recipe.seed, "pretraining examples", step).generator()
        return self.batches(self.maker(self.recipe.batch_size, generator))

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on, as arrays by name."""
        arrays = {
            f"{who}: {name}": array
            for who, learner in self.learners.items()
            for name, array in learner.state_dict().items()
        }
        return {"n_steps_done": np.array(self.n_steps_done), **arrays}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned."""
        self.n_steps_done = int(arrays["n_steps_done"])
        for who, learner in self.learners.items():
            start = f"{who}: "
            own = {n[len(start) :]: a for n, a in arrays.items() if n.startswith(start)}
            learner.load_state_dict(own)

    def start_from(self, weights: Weights) -> None:
        """Begin with the weights of another training instead of random ones.

        Raises
        ------
        UserError
            If they are those of another network or vocabulary.
        """
        given, own = weights.vocabulary().names, self.vocabulary.names
        if given != own:
            raise UserError(
                "the weights to start from have another vocabulary; its tokens, in their order, "
                f"are {', '.join(given)}; here they are {', '.join(own)}."
            )
        learner = self.learners["network"]
        sizes = learner.network.sizes.as_dict()
        for name, value in make_architecture(weights.about["architecture"]).as_dict().items():
            if value != sizes[name]:
                raise UserError(
                    f"the weights to start from have {name} {value}, the network {sizes[name]}."
                )
        learner.load_state_dict(
            {f"{kind} {n}": a for n, a in weights.arrays.items() for kind in ("weight", "average")}
        )


class Batches:
    """Turns examples into tensors.

    Parameters
    ----------
    vocabulary : Vocabulary
    device : str
    """

    def __init__(self, vocabulary: Vocabulary, device: str = "cpu") -> None:
        self._sequences = Sequences(vocabulary.arities)
        self._device = device

    def __call__(self, examples: Examples) -> Batch:
        """Return inputs and targets by name, short programs first, so that neighbours are alike."""
        order = np.argsort(examples.lengths, kind="stable")
        tables = examples.tables
        before, parent, sibling = self._sequences(examples.tokens, examples.lengths)
        arrays = {
            "x": tables.x,
            "y": tables.y,
            "level": tables.level,
            "allowed": tables.allowed,
            "before": before,
            "parent": parent,
            "sibling": sibling,
            "tokens": examples.tokens.astype(np.int64),
        }
        return {
            name: torch.from_numpy(array[order]).to(self._device) for name, array in arrays.items()
        }


def by_length(batch: Batch) -> list[Batch]:
    """Return groups of neighbours in a batch, each as wide as its own longest program.

    Half of all positions would be padding if the longest program set the width for all.
    """
    size = math.ceil(len(batch["tokens"]) / N_GROUPS)
    split = zip(*(values.split(size) for values in batch.values()), strict=True)
    groups = [dict(zip(batch, values, strict=True)) for values in split]
    for group in groups:
        longest = int((group["tokens"] >= 0).sum(dim=1).max())
        for name in ("before", "parent", "sibling", "tokens"):
            group[name] = group[name][:, :longest]
    return groups


def cross_entropy(
    network: Network, batch: Batch, bf16: bool = False, reduction: str = "mean"
) -> Tensor:
    """Return the cross-entropy of the written tokens in nats, over the allowed ones.

    Parameters
    ----------
    network : Network
    batch : dict
        What `Batches` returned, or a group of it.
    bf16 : bool
    reduction : {"mean", "sum", "none"}
        Over tokens; "none": one for each, program after program.
    """
    allowed, tokens = batch["allowed"], batch["tokens"]
    with torch.autocast(batch["x"].device.type, dtype=torch.bfloat16, enabled=bf16):
        memory = network.read(batch["x"], batch["y"], batch["level"], allowed.float())
        logits = network.logits(memory, batch["before"], batch["parent"], batch["sibling"])
    logits = logits.float().masked_fill(~allowed[:, None], -torch.inf)
    is_written = tokens >= 0
    return F.cross_entropy(logits[is_written], tokens[is_written], reduction=reduction)


@torch.no_grad()
def validation_loss(network: Network, batches: Iterable[Batch]) -> float:
    """Return the mean cross-entropy per token over batches."""
    total, n = 0.0, 0
    for batch in batches:
        total += sum(float(cross_entropy(network, g, reduction="sum")) for g in by_length(batch))
        n += int((batch["tokens"] >= 0).sum())
    return total / n
