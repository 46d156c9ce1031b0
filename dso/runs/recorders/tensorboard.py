"""TensorBoard: a run as scalars and histograms over its iterations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.runs.folder import Pace, RunFolder
from dso.runs.recorders.parameter_report import named_parameters
from dso.runs.recorders.recorder import Recorder

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter

    from dso.policy import Policy
    from dso.training.stopping import Standing
    from dso.training.trainer import Iteration

N_BINS = 50
SCALARS = {"loss": "total_loss"}
"""Statistics of the policy optimiser that go by another name; the rest keep theirs."""


class TensorBoard(Recorder):
    """Write TensorBoard events to the folder ``_summary``, in place of what an earlier run left.

    ``r_best`` is the best reward so far, the text ``expression`` its program whenever that is
    another, and hparams are `settings` with the best reward at the end. All else is of the rows
    that the risk filter kept. Scalars: ``reward`` (mean), ``baseline``, and the numbers that the
    policy optimiser's step returned, of the built-in ones ``total_loss`` with its terms
    ``method_loss`` and ``entropy_loss``, and ``entropy``. Histograms: ``rewards``, ``lengths``.

    Parameters
    ----------
    folder : RunFolder
    policy : Policy
    with_parameters : bool
        Adds the scalar ``gradient_norm`` and histograms ``parameters/<name>`` and
        ``gradients/<name>``. Where an iteration descends several times, the gradients are those of
        the last.
    save_freq : int or None
        Iterations between two flushes; below 1: when TensorBoard's writer sees fit.
    expression : callable, optional
        Returns the best program as text.
    settings : dict, optional
        Numbers, words and truth values by dotted keys, by which TensorBoard compares runs.

    Raises
    ------
    UserError
        If TensorBoard is not installed.
    """

    writes = "the events of TensorBoard"

    def __init__(
        self,
        folder: RunFolder,
        policy: Policy,
        *,
        with_parameters: bool = False,
        save_freq: int | None = 1,
        expression: Callable[[], str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if find_spec("tensorboard") is None:
            raise UserError(
                "logging.save_summary: TensorBoard is not installed; "
                "pip install 'deep-symbolic-optimization[tensorboard]'."
            )
        self.path: Path = folder.file("_summary")
        self._guard = folder.guard
        self._pace = Pace(save_freq)
        self._expression = expression
        self._settings = {
            name: value
            for name, value in (settings or {}).items()
            if isinstance(value, bool | int | float | str)
        }
        self._shown_iteration = 0
        self._writer: SummaryWriter | None = None
        self._n_done = 0  # iterations whose events are written already
        self._parameters = named_parameters(policy) if with_parameters else {}
        self._gradients: dict[str, Tensor] = {}
        # A hook sees the gradient of any optimiser, also one of the user's own.
        self._hooks = [
            value.register_hook(partial(self._gradients.__setitem__, name))
            for name, value in self._parameters.items()
            if value.requires_grad
        ]

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        with self._guard(self.path):
            self._update(iteration)

    def _update(self, iteration: Iteration) -> None:
        if self._writer is None:
            self._writer = self._open()
        kept, number = iteration.lesson.kept, iteration.number
        self._n_done = number
        rewards = iteration.batch.rewards[kept]
        scalars = {"reward": rewards.mean(), "baseline": iteration.lesson.baseline}
        if np.isfinite(iteration.standing.r_best):
            scalars["r_best"] = iteration.standing.r_best
        for name, value in iteration.lesson.statistics.items():
            scalars[SCALARS.get(name, name)] = value
        arrays = {"rewards": rewards, "lengths": iteration.batch.programs.lengths[kept]}
        if self._parameters:
            gradients = _arrays("gradients", self._gradients)
            if gradients:
                scalars["gradient_norm"] = np.sqrt(sum((g**2).sum() for g in gradients.values()))
            self._gradients.clear()  # they are not those of an iteration without a descent
            arrays |= _arrays("parameters", self._parameters) | gradients
        for name, value in scalars.items():
            self._writer.add_scalar(name, float(value), number)
        for name, values in arrays.items():
            finite = values[np.isfinite(values)]
            if len(finite):
                self._writer.add_histogram(name, finite, number, bins=N_BINS)
        best_iteration = iteration.standing.best_iteration
        if self._expression is not None and best_iteration != self._shown_iteration:
            self._shown_iteration = best_iteration
            self._writer.add_text("expression", f"`{self._expression()}`", number)
        if self._pace.is_due():
            self._writer.flush()

    def finish(self, standing: Standing) -> None:
        """See `Recorder.finish`."""
        if self._writer is None or not self._settings:
            return
        from torch.utils.tensorboard.summary import hparams

        with self._guard(self.path):
            for summary in hparams(self._settings, {"r_best": standing.r_best}):
                self._writer._get_file_writer().add_summary(summary)

    def close(self) -> None:
        """See `Recorder.close`."""
        for hook in self._hooks:
            hook.remove()
        if self._writer is not None:
            with self._guard(self.path):
                self._writer.close()
            self._writer = None

    def _open(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter  # takes its time to import

        if self._n_done:  # what was written of later iterations is to be ignored
            return SummaryWriter(str(self.path), purge_step=self._n_done + 1)
        if self.path.is_dir():
            for old in self.path.glob("events.out.tfevents.*"):
                old.unlink()
        return SummaryWriter(str(self.path))

    def state_dict(self) -> dict[str, Any]:
        """See `Recorder.state_dict`."""
        if self._writer is not None:
            with self._guard(self.path):
                self._writer.flush()
        return {"n_done": self._n_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Recorder.load_state_dict`."""
        self._n_done = int(state["n_done"])


def _arrays(kind: str, tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {
        f"{kind}/{name}": value.detach().cpu().numpy().astype(np.float64).ravel()
        for name, value in tensors.items()
    }
