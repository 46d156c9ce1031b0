"""PretrainedModel: proposes programs for a table in a fraction of a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.part import WHOLE, Part
from dso.pretraining.advice import NetworkAdvice
from dso.pretraining.architecture import make_architecture
from dso.pretraining.completing import Completer
from dso.pretraining.decoding import Decoder, TokenMap
from dso.pretraining.network import Memory, Network, one_thread
from dso.pretraining.normalising import Normalised, most_relevant, normalise
from dso.pretraining.tables import Tables
from dso.pretraining.vocabulary import Vocabulary
from dso.pretraining.weights import Weights, load_weights
from dso.prior.joint_prior import JointPrior
from dso.program import FitData, Program, ProgramBatch
from dso.streams import Stream
from dso.task.regression.rows import check_weights

SHIPPED = Path(__file__).with_name("shipped")
METHODS = ("beam", "sample")
USUAL_FUNCTIONS = (
    "add", "sub", "mul", "div", "sin", "cos", "exp", "log", "sqrt", "n2", "const",
)  # fmt: skip
MAX_LENGTH = 32
PENALTY = 1e-14
"""Per token, added to the error: of programs that fit as well the shorter is better."""


@dataclass(frozen=True)
class Candidates:
    """Programs proposed for a table, the best first: error, and a small penalty per token.

    Attributes
    ----------
    library : Library
        Of the programs.
    programs : ProgramBatch
        All allowed by the priors; `constants` are fitted.
    nmse : (B,) float64
        Mean squared error over the variance of the target; inf where invalid.
    log_probs : (B,) float64
        Of the skeleton, from the network.
    n_evaluations : int
        Programs whose error was computed, fits of numbers among them.
    notes : tuple of str
        What a user should know, one line each.
    """

    library: Library
    programs: ProgramBatch
    nmse: np.ndarray
    log_probs: np.ndarray
    n_evaluations: int
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.programs)

    def program(self, i: int = 0) -> Program:
        """Return candidate `i`, by default the best."""
        constants = self.programs.constants[i]
        kept = constants[: int((self.programs.row(i) == self.library.const_token).sum())]
        return Program(self.library, self.programs.row(i), kept)


class PretrainedModel:
    """A trained network with all that it takes to ask it.

    Parameters
    ----------
    network : Network
    vocabulary : Vocabulary
    """

    def __init__(self, network: Network, vocabulary: Vocabulary) -> None:
        self.network, self.vocabulary = network.eval(), vocabulary

    @staticmethod
    def load(path: str | Path | None = None) -> PretrainedModel:
        """Read weights; without a path those that ship with dso.

        Raises
        ------
        UserError
            If they cannot be read or belong to another vocabulary or version.
        """
        return PretrainedModel.of(load_weights(SHIPPED if path is None else path))

    @staticmethod
    def of(weights: Weights) -> PretrainedModel:
        """Build the network that weights belong to.

        Raises
        ------
        UserError
            If they do not fit what their description says.
        """
        vocabulary = weights.vocabulary()
        sizes = make_architecture(weights.about["architecture"])
        network = Network(sizes, vocabulary.n_inputs, len(vocabulary))
        tensors = {name: torch.from_numpy(array) for name, array in weights.arrays.items()}
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise UserError(
                "pretrained.weights: the arrays are not those of the network and the vocabulary "
                f"that the JSON describes: {first}"
            ) from None
        return PretrainedModel(network, vocabulary)

    def candidates(
        self,
        X: np.ndarray,
        y: np.ndarray,
        n: int = 128,
        *,
        library: Library | None = None,
        prior: JointPrior | None = None,
        method: str = "beam",
        weights: np.ndarray | None = None,
        protected: bool = False,
        seed: int = 0,
        n_threads: int = 1,
    ) -> Candidates:
        """Propose programs for a table.

        Parameters
        ----------
        X : (N, D) float
        y : (N,) float
        n : int
            How many skeletons to decode.
        library : Library, optional
            Of the programs. Default: usual functions, with `const`.
        prior : JointPrior, optional
            What programs obey. Default: a limit of the length.
        method : {"beam", "sample"}
            Keep the most likely, or draw without replacement.
        weights : (N,) float, optional
            Of the rows, in errors. The network does not see them, but no row of weight 0.
        protected : bool
            Execute programs in protected mode.
        seed : int
        n_threads : int
            For fits and errors; results do not depend on it.
        """
        X, y, weights = _checked(X, y, weights)
        if library is None:
            library = prior.library if prior else _usual_library(X.shape[1])
        data = FitData.of_rows(library, X, y, weights, protected)
        return self.candidates_for(data, prior, n, method=method, seed=seed, n_threads=n_threads)

    def candidates_for(
        self,
        data: FitData,
        prior: JointPrior | None = None,
        n: int = 128,
        *,
        method: str = "beam",
        seed: int = 0,
        n_threads: int = 1,
        part: Part = WHOLE,
    ) -> Candidates:
        """Propose programs for the rows of a task; see `candidates`.

        Where the skeletons are dealt out, each part draws its own; of a beam it gets every n-th.
        """
        if method not in METHODS:
            raise UserError(f"pretrained.method is {method!r}; allowed: {', '.join(METHODS)}.")
        if n < 1:
            raise UserError(f"pretrained.n_candidates is {n}; at least 1 is needed.")
        prior = prior or JointPrior(data.library, [], max_length=MAX_LENGTH)
        if data.weights is not None:
            data = data.on_rows(np.flatnonzero(data.weights > 0))
        generator = Stream(seed, "pretrained").generator() if method == "sample" else None
        with one_thread():
            question = self.ask(data, prior, seed)
            if generator is not None:
                decoded = question.decoder.run(max(1, part.share(n)), generator)
            else:
                decoded = question.decoder.run(n)[part.k :: part.n]
        completer = Completer(
            self.vocabulary, question.map, prior, data, question.table,
            seed=seed, n_threads=n_threads,
        )  # fmt: skip
        found = completer.complete(decoded.programs)
        return _ranked(
            Candidates(
                data.library,
                found.programs,
                found.nmse,
                decoded.log_probs[found.skeletons],
                len(decoded.programs) + len(found.programs),
                question.notes,
            )
        )

    def ask(self, data: FitData, prior: JointPrior, seed: int = 0) -> Question:
        """Let the network read the rows of a task."""
        columns, notes = self._columns(data)
        token_map = TokenMap(self.vocabulary, data.library, columns, skip=("poly",))
        is_fitted = self.vocabulary.const in token_map.ours.tolist()
        table = normalise(data, columns, is_fitted)
        allowed = token_map.allowed(len(self.vocabulary))
        rows = table.table(self.vocabulary.n_inputs, allowed, seed)
        memory = self.read(rows)
        return Question(Decoder(self.network, memory, token_map, prior), token_map, table, notes)

    def advice(self, data: FitData, prior: JointPrior, seed: int = 0) -> NetworkAdvice:
        """Return advice to a policy that writes programs for the rows of a task."""
        with one_thread():
            question = self.ask(data, prior, seed)
        return NetworkAdvice(self.network, question.decoder.memory, question.map, data.library.L)

    @torch.no_grad()
    def read(self, tables: Tables) -> Memory:
        """Return what the decoder reads of tables."""
        arrays = tables.x, tables.y, tables.level, tables.allowed.astype(np.float32)
        return self.network.read(*map(torch.from_numpy, arrays))

    def _columns(self, data: FitData) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return the inputs to look at, and what is to be said about it."""
        n_most = self.vocabulary.n_inputs
        inputs = sorted(int(data.library.tokens[t].input_var) for t in data.library.input_tokens)
        if not inputs:
            raise UserError("pretrained: the library has no inputs, so there is nothing to read.")
        if len(inputs) <= n_most:
            return tuple(inputs), ()
        chosen = most_relevant(data, inputs, n_most)
        shown = data.library.input_names or [
            f"x{column + 1}" for column in range(len(data.columns))
        ]
        names = ", ".join(shown[column] for column in chosen)
        note = (
            f"the pretrained network reads {n_most} inputs; of {len(inputs)} it was given those "
            f"that say most about the target: {names}."
        )
        return chosen, (note,)


