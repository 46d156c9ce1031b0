"""The recurrent policy: native LSTM or GRU over the traversal, differentiable from torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from dso.errors import UserError
from dso.library import Library
from dso.native import _core
from dso.policy.advice import StepLogits
from dso.policy.policy import Policy, Replay
from dso.policy.sampling import (
    Drawn,
    NativeReplay,
    Stepper,
    make_batch,
    make_replay,
    sample_stepwise,
)
from dso.policy.state_manager import StateManager
from dso.prior.joint_prior import JointPrior
from dso.program.batch import Batch
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream

N_GATES = {"lstm": 4, "gru": 3}


Network = _core.Network32 | _core.Network64
NetworkState = _core.NetworkState32 | _core.NetworkState64


class _Native(NamedTuple):
    network: type[Network]
    stepper: type[Stepper]
    replay: NativeReplay


_NATIVE = {
    torch.float32: _Native(_core.Network32, _core.Stepper32, _core.replay32),
    torch.float64: _Native(_core.Network64, _core.Stepper64, _core.replay64),
}


class RNNPolicy(Policy):
    """Stacked recurrent cells and a dense layer to token logits, plus the logits of the priors.

    With zero initial weights the first policy is exactly the softmax of the priors; gradients reach
    the cells through the dense kernel, which is never zero.

    Parameters
    ----------
    library : Library
    prior : JointPrior
        Compiled priors; they hold the length limit.
    state_manager : StateManager
    cell : {"lstm", "gru"}
    num_layers : int
    num_units : int or sequence of int
        Units of every layer, or of each (then `num_layers` is their number).
    initializer : {"zeros", "var_scale"}
        Of the recurrent weights.
    action_prob_lowerbound : float
        Share of the uniform distribution over all tokens in the network's own; the priors come
        after it.
    seed : int
        Of the initial weights.
    n_threads : int
        For sampling; results do not depend on it.
    dtype : torch.dtype
        float32; float64 serves gradient checks.

    References
    ----------
    Petersen et al., "Deep symbolic regression", ICLR 2021.
    """

    def __init__(
        self,
        library: Library,
        prior: JointPrior,
        *,
        state_manager: StateManager | None = None,
        cell: str = "lstm",
        num_layers: int = 1,
        num_units: int | Sequence[int] = 32,
        initializer: str = "zeros",
        action_prob_lowerbound: float = 0.0,
        seed: int = 0,
        n_threads: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.library = library
        self.prior = prior
        self.max_length = prior.max_length
        self.state_manager = state_manager or StateManager()
        self.cell = cell
        self.units = [num_units] * num_layers if isinstance(num_units, int) else list(num_units)
        self.dtype = dtype
        self.n_threads = n_threads
        self.action_prob_lowerbound = action_prob_lowerbound
        self._observation = self.state_manager.observation(library)
        self._parameters = {
            name: nn.Parameter(torch.from_numpy(value).to(dtype))
            for name, value in self._initial_weights(initializer, Stream(seed, "weights")).items()
        }

    def __repr__(self) -> str:
        n_weights = sum(value.numel() for value in self._parameters.values())
        layers = " + ".join(map(str, self.units))
        return (
            f"<RNNPolicy {self.cell} of {layers} units, {self.library.L} tokens, "
            f"at most {self.max_length} a program, {n_weights} weights>"
        )

    def _initial_weights(self, initializer: str, stream: Stream) -> dict[str, np.ndarray]:
        random = stream.generator()
        manager, n_gates = self.state_manager, N_GATES[self.cell]

        def uniform(limit: float, *shape: int) -> np.ndarray:
            return random.uniform(-limit, limit, shape)

        def recurrent(rows: int, columns: int, fan_in: int, fan_out: int) -> np.ndarray:
            if initializer == "zeros":
                return np.zeros((rows, columns))
            return uniform(np.sqrt(3 * 0.5 / ((fan_in + fan_out) / 2)), rows, columns)

        weights: dict[str, np.ndarray] = {}
        if manager.embedding:
            for name, size in manager.symbols(self.library).items():
                weights[f"embedding.{name}"] = uniform(1.0, size, manager.embedding_size)
        n_inputs = manager.n_inputs(self.library)
        for i, units in enumerate(self.units):
            columns = n_gates * units
            fans = n_inputs + units, columns  # of the kernel over input and state together
            weights[f"layer{i}.input"] = recurrent(n_inputs, columns, *fans)
            weights[f"layer{i}.recurrent"] = recurrent(units, columns, *fans)
            weights[f"layer{i}.bias"] = (
                recurrent(1, columns, columns, columns)
                if self.cell == "gru"
                else np.zeros((1, columns))
            )
            n_inputs = units
        glorot = np.sqrt(6 / (n_inputs + self.library.L))
        weights["dense.kernel"] = uniform(glorot, n_inputs, self.library.L)
        weights["dense.bias"] = np.zeros((1, self.library.L))
        return weights

    def _network_parameters(self) -> list[Tensor]:
        """Return what the native network takes: embeddings are multiplied in first."""
        weights = self._parameters
        embeddings = [value for name, value in weights.items() if name.startswith("embedding.")]
        inner = [value for name, value in weights.items() if not name.startswith("embedding.")]
        return [self.state_manager.table(inner[0], embeddings), *inner[1:]]

    def _network(self, parameters: Sequence[Tensor]) -> Network:
        """Return the native network with a copy of the weights."""
        arrays = [p.detach().numpy() for p in parameters]
        return _NATIVE[self.dtype].network(self.cell, arrays, self.action_prob_lowerbound)

    def sample(self, n: int, stream: Stream) -> Batch:
        """Draw `n` programs.

        Rows that meet a dead end are drawn again from their own stream; one that never gets
        through is replaced by a copy of another.

        Raises
        ------
        UserError
            If no row could be completed, or the weights are no longer finite.
        """
        if not all(bool(torch.isfinite(p).all()) for p in self._parameters.values()):
            raise UserError(
                "the weights of the policy are no longer finite; lower "
                "policy_optimizer.learning_rate."
            )
        with torch.no_grad():
            network = self._network(self._network_parameters())
        if self.prior.python or self.advice is not None:
            drawn = sample_stepwise(
                n,
                stream.key,
                self.prior,
                self._observation,
                lambda n_rows: self._steps(network.start(n_rows)),
                _NATIVE[self.dtype].stepper,
                self.advice,
            )
        else:
            drawn = Drawn(
                *network.sample(
                    self.prior.rules,
                    self._observation,
                    key=stream.key,
                    n_rows=n,
                    n_positions=self.max_length,
                    n_threads=self.n_threads,
                )
            )
        return make_batch(drawn, self.prior)

    def _steps(self, state: NetworkState) -> StepLogits:
        observed = self.state_manager.observe_dangling
        return lambda features, slots: state.step(features, slots if observed else None)

    def replay(self, programs: ProgramBatch) -> Replay:
        """Walk programs through traversal state and priors; see `Policy.replay`."""
        native_replay = _NATIVE[self.dtype].replay
        return make_replay(programs, self.prior, self._observation, native_replay, self.advice)

    def log_prob_and_entropy(self, replay: Replay) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and entropies per token; see `Policy.log_prob_and_entropy`."""
        observed = replay.open_slots if self.state_manager.observe_dangling else None
        return _RecurrentNetwork.apply(self._network, replay, observed, *self._network_parameters())

    def parameters(self) -> list[nn.Parameter]:
        """Return the weights, in a fixed order."""
        return list(self._parameters.values())

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the weights by name."""
        return {name: value.detach().numpy().copy() for name, value in self._parameters.items()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        UserError
            If names or shapes are those of another network.
        """
        shapes = {name: tuple(value.shape) for name, value in self._parameters.items()}
        given = {name: np.shape(value) for name, value in state.items()}
        if given != shapes:
            raise UserError(f"policy weights {given} do not fit this policy, which has {shapes}.")
        with torch.no_grad():
            for name, value in self._parameters.items():
                value.copy_(torch.from_numpy(np.asarray(state[name])))


class _RecurrentNetwork(torch.autograd.Function):
    """The native network as one differentiable operation over its parameters."""

    @staticmethod
    def forward(ctx, make_network, replay, open_slots, *parameters):  # type: ignore[no-untyped-def]
        log_prob, entropy, forward_pass = make_network(parameters).forward(
            replay.programs.native, replay.features, open_slots, replay.prior
        )
        if any(p.requires_grad for p in parameters):
            ctx.forward_pass = forward_pass
        return torch.from_numpy(log_prob), torch.from_numpy(entropy)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_log_prob, d_entropy):  # type: ignore[no-untyped-def]
        gradients = ctx.forward_pass.backward(d_log_prob.numpy(), d_entropy.numpy())
        return None, None, None, *map(torch.from_numpy, gradients)
