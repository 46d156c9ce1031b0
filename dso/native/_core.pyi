"""
Native core of dso; N rows of data, B programs, other letters as in ARCHITECTURE.md.
"""

from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing

__all__: list[str] = [
    "ANCHOR",
    "Actor",
    "Arithmetic",
    "BreedOptions",
    "Brood",
    "Composition",
    "Data",
    "Form",
    "ForwardPass32",
    "ForwardPass64",
    "Growth",
    "HOLE",
    "KEY_ROWS",
    "KeySet",
    "LEARNED",
    "LEFT",
    "Library",
    "Loss",
    "MAX_ATTEMPTS",
    "Mujoco",
    "NO_ACTION",
    "Network32",
    "Network64",
    "NetworkState32",
    "NetworkState64",
    "OP_CONSTANT",
    "OP_DEFINED",
    "OP_INPUT",
    "OP_LESS",
    "OP_LITERAL",
    "OP_POLY",
    "OP_PYTHON",
    "Observation",
    "OperatorRow",
    "Parents",
    "Perceptron",
    "PolynomialBasis",
    "Programs",
    "RIGHT",
    "RewardCache",
    "RuleSet",
    "STOP_ACTION",
    "SemanticSearch",
    "SemanticTarget",
    "Starts",
    "Stepper32",
    "Stepper64",
    "VECTOR_MATH",
    "ValueLibrary",
    "breed",
    "can_apply",
    "derive",
    "execute",
    "first_rows",
    "fit_constants",
    "fit_polynomials",
    "fraction_within",
    "has_inverse",
    "invert_operator",
    "invert_programs",
    "is_pole",
    "mean_loss",
    "mean_squared_error",
    "operator_table",
    "partials",
    "polynomial_values",
    "replay32",
    "replay64",
    "rollout",
    "rollout_mujoco",
    "trace",
    "trace_mujoco",
]

class Library:
    """
    What each token means to the machine.
    """
    def __init__(
        self,
        arities: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        opcodes: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        operands: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        definitions: collections.abc.Sequence[
            tuple[
                collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
                collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
                collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
            ]
        ] = [],
    ) -> None:
        """
        Definitions: opcodes, operands and values of each, in postorder.
        """
    def __len__(self) -> int: ...
    @property
    def n_inputs(self) -> int: ...

class Loss:
    """
    A function of prediction, target and perhaps weight.
    """
    def __init__(
        self,
        n_arguments: typing.SupportsInt | typing.SupportsIndex,
        value: tuple[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
        ],
        slope: tuple[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
        ],
        second: tuple[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex],
        ],
        softening: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None:
        """
        Definitions of the loss and of its two derivatives in the prediction.
        """

class Programs:
    """
    Programs in prefix order, without a library.
    """
    def __init__(
        self,
        tokens: typing.Annotated[numpy.typing.ArrayLike, numpy.int16],
        lengths: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        constants: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
    ) -> None:
        """
        Tokens (B, T), lengths (B,), constants (B, K).
        """
    def __len__(self) -> int: ...
    def keys(self) -> numpy.typing.NDArray[numpy.uint64]:
        """
        64-bit identity of each token sequence, (B,).
        """

class Data:
    """
    What programs are run on and compared with; of many rows, the inputs stay where they are.
    """
    def __init__(
        self,
        X: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        y: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
        weights: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
        protected: bool = False,
    ) -> None:
        """
        X (D, N), y and weights (N,). Protected: the result of a program alone must be finite.
        """

class OperatorRow:
    """
    A row of the native operator table.
    """
    @property
    def arity(self) -> int: ...
    @property
    def is_even(self) -> bool: ...
    @property
    def name(self) -> str: ...
    @property
    def opcode(self) -> int: ...
    @property
    def period(self) -> float:
        """
        0 for none
        """