@dataclass(frozen=True)
class Question:
    """A table that the network has read.

    Attributes
    ----------
    decoder : Decoder
    map : TokenMap
    table : Normalised
    notes : tuple of str
    """

    decoder: Decoder
    map: TokenMap
    table: Normalised
    notes: tuple[str, ...]


def _checked(
    X: np.ndarray, y: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y) or len(y) < 2 or not X.shape[1]:
        raise UserError(
            f"pretrained: X is (N, D) and y (N,), with at least 2 rows and 1 input; given are "
            f"{X.shape} and {y.shape}."
        )
    if not (np.isfinite(X).all() and np.isfinite(y).all()):
        raise UserError("pretrained: X or y has a number that is not finite.")
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != y.shape or not np.isfinite(weights).all():
            raise UserError(
                f"pretrained: weights are (N,) finite numbers, one for each of {len(y)} rows; "
                f"given is an array {weights.shape}."
            )
        check_weights(weights, "pretrained", lambda row: f"row {row}")
    return X, y, weights


def _usual_library(n_inputs: int) -> Library:
    return Library(create_tokens(n_inputs, list(USUAL_FUNCTIONS)))


def _ranked(candidates: Candidates) -> Candidates:
    """Return different programs, the best first."""
    programs = candidates.programs
    if not len(programs):
        return candidates
    penalised = candidates.nmse + PENALTY * programs.lengths
    order = np.lexsort((-candidates.log_probs, penalised))
    _, first = np.unique(programs.keys()[order], return_index=True)
    kept = order[np.sort(first)]
    return replace(
        candidates,
        programs=programs[kept],
        nmse=candidates.nmse[kept],
        log_probs=candidates.log_probs[kept],
    )
