"""Islands that exchange their best programs in synchronous rounds.

After a round the front and the best programs P(j) of other islands become the guests of island k:

    G(k)  <-  P(k - 1) on a ring, or P(j) of all j != k

What all have found is judged on all rows by one keeper, that of the `Archipelago`, which is to its
caller one search: its iterations are the rounds. The first rounds are short, of 1, 2, 4, ...
iterations.

What would be the same on every island is dealt out: of the search by values each does a part, of
the candidates of a pretrained network each takes a part, and of the searches for smaller problems
that the data show each is done by itself, see `hypotheses`.

In a round all of these come in a fixed order. The first that succeeds ends it: what comes after it
does not count, whether anybody has done it or not.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.config import validate, with_values
from dso.core import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.islands.engine import Call, Engine, one_by_one
from dso.islands.hypotheses import Hypotheses
from dso.islands.portfolio import function_sets
from dso.islands.round import Advance, Island, Limits, Stay, Travellers, cut_log, do_round
from dso.library import create_tokens
from dso.part import Part
from dso.program import ProgramBatch
from dso.streams import Stream
from dso.training.stopping import Standing

Job = tuple[Call, Callable[[Any], bool]]
"""A call, and what takes its result in and tells whether that ends the round."""

if TYPE_CHECKING:
    from dso.build import Run
    from dso.program.batch import Batch
    from dso.reduction import Reduced
    from dso.task.regression import Dataset


DECIDING = ("task", "prior", "semantic")
"""Sections that say what the search by values looks for."""


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
        self._found: dict[int, Travellers] = {}  # by island
        self._put_back: list[Travellers] = []  # by hypotheses, in this round
        self._hypotheses: Hypotheses | None = None
        self._state_before: dict[str, Any] | None = None  # of a round that was broken off
        self._stop_folder: str | None = None
        self._stop_file: Path | None = None

    def train_one_step(self, override: Batch | None = None) -> dict[str, Any] | None:
        """Do one round of all islands; see `DeepSymbolicOptimizer.train_one_step`."""
        if self._run is None:
            self.setup()
        try:
            return super().train_one_step(override)
        finally:
            self.stopping.on_request = None

    def extend(
        self,
        n_samples: int,
        max_seconds: float | None = None,
        callback: Callable[[Standing], object] | None = None,
    ) -> None:
        """Give all islands more to spend; see `DeepSymbolicOptimizer.extend`."""
        super().extend(n_samples, max_seconds, callback)
        self._state_before = None
        n, n_samples = len(self.islands), self.config_training["n_samples"]
        for k, island in enumerate(self.islands):
            island.config["training"]["n_samples"] = Part(k, n).share(n_samples)
            self.islands[k] = replace(island, stop_reason=None)

    def setup(
        self,
        callback: Callable[[Standing], object] | None = None,
    ) -> None:
        """Build the home of all islands; see `DeepSymbolicOptimizer.setup`."""
        super().setup(callback)
        self.islands = [Island(config) for config in self._island_configs()]
        self._found, self._put_back, self._hypotheses = {}, [], None
        self._state_before = None
        self.run.saved.others["islands"] = self

    def _island_configs(self) -> list[dict[str, Any]]:
        """Return the config of each island: with its seed, its share of the budget, its folder."""
        section, folder = self.config_islands, self.folder
        n_samples = self.config_training["n_samples"]
        if 0 < n_samples < section["n"]:
            raise UserError(
                f"islands.n: {section['n']}; allowed: at most training.n_samples = {n_samples}, "
                "which they share."
            )
        portfolio = section["portfolio"] or [{}]
        if portfolio == "auto":
            portfolio = function_sets(self.config["task"].get("function_set"))
        configs = []
        for k in range(section["n"]):
            share = Part(k, section["n"]).share(n_samples)
            varied = portfolio[k % len(portfolio)]
            config = with_values(copy.deepcopy(self.config), varied, "islands.portfolio")
            config["islands"]["n"] = 1
            config["training"].update(n_samples=share, verbose=False, n_cores_batch=1)
            config["gp_meld"]["parallel_eval"] = False
            config["checkpoint"].update(save_freq=None, load_path=None, save_on_done=False)
            config["experiment"]["seed"] = self.seed if k == 0 else self._seed_of(k)
            if folder is not None:
                config["experiment"]["exp_name"] = f"{folder.path.name}/island{k}"
            config["reduce"]["on"] = False  # that is done by this, see `hypotheses`
            self._check(config, varied)
            configs.append(config)
        varied_by = [portfolio[k % len(portfolio)] for k in range(len(configs))]
        _deal_out_values(configs, varied_by)
        _deal_out_candidates(configs, varied_by)
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
        start, before = time.monotonic(), self.state_dict()
        was_asked = self.reduced is not None
        run.journal.start(run.trainer.standing.iteration + 1)
        self._do(self._jobs(run))
        checkpoints = run.journal.checkpoints
        if checkpoints is not None and run.stopping.is_requested and self.last is not None:
            # A run that goes on from here does the whole of this round again.
            self._state_before, self.stop_reason = before, self._reason(run)
            return
        standing = self._standing(run.trainer.standing, time.monotonic() - start)
        self.last = run.trainer.gather(self._all_found(), standing)
        run.journal.update(self.last)
        if self.race is not None and not was_asked:
            self._write_story(self.race)
        self.stop_reason = self._reason(run)
        if checkpoints is not None and checkpoints.is_due(self.last.number):
            self.save()

    def _jobs(self, run: Run) -> list[Job]:
        """Return what is to be done in a round: by hypotheses, by islands, and with the data."""
        standing = run.trainer.standing
        n_iterations, limits = self.length_of_round(standing.iteration), self._limits(run)
        going = [k for k, island in enumerate(self.islands) if island.stop_reason is None]
        jobs: list[Job] = []
        n_done = sum(island.standing.iteration for island in self.islands)
        n_left = run.stopping.n_samples - standing.n_samples
        if self.race is not None:
            self._hypotheses = self._hypotheses or Hypotheses(self.race)
            advances = self._hypotheses.advances(n_done, n_left, limits)
            jobs += [(call, partial(self._take_advance, i)) for i, call in advances.items()]
        jobs += self._rounds(going, n_iterations, limits, len(jobs))
        if self._hypotheses is not None:
            limits = replace(limits, number=len(jobs))
            questions = self._hypotheses.questions(n_done + len(going) * n_iterations, limits)
            jobs += [(call, self._take_reduced) for call in questions]
        self._put_back = []
        return jobs

    def _rounds(
        self,
        going: Sequence[int],
        n_iterations: int,
        limits: Limits,
        first: int,
    ) -> list[Job]:
        """Return the rounds of some islands, with guests from others; `first` is their number."""
        n_best = self.config_islands["n_migrants"]
        jobs: list[Job] = []
        for number, k in enumerate(going, first):
            how = (n_iterations, n_best, replace(limits, number=number))
            call = (do_round, self.islands[k], self._data, self._guests(k), *how)
            jobs.append((call, partial(self._take_stay, k)))
        return jobs

    def _do(self, jobs: Sequence[Job]) -> None:
        """Do jobs until one of them has found what is searched for."""
        before = list(self.islands)
        with closing(self.engine([call for call, _ in jobs])) as results:
            try:
                for (_, take), result in zip(jobs, results, strict=False):
                    if take(result):
                        break
            finally:
                self._call_off()  # what has begun and is of no use
        if self.folder is not None:
            for island, same in zip(self.islands, before, strict=True):
                if island is same and island.stop_reason is None:
                    cut_log(island, self._data)

    def _take_stay(self, k: int, stay: Stay) -> bool:
        self.islands[k], self._found[k] = stay.island, stay.found
        return stay.is_goal

    def _take_advance(self, i: int, advance: Advance) -> bool:
        assert self._hypotheses is not None
        programs = self._fitted(self._hypotheses.take_advance(i, advance))
        if not len(programs):
            return False
        self._put_back.append(Travellers(self.library.names, programs))
        self.trainer.offer(programs)
        return self.stopping.goal(self.trainer.standing) is not None

    def _take_reduced(self, reduced: Reduced | None) -> bool:
        assert self._hypotheses is not None
        if reduced is not None:
            self._hypotheses.take_reduced(reduced)
        return False

    def _limits(self, run: Run) -> Limits:
        """Return what ends this round: the time, and a file that stands for a request."""
        standing, stopping = run.trainer.standing, run.stopping
        if self._stop_folder is None:
            self._stop_folder = tempfile.mkdtemp(prefix="dso_")
            weakref.finalize(self, shutil.rmtree, self._stop_folder, ignore_errors=True)
        # One for each round: what was called off in the last one may not have ended yet.
        self._stop_file = Path(self._stop_folder, str(standing.iteration))
        self._stop_file.unlink(missing_ok=True)
        stopping.on_request = self._call_off
        if stopping.is_requested:  # a moment ago
            self._call_off()
        until = None
        if stopping.max_seconds is not None:
            until = time.time() + stopping.max_seconds - standing.seconds
        return Limits(until, self._stop_file, cuts=stopping.cuts_on_signal)

    def _call_off(self) -> None:
        """Let all that is done in this round end soon, wherever."""
        assert self._stop_file is not None
        self._stop_file.touch()

    def _all_found(self) -> ProgramBatch:
        """Return what has been found in the latest round, and what islands have kept."""
        found = [*(self._found[k] for k in sorted(self._found)), *self._put_back]
        return ProgramBatch.concatenate([one.in_library(self.library) for one in found])

    def length_of_round(self, n_rounds: int) -> int:
        """Return the iterations of a round that has this many before it."""
        return min(self.config_islands["interval"], 2 ** min(n_rounds, 62))

    def n_rounds(self, n_iterations: int, n_before: int = 0) -> int:
        """Return the rounds in which each island does this many iterations, after some rounds."""
        n = n_before
        while n_iterations > 0:
            n_iterations -= self.length_of_round(n)
            n += 1
        return n - n_before

    def _guests(self, k: int) -> list[Travellers]:
        section, n = self.config_islands, len(self.islands)
        if not section["n_migrants"]:
            return []
        others = [(k - 1) % n] if section["topology"] == "ring" else range(n)
        return [*(self._found[j] for j in others if j != k and j in self._found), *self._put_back]

    def _standing(self, before: Standing, seconds: float) -> Standing:
        """Return what islands and hypotheses have spent together."""
        standings = [island.standing for island in self.islands]
        n_samples = sum(one.n_samples for one in standings)
        if self._hypotheses is not None:
            n_samples += self._hypotheses.n_evaluations
        return replace(
            before,
            iteration=before.iteration + 1,
            n_samples=n_samples,
            n_offspring=sum(one.n_offspring for one in standings),
            seconds=before.seconds + seconds,
        )

    def _reason(self, run: Run) -> str | None:
        reasons = [island.stop_reason for island in self.islands]
        reason = run.stopping.reason(run.trainer.standing)
        if reason is None and None not in reasons:
            reason = f"all islands have ended: {reasons[0]}"
        return reason

    def _save_before_end(self, run: Run) -> bool:
        may_go_on = super()._save_before_end(run)
        if self._state_before is not None:
            run.trainer.offer(self._all_found())  # of the round that was broken off
        return may_go_on

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all islands, and what they have found."""
        if self._state_before is not None:
            return self._state_before
        hypotheses = self._hypotheses
        return {
            "islands": [
                {
                    "state": None if one.state is None else np.frombuffer(one.state, np.uint8),
                    "standing": vars(one.standing),
                    "stop_reason": one.stop_reason,
                }
                for one in self.islands
            ],
            "found": [{"island": k, **one.state_dict()} for k, one in self._found.items()],
            "put_back": [one.state_dict() for one in self._put_back],
            "hypotheses": None if hypotheses is None else hypotheses.state_dict(),
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
        self._found = {one["island"]: Travellers.from_state_dict(one) for one in state["found"]}
        self._put_back = [Travellers.from_state_dict(one) for one in state["put_back"]]
        if self.race is not None and state["hypotheses"] is not None:
            self._hypotheses = Hypotheses(self.race)
            self._hypotheses.load_state_dict(state["hypotheses"])


def _deal_out_values(configs: list[dict[str, Any]], varied: Sequence[dict[str, Any]]) -> None:
    """Let islands that would search by values for the same do a part of that each.

    Those with fewer functions do nothing of it where others do it with all: what they would find is
    among what these look for.
    """
    of_aims: dict[str, list[int]] = {}
    for k, one in enumerate(varied):
        changed = {key: value for key, value in one.items() if key.split(".")[0] in DECIDING}
        of_aims.setdefault(repr(changed), []).append(k)
    is_done_by_others = "{}" in of_aims
    for aim, islands in of_aims.items():
        for part, k in enumerate(islands):
            section: dict[str, Any] = configs[k]["semantic"]
            section.update(part=part, n_parts=len(islands))
            if aim != "{}" and is_done_by_others and "'semantic." not in aim:
                section["on"] = False


def _deal_out_candidates(configs: list[dict[str, Any]], varied: Sequence[dict[str, Any]]) -> None:
    """Let islands that ask a network for the same take a part of its candidates each."""
    asking = [
        config["pretrained"]
        for config, one in zip(configs, varied, strict=True)
        if config["pretrained"]["on"] and not any(key.startswith("pretrained.") for key in one)
    ]
    for k, section in enumerate(asking):
        section.update(part=k, n_parts=len(asking))


def _by_column(data: Dataset) -> Dataset:
    """Return data in an order of which processes that share them need no copy."""
    X = np.asfortranarray(data.X_train)
    return replace(data, X_train=X, X_test=X if data.X_test is data.X_train else data.X_test)


def make_search(
    config: dict[str, Any], data: Dataset | None = None, engine: Engine | None = None
) -> DeepSymbolicOptimizer:
    """Return an `Archipelago` where a complete config asks for islands, else a plain search."""
    if config["islands"]["n"] == 1:
        return DeepSymbolicOptimizer(config, data)
    return Archipelago(config, data, engine or one_by_one)
