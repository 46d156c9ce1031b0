"""Distribution: which expressions are generated, as a JSON file says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from dso.errors import UserError, unknown
from dso.library import OPERATORS
from dso.pretraining.canonical import OPERATIONS

DEFAULT = Path(__file__).with_name("distribution.json")
CONSTANT_KINDS = ("factor", "summand", "exponent")
SUPPORT_KINDS = ("signed", "symmetric", "positive", "unit")
Weights = dict[str, float]


@dataclass(frozen=True)
class Distribution:
    """Weights need not sum to one.

    Attributes
    ----------
    operators : dict
        Name of an operator -> weight among those of its arity.
    n_operators : dict
        Number of operators of a tree -> weight.
    n_inputs : dict
        Greatest number of different inputs of a tree -> weight.
    one : float
        Share of leaves that are the number 1.
    n_constants : dict
        Number of constants to be fitted -> weight.
    constant_kinds : dict
        ``factor``, ``summand`` or ``exponent`` -> weight.
    max_tokens : int
        Longest program, spelled with all tokens.
    max_nested_trigonometry : int
        How deep sines, cosines and tangents may be nested.
    excluded : tuple of str
        Formulas that must not be generated, besides those that are excluded anyway.
    constant_values : dict
        ``low`` and ``high`` of |c|, log-uniform; the share that is ``negative``; the share with
        ``heavy`` tails, a Cauchy distribution.
    supports : dict
        Kind of range of an input -> weight: ``signed`` both ends in ``widest``, ``symmetric``
        around 0, ``positive``, ``unit`` [0, 1] or [-1, 1].
    widest : float
        Greatest magnitude of an input.
    n_points : tuple of int
        Fewest and most rows, log-uniform.
    noise : dict
        The ``share`` of noisy targets, and the ``max`` of noise in standard deviations of y.
    """

    operators: Weights
    n_operators: Weights
    n_inputs: Weights
    one: float = 0.0
    n_constants: Weights = field(default_factory=lambda: {"0": 1.0})
    constant_kinds: Weights = field(default_factory=lambda: {"factor": 1.0})
    max_tokens: int = 24
    max_nested_trigonometry: int = 1
    excluded: tuple[str, ...] = ()
    constant_values: Weights = field(
        default_factory=lambda: {"low": 0.1, "high": 10.0, "negative": 0.3, "heavy": 0.1}
    )
    supports: Weights = field(
        default_factory=lambda: {"signed": 2.0, "symmetric": 3.0, "positive": 4.0, "unit": 1.0}
    )
    widest: float = 10.0
    n_points: tuple[int, int] = (16, 160)
    noise: Weights = field(default_factory=lambda: {"share": 0.3, "max": 0.03})

    def __post_init__(self) -> None:
        for name in self.operators:
            if name not in OPERATORS or name not in OPERATIONS:
                raise unknown("operator", name, OPERATIONS, "distribution.operators")
        _check_weights(self)
        if {OPERATORS[name].arity for name in self.operators} != {1, 2}:
            raise UserError("distribution.operators: at least one unary and one binary is needed.")
        if not 0 <= self.one < 1:
            raise UserError(f"distribution.one is {self.one}; a share below 1 is needed.")
        if self.max_tokens < 3:
            raise UserError(f"distribution.max_tokens is {self.max_tokens}; at least 3.")
        low, high = self.n_points
        if not 4 <= low <= high:
            raise UserError(f"distribution.n_points is {[low, high]}; 4 <= fewest <= most.")

    @property
    def hash(self) -> str:
        """First 16 digits of the SHA-256 of all settings."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def pool_hash(self) -> str:
        """The same of those settings that the pool depends on, not its numbers and rows."""
        drawn = ("constant_values", "supports", "widest", "n_points", "noise")
        kept = {name: value for name, value in asdict(self).items() if name not in drawn}
        return sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


_KEYS: dict[str, tuple[str, ...]] = {
    "constant_kinds": CONSTANT_KINDS,
    "supports": SUPPORT_KINDS,
    "constant_values": ("low", "high", "negative", "heavy"),
    "noise": ("share", "max"),
}
_COUNTS = {"n_operators": 1, "n_inputs": 1, "n_constants": 0}


def _check_weights(distribution: Distribution) -> None:
    for name in ("operators", *_COUNTS, *_KEYS):
        weights = getattr(distribution, name)
        if not isinstance(weights, Mapping) or not weights:
            raise UserError(f"distribution.{name} is {weights!r}; an object of weights is needed.")
        for key, weight in weights.items():
            is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
            if not is_number or not 0 <= weight < math.inf:
                raise UserError(f"distribution.{name}.{key} is {weight!r}; at least 0 is needed.")
        if not sum(weights.values()) > 0:
            raise UserError(f"distribution.{name}: all weights are 0.")
        for key in weights:
            if name in _KEYS and key not in _KEYS[name]:
                raise unknown("key", key, _KEYS[name], f"distribution.{name}")
            if name in _COUNTS and not (key.isdigit() and int(key) >= _COUNTS[name]):
                raise UserError(
                    f"distribution.{name}: {key!r} is not a number of at least {_COUNTS[name]}."
                )


def make_distribution(settings: Mapping[str, Any]) -> Distribution:
    """Build a distribution from the object of a JSON file.

    Raises
    ------
    UserError
        For unknown keys or operators, and for values that cannot be.
    """
    known = {f.name for f in fields(Distribution)}
    for key in settings:
        if key not in known:
            raise unknown("key", key, known, "distribution")
    for key in ("operators", "n_operators", "n_inputs"):
        if key not in settings:
            raise UserError(f"distribution: {key!r} is missing.")
    lists: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return Distribution(**lists)


def load_distribution(path: str | Path | None = None) -> Distribution:
    """Read a distribution; without a path the one that ships with dso."""
    path = DEFAULT if path is None else Path(path)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"distribution {path}: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"distribution {path} is not JSON: {error}.") from None
    if not isinstance(settings, dict):
        raise UserError(f"distribution {path}: an object is needed.")
    return make_distribution(settings)
