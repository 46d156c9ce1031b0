"""Resuming: which run a checkpoint belongs to, and how a run takes one over."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from dso.errors import Refused, UserError
from dso.runs.checkpoint import (
    Checkpoints,
    from_bytes,
    peek,
    read_checkpoint,
    to_bytes,
    write_checkpoint,
)
from dso.runs.disk import Guard

if TYPE_CHECKING:
    from dso.program import FitData
    from dso.runs.journal import Journal
    from dso.training.trainer import Trainer

logger = logging.getLogger("dso")


ROWS_AT_ONCE = 4096


def fingerprint(data: FitData | None) -> int | None:
    """Return a number that tells training data apart, None where there are none."""
    if data is None:
        return None
    code = 0
    for start in range(0, data.n_rows, ROWS_AT_ONCE):  # a copy of them all would double the memory
        rows = data.columns[:, start : start + ROWS_AT_ONCE].T
        code = crc32(np.ascontiguousarray(rows).data, code)
    code = crc32(data.y.data, code)
    return code if data.weights is None else crc32(data.weights.data, code)


@dataclass(frozen=True)
class Identity:
    """Whose a checkpoint is.

    Attributes
    ----------
    task : str
        Its name.
    seed : int
    tokens : list of str
        Names of the library's tokens.
    data : int or None
        See `fingerprint`.
    settings : dict
        The values of all keys of the config on which results depend, by name.
    config : str
        The config as JSON.
    timestamp : str or None
        Of the command that began the run.
    """

    task: str
    seed: int
    tokens: list[str]
    data: int | None
    settings: dict[str, Any]
    config: str
    timestamp: str | None

    def check(self, path: Path | None, about: dict[str, Any]) -> None:
        """Refuse what a checkpoint of another run says about itself."""
        for name in ("task", "seed", "tokens", "data"):
            if about.get(name) != (ours := getattr(self, name)):
                raise UserError(
                    f"checkpoint '{path}': its {name} is {about.get(name)!r}, that of this run "
                    f"{ours!r}."
                )
        theirs = about.get("settings")
        if not isinstance(theirs, dict):
            raise UserError(f"checkpoint '{path}' does not say which settings it was made with.")
        ours = self.settings
        differences = [
            f"{name} is {theirs[name]!r} there and {ours[name]!r} here"
            for name in ours
            if name in theirs and theirs[name] != ours[name]
        ]
        if differences:
            raise UserError(
                f"checkpoint '{path}' belongs to a run with other settings, which give other "
                f"results: {'; '.join(differences)}."
            )


class SavedState:
    """Writes the state of a run, and takes it over again.

    Parameters
    ----------
    identity : Identity
    trainer : Trainer
    journal : Journal
    prefix : str
        Of the run's files.

    Attributes
    ----------
    others : dict
        Further parts with a `state_dict`, by name.
    """

    def __init__(self, identity: Identity, trainer: Trainer, journal: Journal, prefix: str) -> None:
        self.identity = identity
        self.trainer = trainer
        self.journal = journal
        self.prefix = prefix
        self.others: dict[str, Any] = {}

    def _about(self) -> dict[str, Any]:
        return {**asdict(self.identity), "iteration": self.trainer.standing.iteration}

    def _state(self) -> dict[str, Any]:
        others = {name: part.state_dict() for name, part in self.others.items()}
        return {"trainer": self.trainer.state_dict(), **self.journal.state_dict(), **others}

    def to_bytes(self) -> bytes:
        """Return the state as the content of a checkpoint."""
        return to_bytes(self._about(), self._state())

    def from_bytes(self, content: bytes) -> None:
        """Take over what `to_bytes` returned, and continue the logs."""
        self._restore(None, *from_bytes(content))

    def save(self, path: Path | None = None) -> Path:
        """Write a checkpoint; see `DeepSymbolicOptimizer.save`."""
        about, state = self._about(), self._state()
        if path is not None:
            write_checkpoint(path, about, state)
            return path
        if self.journal.checkpoints is None:
            raise UserError("save: experiment.logdir is null, so a path is needed.")
        return self.journal.checkpoints.save(about.pop("iteration"), about, state)

    def load(self, path: Path) -> None:
        """Take over a checkpoint, or the newest of a folder; see `DeepSymbolicOptimizer.load`."""
        if not path.is_dir():
            self._restore(path, *read_checkpoint(path))
        elif not self._restore_newest(Checkpoints(path, self.prefix, Guard())):
            raise UserError(f"checkpoint.load_path: {str(path)!r} has no checkpoint of this run.")

    def load_newest(self) -> None:
        """Take over the newest checkpoint of the run's own that fits.

        Raises
        ------
        Refused
            If none of them does. Then the run must not begin again either, over what is there.
        """
        checkpoints = self.journal.checkpoints
        assert checkpoints is not None
        if not self._restore_newest(checkpoints):
            raise Refused(
                f"none of the {len(checkpoints.found())} checkpoint(s) of '{self.prefix}' in "
                f"'{checkpoints.folder}' can be continued, so nothing there is touched. To start "
                "again, delete them or choose another experiment.exp_name."
            )

    def has_checkpoint(self, timestamp: str | None) -> bool:
        """Tell whether there is one, of the command that began at `timestamp` if that is given."""
        checkpoints = self.journal.checkpoints
        found = [] if checkpoints is None else checkpoints.found()
        if not found or timestamp is None:
            return bool(found)
        try:
            return peek(found[0]).get("timestamp") == timestamp
        except UserError:
            return False

    def _restore_newest(self, checkpoints: Checkpoints) -> bool:
        for path, about, state in checkpoints.readable():
            try:
                self._restore(path, about, state)
            except Refused:
                raise
            except UserError as error:
                logger.warning("%s The checkpoint before it is used, if there is one.", error)
            else:
                return True
        return False

    def _restore(self, path: Path | None, about: dict[str, Any], state: dict[str, Any]) -> None:
        """Take over a state that was read from `path`; None for one in memory."""
        self.identity.check(path, about)
        folder = self.journal.folder
        try:
            self.trainer.load_state_dict(state["trainer"])
            for name, part in self.others.items():
                part.load_state_dict(state[name])
            # The logs in the run's own folder are continued; elsewhere they begin again.
            if folder is not None and (
                path is None or folder.path.resolve() in path.resolve().parents
            ):
                folder.claim()
                self.journal.load_state_dict(state)
        except Refused:
            raise
        except (UserError, TypeError, LookupError, AttributeError, ValueError) as error:
            raise UserError(f"checkpoint '{path}' does not fit this run: {error}") from None
        if path is None:
            return
        iteration, seed = self.trainer.standing.iteration, self.identity.seed
        logger.info("Seed %d continues after iteration %d from '%s'.", seed, iteration, path)
        if self.journal.checkpoints is not None:
            self.journal.checkpoints.start(iteration)
