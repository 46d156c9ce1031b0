"""Recorders of what was sampled: every sample, the best ones, counts of tokens, their entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dso.program import traversal_texts
from dso.runs.array_log import ArrayLog
from dso.runs.folder import IterationLog, RunFolder
from dso.runs.recorders.recorder import Recorder
from dso.training.statistics import position_entropies

if TYPE_CHECKING:
    from dso.library import Library
    from dso.training.trainer import Iteration


class AllSamples(Recorder):
    """Every sample of every iteration.

    ``_all_info.csv`` has one line per sample: iteration (from 1), reward ``r``, length ``l``, and
    ``invalid``, 0 or 1. ``_all_r.npy`` holds the rewards alone, (iterations, B) float32; rows of
    smaller batches end in -inf.

    Parameters
    ----------
    folder : RunFolder
    save_freq : int or None
        Iterations between two writes; see `dso.runs.folder.Pace`.
    """

    writes = "all samples"

    COLUMNS = ("iteration", "r", "l", "invalid")

    def __init__(self, folder: RunFolder, save_freq: int | None = 1) -> None:
        self._table = IterationLog(folder.file("_all_info.csv"), save_freq, folder.guard)
        self._rewards = ArrayLog(
            folder.file("_all_r.npy"),
            np.float32,
            fill=-np.inf,
            save_freq=save_freq,
            guard=folder.guard,
        )

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        rewards = iteration.batch.rewards
        lengths = iteration.batch.programs.lengths
        invalid = (iteration.batch.cause != 0).astype(int)
        numbers = [iteration.number] * len(rewards)
        columns = (numbers, rewards.tolist(), lengths.tolist(), invalid.tolist())
        self._table.extend(self.COLUMNS, zip(*columns, strict=True))
        self._rewards.append(rewards)

    def close(self) -> None:
        """See `Recorder.close`."""
        self._table.close()
        self._rewards.close()

    def state_dict(self) -> dict[str, Any]:
        """See `Recorder.state_dict`."""
        return {"table": self._table.state_dict(), "rewards": self._rewards.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Recorder.load_state_dict`."""
        self._table.load_state_dict(state["table"])
        self._rewards.load_state_dict(state["rewards"])


class TopSamples(Recorder):
    """The best samples of each batch, in ``_top_samples_per_batch.csv``.

    Columns are Iteration (from 0), Reward, and Sequence, the tokens in prefix order. Equal rewards
    stand in the order in which they were drawn.

    Parameters
    ----------
    folder : RunFolder
    library : Library
    share : float
        Of each batch; at least one sample is written.
    save_freq : int or None
        See `AllSamples`.
    """

    writes = "the top samples"

    COLUMNS = ("Iteration", "Reward", "Sequence")

    def __init__(
        self, folder: RunFolder, library: Library, share: float, save_freq: int | None = 1
    ) -> None:
        self.library = library
        self.share = share
        path = folder.file("_top_samples_per_batch.csv")
        self._table = IterationLog(path, save_freq, folder.guard)

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        rewards = iteration.batch.rewards
        n_top = max(1, round(self.share * len(rewards)))
        top = np.argsort(-rewards, kind="stable")[:n_top]
        texts = traversal_texts(self.library, iteration.batch.programs[top])
        numbers = [iteration.number - 1] * n_top
        rows = zip(numbers, rewards[top].tolist(), texts, strict=True)
        self._table.extend(self.COLUMNS, rows)

    def close(self) -> None:
        """See `Recorder.close`."""
        self._table.close()

    def state_dict(self) -> dict[str, Any]:
        """See `Recorder.state_dict`."""
        return self._table.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Recorder.load_state_dict`."""
        self._table.load_state_dict(state)


class TokenCount(Recorder):
    """How often each token stands in the batch, in ``_token_count.csv``.

    One column per token of the library, one row per iteration; repeated programs count every time.

    Parameters
    ----------
    folder : RunFolder
    library : Library
    save_freq : int or None
        See `AllSamples`.
    """

    writes = "the counts of tokens"

    def __init__(self, folder: RunFolder, library: Library, save_freq: int | None = 1) -> None:
        self.names = list(library.names)
        self._table = IterationLog(folder.file("_token_count.csv"), save_freq, folder.guard)

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        tokens = iteration.batch.programs.tokens
        # PAD is -1 and falls on the place that is left out.
        counts = np.bincount(tokens.ravel() + 1, minlength=len(self.names) + 1)[1:]
        self._table.extend(self.names, [counts.tolist()])

    def close(self) -> None:
        """See `Recorder.close`."""
        self._table.close()

    def state_dict(self) -> dict[str, Any]:
        """See `Recorder.state_dict`."""
        return self._table.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Recorder.load_state_dict`."""
        self._table.load_state_dict(state)


class PositionalEntropy(Recorder):
    """How undecided the tokens of a batch are at each position, in ``_positional_entropy.npy``.

    The file is one plain array (iterations, T) float64 that a single `numpy.load` reads, also while
    the run goes on or after it was cut off. Entropies are in nats, over all rows of the batch, with
    the padding behind a program's end as a symbol of its own; so they are 0 from the end of the
    longest program on. The log's ``a_ent_full`` is the mean up to there.

    Parameters
    ----------
    folder : RunFolder
    n_tokens : int
        Size of the library.
    max_length : int
        T; programs that are longer make the array wider.
    save_freq : int or None
        See `AllSamples`.
    """

    writes = "the entropies of positions"

    def __init__(
        self, folder: RunFolder, n_tokens: int, max_length: int, save_freq: int | None = 1
    ) -> None:
        self.n_tokens = n_tokens
        self._entropies = ArrayLog(
            folder.file("_positional_entropy.npy"),
            np.float64,
            fill=0.0,
            n_columns=max_length,
            save_freq=save_freq,
            guard=folder.guard,
        )

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        programs = iteration.batch.programs
        self._entropies.append(position_entropies(programs.tokens, programs.lengths, self.n_tokens))

    def close(self) -> None:
        """See `Recorder.close`."""
        self._entropies.close()

    def state_dict(self) -> dict[str, Any]:
        """See `Recorder.state_dict`."""
        return self._entropies.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Recorder.load_state_dict`."""
        self._entropies.load_state_dict(state)