class RewardCache:
    """
    Key -> reward, cause, node, counters; bounded.
    """
    def __init__(self, max_bytes: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __len__(self) -> int: ...
    def clear(self) -> None: ...
    def contains(
        self, keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]
    ) -> numpy.typing.NDArray[numpy.bool]:
        """
        Expired ones too, (B,) bool.
        """
    def count(
        self,
        keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64],
        on_policy: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
    ) -> None:
        """
        Count one more appearance of each key.
        """
    def counts(
        self, keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]
    ) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]:
        """
        -> on-policy and off-policy, each (B,).
        """
    def expire_before(self, iteration: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Forget the rewards of earlier iterations, but not the counters.
        """
    def insert(
        self,
        keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64],
        rewards: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        cause: typing.Annotated[numpy.typing.ArrayLike, numpy.uint8],
        node: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        iteration: typing.SupportsInt | typing.SupportsIndex,
        constants: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
    ) -> None: ...
    def load_state(self, state: dict[str, numpy.ndarray]) -> None: ...
    def lookup(
        self, keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]
    ) -> tuple[
        numpy.typing.NDArray[numpy.bool],
        numpy.typing.NDArray[numpy.float64],
        numpy.typing.NDArray[numpy.uint8],
        numpy.typing.NDArray[numpy.int32],
        numpy.typing.NDArray[numpy.float64],
    ]:
        """
        -> found, rewards, cause, node, each (B,), constants (B, K).
        """
    def state(self) -> dict[str, numpy.ndarray]:
        """
        All entries as a dict of arrays, ordered by key.
        """
    @property
    def n_bytes(self) -> int: ...

class KeySet:
    """
    Keys without end; nothing is forgotten.
    """
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def contains(
        self, keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]
    ) -> numpy.typing.NDArray[numpy.bool]:
        """
        (B,) uint64 -> (B,) bool.
        """
    def insert(self, keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64]) -> None: ...
    def sorted(self) -> numpy.typing.NDArray[numpy.uint64]:
        """
        All keys, ascending.
        """

class PolynomialBasis:
    """
    What polynomials are on the rows of some data.
    """
    def __init__(
        self,
        exponents: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        to_monomials: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        sizes: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ) -> None: ...

class RuleSet:
    """
    What a prior compiles to; token sets are (L,) bool arrays.
    """
    def __init__(
        self, arities: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]
    ) -> None: ...
    def add_context_logits(
        self,
        parent_class: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        sibling_class: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        table: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ) -> None:
        """
        Add table (parents, siblings, L) to the logits, by the class (L + 1,) of the open node's parent and of the sibling before; the last class is that of none.
        """
    def add_logits(
        self, logits: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]
    ) -> None: ...
    def add_soft_length(
        self,
        location: typing.SupportsFloat | typing.SupportsIndex,
        scale: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None: ...
    def exclude_each_other(
        self, group: typing.Annotated[numpy.typing.ArrayLike, numpy.bool]
    ) -> None: ...
    def fewest_tokens(self) -> int:
        """
        How many tokens a program takes at least to have the units that are wanted.
        """
    def first_allowed(self) -> numpy.typing.NDArray[numpy.bool]:
        """
        Tokens that may come first, (L,) bool.
        """
    def forbid_at_last_chance(
        self, targets: typing.Annotated[numpy.typing.ArrayLike, numpy.bool]
    ) -> None: ...
    def forbid_child(
        self,
        parents: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        targets: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        first: bool = True,
        later: bool = True,
    ) -> None: ...
    def forbid_descendant(
        self,
        ancestors: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        targets: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
    ) -> int: ...
    def forbid_first(
        self, targets: typing.Annotated[numpy.typing.ArrayLike, numpy.bool]
    ) -> None: ...
    def forbid_only_child(
        self,
        parents: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        targets: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
    ) -> None: ...
    def forbid_sibling(
        self,
        siblings: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        targets: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
    ) -> None: ...
    def limit_count(
        self,
        group: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        threshold: typing.SupportsInt | typing.SupportsIndex,
        forbidden: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
    ) -> None: ...
    def limit_depth(self, maximum: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def limit_length(
        self,
        minimum: typing.SupportsInt | typing.SupportsIndex,
        maximum: typing.SupportsInt | typing.SupportsIndex | None,
    ) -> None: ...
    def limit_nesting(
        self,
        outer: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        inner: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        limit: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def limit_size(
        self,
        costs: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        maximum: typing.SupportsInt | typing.SupportsIndex | None,
        argument_limits: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    ) -> None:
        """
        Program size <= maximum (None: no limit); argument limits below 0 are none.
        """
    def look_ahead_to(self, length: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Tell a length limit that another rule set enforces.
        """
    def mask_counts(self, programs: Programs) -> numpy.typing.NDArray[numpy.int64]:
        """
        How often each token was masked on the way through the programs, (L,) int64.
        """
    def merge(self, other: RuleSet) -> None: ...
    def require_ancestors(
        self,
        targets: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        groups: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    ) -> None: ...
    def require_count(
        self,
        group: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        minimum: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def require_each(self, group: typing.Annotated[numpy.typing.ArrayLike, numpy.bool]) -> None: ...
    def require_form(
        self,
        tokens: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        forbidden: typing.Annotated[numpy.typing.ArrayLike, numpy.bool],
        more_tokens: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        more_sizes: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    ) -> None:
        """
        Steps in prefix order: a token, or -1 for a hole with forbidden tokens (S, L).
        """
    def require_units(
        self,
        rules: collections.abc.Sequence[str],
        terminals: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        numbers: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        weights: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64],
        wanted: typing.SupportsInt | typing.SupportsIndex,
    ) -> None:
        """
        Rules (L,) of tokens: 'ratios', 'products' or 'power'. Dimensions (L,) of terminals, values (L,) of literals, weights (L, 1 + arity) of the value and the arguments, and what is wanted of the program are images, 2^64 - 1 for what is not known. See rules/units.hpp.
        """
    def violations(self, programs: Programs) -> numpy.typing.NDArray[numpy.int32]:
        """
        Position of each program's first forbidden token, -1 if it obeys every rule, its length if it is incomplete: (B,) int32.
        """

class Observation:
    """
    Which features of a traversal the network sees.
    """
    def __init__(
        self,
        action: typing.SupportsInt | typing.SupportsIndex,
        parent: typing.SupportsInt | typing.SupportsIndex,
        sibling: typing.SupportsInt | typing.SupportsIndex,
        open_slots: bool,
        parent_index: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        n_parents: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class ForwardPass32:
    def backward(
        self,
        d_log_prob: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
        d_entropy: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    ) -> list[numpy.typing.NDArray[numpy.float32]]:
        """
        Gradient of every parameter, in the network's order.
        """

class NetworkState32:
    def step(
        self,
        features: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        open_slots: typing.Annotated[numpy.typing.ArrayLike, numpy.float32] | None,
    ) -> numpy.typing.NDArray[numpy.float32]:
        """
        -> logits (B, L)
        """

class Network32:
    """
    Policy network over parameters in the order input table, recurrent, bias (input, recurrent, bias of further layers), dense kernel, dense bias; a copy of the weights at construction. `floor` mixes that share of the uniform distribution into the output.
    """
    def __init__(
        self,
        cell: str,
        parameters: collections.abc.Sequence[
            typing.Annotated[numpy.typing.ArrayLike, numpy.float32]
        ],
        floor: typing.SupportsFloat | typing.SupportsIndex = 0.0,
    ) -> None: ...
    def forward(
        self,
        programs: Programs,
        features: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        open_slots: typing.Annotated[numpy.typing.ArrayLike, numpy.float32] | None,
        prior: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    ) -> tuple[
        numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32], ForwardPass32
    ]:
        """
        -> log-probabilities (B, T), entropies (B, T), ForwardPass
        """
    def sample(
        self,
        rules: RuleSet,
        observation: Observation,
        key: typing.SupportsInt | typing.SupportsIndex,
        n_rows: typing.SupportsInt | typing.SupportsIndex,
        n_positions: typing.SupportsInt | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
        first_row: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> tuple[numpy.typing.NDArray[numpy.int16], numpy.typing.NDArray[numpy.int32], int]:
        """
        -> tokens (n, T) int16, lengths (n,), withdrawals
        """
    def start(self, n_rows: typing.SupportsInt | typing.SupportsIndex) -> NetworkState32:
        """
        Hidden states of new rows, for steps one at a time.
        """

class ForwardPass64:
    def backward(
        self,
        d_log_prob: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        d_entropy: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ) -> list[numpy.typing.NDArray[numpy.float64]]:
        """
        Gradient of every parameter, in the network's order.
        """

class NetworkState64:
    def step(
        self,
        features: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        open_slots: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None,
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        -> logits (B, L)
        """

class Network64:
    """
    Policy network over parameters in the order input table, recurrent, bias (input, recurrent, bias of further layers), dense kernel, dense bias; a copy of the weights at construction. `floor` mixes that share of the uniform distribution into the output.
    """
    def __init__(
        self,
        cell: str,
        parameters: collections.abc.Sequence[
            typing.Annotated[numpy.typing.ArrayLike, numpy.float64]
        ],
        floor: typing.SupportsFloat | typing.SupportsIndex = 0.0,
    ) -> None: ...
    def forward(
        self,
        programs: Programs,
        features: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        open_slots: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None,
        prior: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ) -> tuple[
        numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], ForwardPass64
    ]:
        """
        -> log-probabilities (B, T), entropies (B, T), ForwardPass
        """
    def sample(
        self,
        rules: RuleSet,
        observation: Observation,
        key: typing.SupportsInt | typing.SupportsIndex,
        n_rows: typing.SupportsInt | typing.SupportsIndex,
        n_positions: typing.SupportsInt | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
        first_row: typing.SupportsInt | typing.SupportsIndex = 0,
    ) -> tuple[numpy.typing.NDArray[numpy.int16], numpy.typing.NDArray[numpy.int32], int]:
        """
        -> tokens (n, T) int16, lengths (n,), withdrawals
        """
    def start(self, n_rows: typing.SupportsInt | typing.SupportsIndex) -> NetworkState64:
        """
        Hidden states of new rows, for steps one at a time.
        """

class Stepper32:
    """
    Sampling one token per call: `observe`, compute logits, `choose`, while `n_active` > 0.
    """
    def __init__(
        self,
        rules: RuleSet,
        key: typing.SupportsInt | typing.SupportsIndex,
        rows: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        attempt: typing.SupportsInt | typing.SupportsIndex,
        n_positions: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def choose(self, logits: typing.Annotated[numpy.typing.ArrayLike, numpy.float32]) -> None:
        """
        Draw a token for each active row from logits (B, L); the rules are added here.
        """
    def observe(
        self, observation: Observation
    ) -> tuple[numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.float32]]:
        """
        -> features (B, O), open slots (B,)
        """
    @property
    def lengths(self) -> numpy.typing.NDArray[numpy.int32]: ...
    @property
    def n_active(self) -> int: ...
    @property
    def tokens(self) -> numpy.typing.NDArray[numpy.int16]: ...

class Stepper64:
    """
    Sampling one token per call: `observe`, compute logits, `choose`, while `n_active` > 0.
    """
    def __init__(
        self,
        rules: RuleSet,
        key: typing.SupportsInt | typing.SupportsIndex,
        rows: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        attempt: typing.SupportsInt | typing.SupportsIndex,
        n_positions: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def choose(self, logits: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]) -> None:
        """
        Draw a token for each active row from logits (B, L); the rules are added here.
        """
    def observe(
        self, observation: Observation
    ) -> tuple[numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.float64]]:
        """
        -> features (B, O), open slots (B,)
        """
    @property
    def lengths(self) -> numpy.typing.NDArray[numpy.int32]: ...
    @property
    def n_active(self) -> int: ...
    @property
    def tokens(self) -> numpy.typing.NDArray[numpy.int16]: ...

class Form:
    """
    One way to make an expression from none, one or two others.
    """
    def __init__(
        self,
        op: typing.SupportsInt | typing.SupportsIndex,
        arity: typing.SupportsInt | typing.SupportsIndex,
        cost: typing.SupportsInt | typing.SupportsIndex,
        pattern: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        is_symmetric: bool = False,
        negates: bool = False,
        parity: str = "none",
        inverses: collections.abc.Sequence[
            tuple[typing.SupportsInt | typing.SupportsIndex, bool]
        ] = [],
        values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
        input: typing.SupportsInt | typing.SupportsIndex = -1,
    ) -> None: ...

class Arithmetic:
    """
    Numbers of the forms that combine and negate expressions, -1 for none.
    """
    def __init__(
        self,
        *,
        add: typing.SupportsInt | typing.SupportsIndex = -1,
        sub: typing.SupportsInt | typing.SupportsIndex = -1,
        mul: typing.SupportsInt | typing.SupportsIndex = -1,
        div: typing.SupportsInt | typing.SupportsIndex = -1,
        negate: typing.SupportsInt | typing.SupportsIndex = -1,
    ) -> None: ...

class Growth:
    """
    How far a value library grows.
    """
    def __init__(
        self,
        *,
        max_entries: typing.SupportsInt | typing.SupportsIndex,
        max_vectors: typing.SupportsInt | typing.SupportsIndex,
        max_cost: typing.SupportsInt | typing.SupportsIndex,
        shared_part: typing.SupportsFloat | typing.SupportsIndex,
        subsets: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        is_over: collections.abc.Callable[[], bool] | None = None,
    ) -> None:
        """
        `is_over` is asked every 50 milliseconds.
        """

class ValueLibrary:
    """
    Small expressions, one per distinct value vector, in order of cost.
    """
    @staticmethod
    def entries_in(bytes: typing.SupportsInt | typing.SupportsIndex) -> int: ...
    def __init__(
        self,
        forms: collections.abc.Sequence[Form],
        arithmetic: Arithmetic,
        rules: RuleSet,
        *,
        bits: typing.SupportsInt | typing.SupportsIndex,
        growth: Growth,
    ) -> None: ...
    def __len__(self) -> int: ...
    def find(
        self, values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]
    ) -> numpy.typing.NDArray[numpy.int64]:
        """
        Entry with these values (Q, 4) or their negatives, -1 for none: (Q,).
        """
    def join(
        self,
        values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        n_partners: typing.SupportsInt | typing.SupportsIndex,
    ) -> tuple[numpy.typing.NDArray[numpy.int16], numpy.typing.NDArray[numpy.int32]]:
        """
        -> tokens (Q, T), lengths (Q,) of entries or pairs with these values; 0 for none.
        """
    def nearest(
        self,
        values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        weights: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        n: typing.SupportsInt | typing.SupportsIndex,
        k: typing.SupportsInt | typing.SupportsIndex,
    ) -> tuple[
        numpy.typing.NDArray[numpy.int64],
        numpy.typing.NDArray[numpy.int32],
        numpy.typing.NDArray[numpy.float64],
    ]:
        """
        -> entries (Q, k), signs (Q, k), distances (Q, k) of the nearest of the first n.
        """
    def programs(
        self, numbers: typing.Annotated[numpy.typing.ArrayLike, numpy.int64]
    ) -> tuple[numpy.typing.NDArray[numpy.int16], numpy.typing.NDArray[numpy.int32]]:
        """
        -> tokens (B, T), lengths (B,)
        """
    @property
    def costs(self) -> numpy.typing.NDArray[numpy.int32]: ...
    @property
    def lengths(self) -> numpy.typing.NDArray[numpy.int32]: ...
    @property
    def n_bytes(self) -> int: ...
    @property
    def n_vectors(self) -> int: ...
    @property
    def stopped_by(self) -> str: ...
    @property
    def values(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (n, 4)
        """

class SemanticSearch:
    """
    Joins of entries that give the target.
    """
    def __init__(
        self,
        values: ValueLibrary,
        library: Library,
        rules: RuleSet,
        target: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        sample: Data,
        data: Data,
        *,
        tolerance: typing.SupportsFloat | typing.SupportsIndex,
        max_contexts: typing.SupportsInt | typing.SupportsIndex,
        first_partners: typing.SupportsInt | typing.SupportsIndex,
        second_partners: typing.SupportsInt | typing.SupportsIndex,
        max_cost: typing.SupportsInt | typing.SupportsIndex,
        sameness: str = "exact",
        prefix: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex] = [],
    ) -> None: ...
    def affine_pairs(
        self,
        n_entries: typing.SupportsInt | typing.SupportsIndex,
        max_lookups: typing.SupportsInt | typing.SupportsIndex,
        max_found: typing.SupportsInt | typing.SupportsIndex,
        is_over: collections.abc.Callable[[], bool],
    ) -> tuple[
        numpy.typing.NDArray[numpy.int64],
        numpy.typing.NDArray[numpy.int16],
        numpy.typing.NDArray[numpy.int32],
        int,
    ]:
        """
        -> contexts (B,), pairs of entries with their values up to scale and offset as tokens (B, T) and lengths (B,), and how many were looked up.
        """
    def contexts(
        self, numbers: typing.Annotated[numpy.typing.ArrayLike, numpy.int64]
    ) -> tuple[numpy.typing.NDArray[numpy.int16], numpy.typing.NDArray[numpy.int32]]:
        """
        Tokens of contexts around a HOLE, (B, T), lengths (B,); 0 where it cannot be written.
        """
    def has_layer(self, cost: typing.SupportsInt | typing.SupportsIndex) -> bool: ...
    def run_layer(
        self,
        cost: typing.SupportsInt | typing.SupportsIndex,
        max_lookups: typing.SupportsInt | typing.SupportsIndex,
        max_hits: typing.SupportsInt | typing.SupportsIndex,
        is_over: collections.abc.Callable[[], bool],
    ) -> tuple[bool, numpy.typing.NDArray[numpy.int16], numpy.typing.NDArray[numpy.int32]]:
        """
        -> whether it went to its end, tokens (B, T), lengths (B,)
        """
    @property
    def context_table(
        self,
    ) -> tuple[
        numpy.typing.NDArray[numpy.int64],
        numpy.typing.NDArray[numpy.int64],
        numpy.typing.NDArray[numpy.int64],
        numpy.typing.NDArray[numpy.int64],
    ]:
        """
        Of each context: parent (-1: y), entry beside the hole (-1: none), form, slot of the hole; each (n,).
        """
    @property
    def context_values(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        What must stand in the hole of each context, (n, 4).
        """
    @property
    def knows_difference(self) -> numpy.typing.NDArray[numpy.bool]:
        """
        Whether these values are known up to an offset at most, not up to a factor, (n,).
        """
    @property
    def n_contexts(self) -> int: ...
    @property
    def n_lookups(self) -> int: ...
    @property
    def n_vectors(self) -> int: ...
    @property
    def n_verified(self) -> int: ...

class BreedOptions:
    """
    How offspring are made of their parents.
    """
    def __init__(
        self,
        *,
        p_crossover: typing.SupportsFloat | typing.SupportsIndex,
        p_mutate: typing.SupportsFloat | typing.SupportsIndex,
        p_perturb: typing.SupportsFloat | typing.SupportsIndex,
        p_join: typing.SupportsFloat | typing.SupportsIndex,
        p_archive: typing.SupportsFloat | typing.SupportsIndex,
        tournament_size: typing.SupportsInt | typing.SupportsIndex,
        mutate_tree_max: typing.SupportsInt | typing.SupportsIndex,
        n_attempts: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class SemanticTarget:
    """
    What semantic mutation solves programs for.
    """
    def __init__(
        self,
        values: ValueLibrary,
        library: Library,
        data: Data,
        *,
        n_partners: typing.SupportsInt | typing.SupportsIndex,
        n_nearest: typing.SupportsInt | typing.SupportsIndex,
    ) -> None:
        """
        The data are those of the key rows.
        """

class Parents:
    """
    Programs in groups, each best first.
    """
    def __init__(
        self,
        programs: Programs,
        offsets: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
    ) -> None:
        """
        Group g holds the programs offsets[g] to offsets[g + 1].
        """

class Brood:
    """
    n offspring.
    """
    @property
    def constants(self) -> numpy.typing.NDArray[numpy.float64]:
        """
        (n, K), NaN where a number is to be fitted
        """
    @property
    def lengths(self) -> numpy.typing.NDArray[numpy.int32]:
        """
        (n,)
        """
    @property
    def n_known(self) -> numpy.typing.NDArray[numpy.int32]:
        """
        Tries that were known, (n,)
        """
    @property
    def n_lookups(self) -> numpy.typing.NDArray[numpy.int64]:
        """
        Look-ups of values, (n,)
        """
    @property
    def n_refused(self) -> numpy.typing.NDArray[numpy.int32]:
        """
        Tries that broke a rule, (n,)
        """
    @property
    def operations(self) -> numpy.typing.NDArray[numpy.uint8]:
        """
        (n,)
        """
    @property
    def parents(self) -> numpy.typing.NDArray[numpy.int32]:
        """
        (n,)
        """
    @property
    def tokens(self) -> numpy.typing.NDArray[numpy.int16]:
        """
        (n, T)
        """

class Perceptron:
    """
    A trained policy as layers.
    """
    def __init__(
        self,
        *,
        weights: collections.abc.Sequence[typing.Annotated[numpy.typing.ArrayLike, numpy.float32]],
        biases: collections.abc.Sequence[typing.Annotated[numpy.typing.ArrayLike, numpy.float32]],
        activation: str,
        head: str,
        low: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        high: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        z_limit: typing.SupportsFloat | typing.SupportsIndex,
        mean: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        deviation: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        limit: typing.SupportsFloat | typing.SupportsIndex,
    ) -> None: ...
    def run(
        self, observations: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        (N, O) -> (N, A).
        """

class Composition:
    """
    How each component of an action comes about.
    """
    def __init__(
        self,
        *,
        kind: str,
        sources: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        low: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        high: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        is_single: bool,
        n_observations: typing.SupportsInt | typing.SupportsIndex,
        anchor: Perceptron | None = None,
        fixed_library: Library | None = None,
        fixed: Programs | None = None,
    ) -> None: ...
    def set_action_tokens(
        self,
        dimensions: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
        values: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        defaults: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ) -> None: ...

class Actor:
    """
    One program, ready to act.
    """
    def __init__(
        self,
        composition: Composition,
        library: Library,
        programs: Programs,
        n_observations: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def act(
        self, observation: typing.Annotated[numpy.typing.ArrayLike, numpy.float64]
    ) -> numpy.typing.NDArray[numpy.float64]:
        """
        (O,) -> (A,).
        """

class Starts:
    """
    Where episodes start.
    """
    def __init__(
        self,
        states: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
        observations: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    ) -> None:
        """
        States (E, S) and observations (E, O).
        """

class Mujoco:
    """
    The physics library and a simulation per thread.
    """
    def __init__(
        self,
        *,
        functions: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
        simulations: collections.abc.Sequence[
            collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]
        ],
        n_qpos: typing.SupportsInt | typing.SupportsIndex,
        n_qvel: typing.SupportsInt | typing.SupportsIndex,
        n_ctrl: typing.SupportsInt | typing.SupportsIndex,
        frame_skip: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

def breed(
    library: Library,
    rules: RuleSet,
    parents: Parents,
    options: BreedOptions,
    *,
    rows: typing.Annotated[numpy.typing.ArrayLike, numpy.uint32],
    groups: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    key: typing.SupportsInt | typing.SupportsIndex,
    first_attempt: typing.SupportsInt | typing.SupportsIndex,
    n_positions: typing.SupportsInt | typing.SupportsIndex,
    n_constants: typing.SupportsInt | typing.SupportsIndex,
    known: KeySet | None = None,
    target: SemanticTarget | None = None,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> Brood:
    """
    Breed one offspring per row from the parents of its group. With a target all by semantic mutation.
    """

def can_apply(op: typing.SupportsInt | typing.SupportsIndex) -> bool: ...
def derive(
    library: Library,
    programs: Programs,
    data: Data,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.bool],
]:
    """
    Predictions (B, N), their derivatives in the constants (B, K, N), and whether each program is valid (B,).
    """

def execute(
    library: Library,
    programs: Programs,
    data: Data,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.uint8],
    numpy.typing.NDArray[numpy.int32],
]:
    """
    -> values (B, N), cause (B,), node (B,).
    """

def first_rows(
    keys: typing.Annotated[numpy.typing.ArrayLike, numpy.uint64],
) -> numpy.typing.NDArray[numpy.int32]:
    """
    For each row the first row with the same key: (B,) uint64 -> (B,) int32.
    """

def fit_constants(
    library: Library,
    programs: Programs,
    data: Data,
    *,
    lower: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
    upper: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
    max_iterations: typing.SupportsInt | typing.SupportsIndex = 50,
    n_starts: typing.SupportsInt | typing.SupportsIndex = 1,
    key: typing.SupportsInt | typing.SupportsIndex = 0,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
    loss: Loss | None = None,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]:
    """
    Least squares, or the least loss, from the constants of the programs, within bounds (B, K) -> constants (B, K), mean squared error or loss (B,), NaN where no valid constants were found (which then are those of the start).
    """

def fit_polynomials(
    library: Library,
    programs: Programs,
    data: Data,
    basis: PolynomialBasis,
    *,
    lower: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
    upper: typing.Annotated[numpy.typing.ArrayLike, numpy.float64] | None = None,
    sparse_basis: PolynomialBasis | None = None,
    most_terms: typing.SupportsInt | typing.SupportsIndex = 0,
    coef_tol: typing.SupportsFloat | typing.SupportsIndex = 0.0,
    max_steps: typing.SupportsInt | typing.SupportsIndex = 50,
    work: typing.SupportsFloat | typing.SupportsIndex = 2500000.0,
    with_wanted: bool = False,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.uint8],
    numpy.typing.NDArray[numpy.int32],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    Programs with one polynomial each -> its coefficients (B, P), constants (B, K), mean squared error (B,), NaN where invalid, cause (B,), node (B,), and, if asked for, what the polynomial should have been (B, N).
    """

def fraction_within(
    library: Library,
    programs: Programs,
    data: Data,
    relative: typing.SupportsFloat | typing.SupportsIndex,
    absolute: typing.SupportsFloat | typing.SupportsIndex,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.uint8],
    numpy.typing.NDArray[numpy.int32],
]:
    """
    Share of rows with |prediction - y| < relative |y| + absolute; cause (B,), node (B,).
    """

def has_inverse(
    opcode: typing.SupportsInt | typing.SupportsIndex,
    argument: typing.SupportsInt | typing.SupportsIndex,
) -> bool: ...
def invert_operator(
    opcode: typing.SupportsInt | typing.SupportsIndex,
    argument: typing.SupportsInt | typing.SupportsIndex,
    y: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    other: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    The argument of an operator that gives y, from the other argument; each (N,).
    """

def invert_programs(
    library: Library,
    programs: Programs,
    data: Data,
    positions: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.bool]]:
    """
    What the node at each position (B,) ought to be for the program to give y: values (B, N), NaN where nothing or anything does, and whether all are finite (B,).
    """

def is_pole(
    opcode: typing.SupportsInt | typing.SupportsIndex,
    a: typing.SupportsFloat | typing.SupportsIndex,
    b: typing.SupportsFloat | typing.SupportsIndex,
) -> bool:
    """
    Whether an infinite value at a, b is a division by zero.
    """

def mean_loss(
    library: Library,
    programs: Programs,
    data: Data,
    loss: Loss,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.uint8],
    numpy.typing.NDArray[numpy.int32],
]:
    """
    Mean over rows of a loss -> (B,), NaN where invalid; cause (B,), node (B,).
    """

def mean_squared_error(
    library: Library,
    programs: Programs,
    data: Data,
    n_threads: typing.SupportsInt | typing.SupportsIndex = 1,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.uint8],
    numpy.typing.NDArray[numpy.int32],
]:
    """
    Mean over rows of (prediction - y)^2 -> (B,), NaN where invalid; cause (B,), node (B,).
    """

