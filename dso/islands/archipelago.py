"""Islands that exchange their best programs in synchronous rounds.

After a round the front and the best programs P(j) of other islands become the guests of island k:

    G(k)  <-  P(k - 1) on a ring, or P(j) of all j != k

What all have found is judged on all rows by one keeper, that of the `Archipelago`, which is to its
caller one search: its iterations are the rounds.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.config import validate, with_values
from dso.core import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.islands.engine import Engine, one_by_one
from dso.islands.round import Island, Travellers, do_round
from dso.library import create_tokens
from dso.program import ProgramBatch
from dso.streams import Stream
from dso.training.stopping import Standing, Stopping

if TYPE_CHECKING:
    from dso.build import Run
    from dso.program.batch import Batch
    from dso.reduction import Reduced
    from dso.task.regression import Dataset


class Archipelago(DeepSymbolicOptimizer):
    """A search made of islands.

    Parameters
    ----------
    config : None, path, or dict
        Its section ``islands`` says how many there are.
    data : Dataset, optional
    engine : callable, optional
        Does the rounds of all islands. Default: in this process, one after the other.

    Attributes
    ----------
    islands : list of Island
        There after `setup`.
    """

    def __init__(
        self,
        config: Any = None,
        data: Dataset | None = None,
        engine: Engine = one_by_one,
    ) -> None:
        if data is not None:
            data = _by_column(data)
        super().__init__(config, data)
        self.engine = engine
        self.islands: list[Island] = []
        self._found: list[Travellers] = []
        self._reduced: Reduced | None = None
        self._stop_file: Path | None = None

    @property
    def reduced(self) -> Reduced | None:
        """What the data have said to the first island that asked them, since this was set up."""
        return self._reduced

    def train_one_step(self, override: Batch | None = None) -> dict[str, Any] | None:
        """Do one round of all islands; see `DeepSymbolicOptimizer.train_one_step`."""
        if self._run is None:
            self.setup()
        with tempfile.TemporaryDirectory(prefix="dso_") as folder:
            self._stop_file = Path(folder, "stop")
            self.stopping.on_request = self._stop_file.touch  # so that the current round ends soon
            try:
                return super().train_one_step(override)
            finally:
                self.stopping.on_request = self._stop_file = None

    def extend(
        self,
        n_samples: int,
        max_seconds: float | None = None,
        callback: Callable[[Standing], object] | None = None,
    ) -> None:
        """Give all islands more to spend; see `DeepSymbolicOptimizer.extend`."""
        super().extend(n_samples, max_seconds, callback)
        shares = _shares(self.config_training["n_samples"], len(self.islands))
        for k, island in enumerate(self.islands):
            island.config["training"]["n_samples"] = shares[k]
            self.islands[k] = replace(island, stop_reason=None)

    def setup(
        self,
        callback: Callable[[Standing], object] | None = None,
        within: Stopping | None = None,
    ) -> None:
        """Build the home of all islands; see `DeepSymbolicOptimizer.setup`."""
        super().setup(callback, within)
        self.islands = [Island(config) for config in self._island_configs()]
        self._found, self._reduced = [], None
        self.run.saved.others["islands"] = self

    def _island_configs(self) -> list[dict[str, Any]]:
        """Return the config of each island: with its seed, its share of the budget, its folder."""
        section, folder = self.config_islands, self.folder
        portfolio = section["portfolio"] or [{}]
        shares = _shares(self.config_training["n_samples"], section["n"])
        configs = []
        for k, n_samples in enumerate(shares):
            varied = portfolio[k % len(portfolio)]
            config = with_values(copy.deepcopy(self.config), varied, "islands.portfolio")
            config["islands"]["n"] = 1
            config["training"].update(n_samples=n_samples, verbose=False, n_cores_batch=1)
            config["gp_meld"]["parallel_eval"] = False
            config["checkpoint"].update(save_freq=None, load_path=None, save_on_done=False)
            config["experiment"]["seed"] = self.seed if k == 0 else self._seed_of(k)
            if folder is not None:
                config["experiment"]["exp_name"] = f"{folder.path.name}/island{k}"
            if k > 0 and not varied:
                # They find the same on every island.
                config["semantic"]["on"] = config["reduce"]["on"] = False
            self._check(config, varied)
            configs.append(config)
        return configs

    def _seed_of(self, k: int) -> int:
        return Stream(self.seed, "island", k).key % 2**31

    def _check(self, config: dict[str, Any], varied: dict[str, Any]) -> None:
        """Refuse what cannot run, and tokens that the home does not know."""
        validate(config)
        wanted = create_tokens(0, config["task"].get("function_set") or [])
        if missing := [token.name for token in wanted if token.name not in self.library.names]:
            raise UserError(
                f"islands.portfolio: {varied!r}: {', '.join(missing)} not in task.function_set, "
                "which must have the operators of all islands."
            )

    def _one_step(self, run: Run, override: Batch | None) -> None:
        if override is not None:
            raise UserError("islands: programs cannot be handed to an iteration of all islands.")
        start = time.monotonic()
        run.journal.start(run.trainer.standing.iteration + 1)
        self._sail(self.config_islands["interval"])
        programs = [one.in_library(self.library) for one in self._found]
        standing = self._standing(run.trainer.standing, time.monotonic() - start)
        self.last = run.trainer.gather(ProgramBatch.concatenate(programs), standing)
        run.journal.update(self.last)
        self.stop_reason = self._reason(run)
        checkpoints = run.journal.checkpoints
        if checkpoints is not None and checkpoints.is_due(self.last.number):
            self.save()

    def _sail(self, n_iterations: int, *, is_last: bool = False) -> None:
        """Let every island that has not ended do a round, with guests from others."""
        section, limit = self.config_islands, self.stopping.max_seconds
        until = None if limit is None else time.time() + limit - self.trainer.standing.seconds
        going = [k for k, island in enumerate(self.islands) if island.stop_reason is None]
        one_round = partial(
            do_round,
            n_iterations=n_iterations,
            n_best=section["n_migrants"],
            until=until,
            stop=self._stop_file,
            is_last=is_last,
        )
        calls = [(self.islands[k], self._data, self._guests(k)) for k in going]
        found = dict(enumerate(self._found))
        for k, stay in zip(going, self.engine(one_round, calls), strict=True):
            self.islands[k], found[k] = stay.island, stay.found
            self._reduced = self._reduced or stay.reduced
        self._found = [found[k] for k in range(len(self.islands))]

    def _guests(self, k: int) -> list[Travellers]:
        section, n = self.config_islands, len(self.islands)
        if not (self._found and section["n_migrants"]):
            return []
        others = [(k - 1) % n] if section["topology"] == "ring" else range(n)
        return [self._found[j] for j in others if j != k]

    def _standing(self, before: Standing, seconds: float) -> Standing:
        """Return what all islands have spent together."""
        standings = [island.standing for island in self.islands]
        return replace(
            before,
            iteration=before.iteration + 1,
            n_samples=sum(one.n_samples for one in standings),
            n_offspring=sum(one.n_offspring for one in standings),
            seconds=before.seconds + seconds,
        )

    def _reason(self, run: Run) -> str | None:
        reasons = [island.stop_reason for island in self.islands]
        reason = run.stopping.reason(run.trainer.standing)
        if reason is None and None not in reasons:
            reason = f"all islands have ended: {reasons[0]}"
        return reason

    def finish(self) -> dict[str, Any]:
        """Let the islands write their files, then as `DeepSymbolicOptimizer.finish`."""
        if self.folder is not None:
            self._sail(0, is_last=True)
        return super().finish()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all islands, and what they have found."""
        return {
            "islands": [
                {
                    "state": None if one.state is None else np.frombuffer(one.state, np.uint8),
                    "standing": vars(one.standing),
                    "stop_reason": one.stop_reason,
                }
                for one in self.islands
            ],
            "found": [
                {"names": one.names, "programs": one.programs.state_dict()} for one in self._found
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.islands = [
            Island(
                island.config,
                None if one["state"] is None else one["state"].tobytes(),
                Standing(**one["standing"]),
                one["stop_reason"],
            )
            for island, one in zip(self.islands, state["islands"], strict=True)
        ]
        self._found = [
            Travellers(one["names"], ProgramBatch.from_state_dict(one["programs"]))
            for one in state["found"]
        ]


def _by_column(data: Dataset) -> Dataset:
    """Return data in an order of which processes that share them need no copy."""
    X = np.asfortranarray(data.X_train)
    return replace(data, X_train=X, X_test=X if data.X_test is data.X_train else data.X_test)


def _shares(total: int, n: int) -> list[int]:
    """Split a number into `n` nearly equal ones."""
    return [total * (k + 1) // n - total * k // n for k in range(n)]


def make_search(
    config: dict[str, Any], data: Dataset | None = None, engine: Engine | None = None
) -> DeepSymbolicOptimizer:
    """Return an `Archipelago` where a complete config asks for islands, else a plain search."""
    if config["islands"]["n"] == 1:
        return DeepSymbolicOptimizer(config, data)
    return Archipelago(config, data, engine or one_by_one)
