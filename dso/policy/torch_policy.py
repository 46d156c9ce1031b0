"""A base for policies written in torch: a subclass defines one step, and the rest is here."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dso.errors import UserError
from dso.library import Library
from dso.policy.advice import StepLogits
from dso.policy.policy import Policy, Replay
from dso.policy.sampling import make_batch, make_replay, sample_stepwise
from dso.policy.state_manager import StateManager
from dso.prior.joint_prior import JointPrior
from dso.program.batch import Batch
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream


class TorchPolicy(nn.Module, Policy):
    """A user's policy over the same traversal state and priors as the built-in one.

    A subclass defines `start` and `step`, and its layers in the constructor, after calling this
    one. Sampling goes one token at a time and is slower than the native policy.

    Parameters
    ----------
    library : Library
    prior : JointPrior
    state_manager : StateManager, optional
        What is observed: `features` holds one symbol per feature, counted through as rows of one
        table of `n_symbols` rows (an embedding fits).
    seed : int
        Of the initial weights, for the constructor of a subclass.
    n_threads : int
        Accepted for the sake of the interface; torch has its own threads.

    Attributes
    ----------
    n_features, n_symbols : int
        Observed features, and rows of the table of their symbols.
    """

    def __init__(
        self,
        library: Library,
        prior: JointPrior,
        *,
        state_manager: StateManager | None = None,
        seed: int = 0,
        n_threads: int = 1,
    ) -> None:
        super().__init__()
        manager = state_manager or StateManager()
        self.library = library
        self.prior = prior
        self.max_length = prior.max_length
        self.seed = seed
        self.n_features = len(manager.symbols(library))
        self.n_symbols = sum(manager.symbols(library).values())
        self._observation = manager.observation(library)

    @abstractmethod
    def start(self, n: int) -> Any:
        """Return the state of `n` programs before their first token."""

    @abstractmethod
    def step(self, state: Any, features: Tensor, open_slots: Tensor) -> tuple[Tensor, Any]:
        """Return logits (n, L) of the next token without the priors, and the state after it.

        Parameters
        ----------
        state : object
            What `start` or the last `step` returned.
        features : (n, O) int64
            Symbols of the observed features.
        open_slots : (n,) float32
        """

    def sample(self, n: int, stream: Stream) -> Batch:
        """Draw `n` programs; see `Policy.sample`."""
        with torch.no_grad():
            drawn = sample_stepwise(
                n, stream.key, self.prior, self._observation, self._steps, advice=self.advice
            )
        return make_batch(drawn, self.prior)

    def _steps(self, n: int) -> StepLogits:
        state = self.start(n)

        def logits(features: np.ndarray, open_slots: np.ndarray) -> np.ndarray:
            nonlocal state
            inputs = torch.from_numpy(features).long(), torch.from_numpy(open_slots)
            found, state = self._step(state, *inputs)
            return found.numpy()

        return logits

    def _step(self, state: Any, features: Tensor, open_slots: Tensor) -> tuple[Tensor, Any]:
        """Return what `step` does, once it is a pair with logits of the right shape."""
        answer, shape = self.step(state, features, open_slots), (len(features), self.library.L)
        name = f"{type(self).__name__}.step"
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise UserError(f"{name} returned {type(answer).__name__}; expected (logits, state).")
        if not isinstance(answer[0], Tensor) or answer[0].shape != shape:
            found = getattr(answer[0], "shape", type(answer[0]).__name__)
            raise UserError(
                f"{name} returned logits of shape {_shown(found)}; expected {shape}, programs by "
                "tokens."
            )
        return answer

    def replay(self, programs: ProgramBatch) -> Replay:
        """Walk programs through traversal state and priors; see `Policy.replay`."""
        return make_replay(programs, self.prior, self._observation, advice=self.advice)

    def log_prob_and_entropy(self, replay: Replay) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and entropies per token; see `Policy.log_prob_and_entropy`."""
        features = torch.from_numpy(replay.features).long()  # (B, T, O)
        open_slots = torch.from_numpy(replay.open_slots)  # (B, T)
        prior = torch.from_numpy(replay.prior)  # (B, T, L)
        tokens = torch.from_numpy(np.maximum(replay.programs.tokens, 0)).long()
        state = self.start(len(replay))
        log_probs, entropies = [], []
        for t in range(tokens.shape[1]):
            logits, state = self._step(state, features[:, t], open_slots[:, t])
            log_p = torch.log_softmax(logits + prior[:, t], dim=1)
            log_probs.append(log_p.gather(1, tokens[:, t, None])[:, 0])
            # A forbidden token adds nothing; -inf is replaced before the product, or its gradient
            # would be NaN.
            finite = log_p.masked_fill(torch.isneginf(log_p), 0.0)
            entropies.append(-(log_p.exp() * finite).sum(dim=1))
        is_written = (
            torch.arange(tokens.shape[1]) < torch.from_numpy(replay.programs.lengths)[:, None]
        )
        zero = torch.zeros(())
        return (
            torch.where(is_written, torch.stack(log_probs, dim=1), zero),
            torch.where(is_written, torch.stack(entropies, dim=1), zero),
        )

    def parameters(self, recurse: bool = True) -> list[nn.Parameter]:  # type: ignore[override]
        """Return the weights of all layers."""
        return list(super().parameters(recurse))

    def state_dict(  # type: ignore[override]
        self, *args: Any, **options: Any
    ) -> dict[str, Any]:
        """Return weights and buffers by name, as arrays."""
        state = super().state_dict(*args, **options)
        return {name: value.detach().cpu().numpy().copy() for name, value in state.items()}

    def load_state_dict(  # type: ignore[override]
        self, state: dict[str, Any], strict: bool = True, assign: bool = False
    ) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        UserError
            If names or shapes are those of another network.
        """
        tensors = {name: torch.as_tensor(np.array(value)) for name, value in state.items()}
        try:
            super().load_state_dict(tensors, strict=strict, assign=assign)
        except RuntimeError as error:
            raise UserError(f"policy weights do not fit this policy: {error}") from None


def _shown(shape: Any) -> str:
    return shape if isinstance(shape, str) else str(tuple(shape))