def operator_table() -> list[OperatorRow]: ...
def partials(
    opcode: typing.SupportsInt | typing.SupportsIndex,
    a: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    b: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    y: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64]]:
    """
    Derivatives of y = op(a, b) in a and b, each (N,); 0 in b for unary operators.
    """

def polynomial_values(
    exponents: typing.Annotated[numpy.typing.ArrayLike, numpy.int32],
    coefficients: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    X: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
) -> numpy.typing.NDArray[numpy.float64]:
    """
    Exponents (terms, D), coefficients (terms,), X (D, N) -> (N,).
    """

def replay32(
    rules: RuleSet, observation: Observation, programs: Programs
) -> tuple[
    numpy.typing.NDArray[numpy.int32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.bool],
]:
    """
    -> features (B, T, O), open slots (B, T), prior logits (B, T, L), allowed (B,)
    """

def replay64(
    rules: RuleSet, observation: Observation, programs: Programs
) -> tuple[
    numpy.typing.NDArray[numpy.int32],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.bool],
]:
    """
    -> features (B, T, O), open slots (B, T), prior logits (B, T, L), allowed (B,)
    """

def rollout(
    *,
    system: str,
    parameters: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    composition: Composition,
    library: Library,
    programs: Programs,
    starts: Starts,
    max_steps: typing.SupportsInt | typing.SupportsIndex,
    n_threads: typing.SupportsInt | typing.SupportsIndex,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.int32]]:
    """
    Every program in every episode -> returns, steps, (B, E) each.
    """

def rollout_mujoco(
    *,
    system: str,
    parameters: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    composition: Composition,
    library: Library,
    programs: Programs,
    starts: Starts,
    max_steps: typing.SupportsInt | typing.SupportsIndex,
    mujoco: Mujoco,
) -> tuple[numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.int32]]:
    """
    Every program in every episode -> returns, steps, (B, E) each.
    """

def trace(
    *,
    system: str,
    parameters: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    composition: Composition,
    library: Library,
    programs: Programs,
    starts: Starts,
    max_steps: typing.SupportsInt | typing.SupportsIndex,
    n_threads: typing.SupportsInt | typing.SupportsIndex,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    The first program's first episode -> observations (n + 1, O), actions (n, A), rewards (n,).
    """

def trace_mujoco(
    *,
    system: str,
    parameters: typing.Annotated[numpy.typing.ArrayLike, numpy.float64],
    composition: Composition,
    library: Library,
    programs: Programs,
    starts: Starts,
    max_steps: typing.SupportsInt | typing.SupportsIndex,
    mujoco: Mujoco,
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    The first program's first episode -> observations (n + 1, O), actions (n, A), rewards (n,).
    """

ANCHOR: int = -2
HOLE: int = -3
KEY_ROWS: int = 4
LEARNED: int = -1
LEFT: int = -1
MAX_ATTEMPTS: int = 100
NO_ACTION: int = -1
OP_CONSTANT: int = 68
OP_DEFINED: int = 70
OP_INPUT: int = 66
OP_LESS: int = 65
OP_LITERAL: int = 67
OP_POLY: int = 69
OP_PYTHON: int = -1
RIGHT: int = -2
STOP_ACTION: int = -2
VECTOR_MATH: bool = True
