"""Distribution: which expressions are generated, as a JSON file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from dso.errors import UserError, unknown
from dso.library import OPERATORS
from dso.pretraining.checks import check_number, check_whole
from dso.pretraining.vocabulary import OPERATOR_NAMES

DEFAULT = Path(__file__).with_name("distribution.json")
CONSTANT_KINDS = ("factor", "summand", "exponent")
SUPPORT_KINDS = ("signed", "symmetric", "positive", "unit")
MAX_TOKENS = 30
"""Longest program that an example has."""
MAX_INPUTS = 3
"""Of the vocabulary that networks are trained with."""
MAX_WEIGHT = 10**9
CONSTANT_VALUES = {"low": 0.1, "high": 10.0, "negative": 0.3, "heavy": 0.1}
NOISE = {"share": 0.3, "max": 0.03}
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
        Longest program, spelled with all tokens; at most 30.
    max_nested_trigonometry : int
        How deep sines, cosines and tangents may be nested.
    excluded : tuple of str
        Formulas that must not be generated, besides those that are excluded anyway.
    constant_values : dict
        ``low`` and ``high`` of |c|, log-uniform; the share that is ``negative``; the share with
        ``heavy`` tails, a Cauchy distribution. What is left out has its default.
    supports : dict
        Kind of range of an input -> weight: ``signed`` both ends in ``widest``, ``symmetric``
        around 0, ``positive``, ``unit`` [0, 1] or [-1, 1].
    widest : float
        Greatest magnitude of an input, at least 3.
    n_points : tuple of int
        Fewest and most rows, log-uniform.
    noise : dict
        The ``share`` of noisy targets, and the ``max`` of noise in standard deviations of y. What
        is left out has its default.
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
    constant_values: dict[str, float] = field(default_factory=lambda: dict(CONSTANT_VALUES))
    supports: Weights = field(
        default_factory=lambda: {"signed": 2.0, "symmetric": 3.0, "positive": 4.0, "unit": 1.0}
    )
    widest: float = 10.0
    n_points: tuple[int, int] = (16, 160)
    noise: dict[str, float] = field(default_factory=lambda: dict(NOISE))

    def __post_init__(self) -> None:
        for name in _NAMES:
            self._set(name, _checked_weights(name, getattr(self, name)))
        for name in _PARTS:
            self._set(name, _checked_part(name, getattr(self, name)))
        for arity in (1, 2):
            if not sum(w for name, w in self.operators.items() if OPERATORS[name].arity == arity):
                raise UserError(
                    "distribution.operators: at least one unary and one binary is needed, each "
                    "with a weight above 0."
                )
        check_number("distribution.one", self.one, 0, 0.99)
        check_whole("distribution.max_tokens", self.max_tokens, 3, MAX_TOKENS)
        check_whole(
            "distribution.max_nested_trigonometry", self.max_nested_trigonometry, 0, MAX_TOKENS
        )
        # A range of positive inputs begins anywhere below 3.
        check_number("distribution.widest", self.widest, 3, 1e6)
        low, high = (self.constant_values[name] for name in ("low", "high"))
        if low > high:
            raise UserError(f"distribution.constant_values: low is {low}, above high, {high}.")
        # Equal settings have one hash, however their numbers are written.
        self._set("one", float(self.one))
        self._set("widest", float(self.widest))
        self._set("excluded", _checked_excluded(self.excluded))
        self._set("n_points", _checked_rows(self.n_points))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def hash(self) -> str:
        """First 16 digits of the SHA-256 of all settings."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def pool_hash(self) -> str:
        """The same of those settings that the pool depends on, not its numbers and rows."""
        kept = {name: value for name, value in asdict(self).items() if name not in DRAWN}
        return sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


DRAWN = ("constant_values", "supports", "widest", "n_points", "noise")
"""What examples depend on, and the pool does not."""


def _counts(least: int, most: int) -> tuple[str, ...]:
    return tuple(str(n) for n in range(least, most + 1))


_NAMES: dict[str, tuple[str, ...]] = {
    "operators": OPERATOR_NAMES,
    "n_operators": _counts(1, MAX_TOKENS),
    "n_inputs": _counts(1, MAX_INPUTS),
    "n_constants": _counts(0, MAX_TOKENS),
    "constant_kinds": CONSTANT_KINDS,
    "supports": SUPPORT_KINDS,
}
"""Of settings that are weights, what has one."""
_PARTS: dict[str, tuple[dict[str, float], dict[str, tuple[float, float]]]] = {
    "constant_values": (
        CONSTANT_VALUES,
        {"low": (1e-6, 1e6), "high": (1e-6, 1e6), "negative": (0, 1), "heavy": (0, 1)},
    ),
    "noise": (NOISE, {"share": (0, 1), "max": (0, 100)}),
}
"""Of settings that have parts, their defaults and ranges."""


def _checked_weights(name: str, given: Any) -> Weights:
    where = f"distribution.{name}"
    if not isinstance(given, Mapping) or not given:
        raise UserError(f"{where} is {given!r}; an object of weights is needed.")
    for key, weight in given.items():
        if key not in _NAMES[name]:
            raise unknown("operator" if name == "operators" else "key", key, _NAMES[name], where)
        check_number(f"{where}.{key}", weight, 0, MAX_WEIGHT)
    if not sum(given.values()) > 0:
        raise UserError(f"{where}: all weights are 0.")
    if name in DRAWN:
        return {key: float(weight) for key, weight in given.items()}
    return {key: int(w) if w == int(w) else w for key, w in given.items()}


def _checked_part(name: str, given: Any) -> dict[str, float]:
    defaults, ranges = _PARTS[name]
    where = f"distribution.{name}"
    if not isinstance(given, Mapping):
        raise UserError(f"{where} is {given!r}; an object of numbers is needed.")
    for key, value in given.items():
        if key not in ranges:
            raise unknown("key", key, ranges, where)
        check_number(f"{where}.{key}", value, *ranges[key])
    return {key: float(value) for key, value in {**defaults, **given}.items()}


def _checked_excluded(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(text, str) for text in given):
        raise UserError(f"distribution.excluded is {given!r}; a list of formulas is needed.")
    return tuple(given)


def _checked_rows(given: Any) -> tuple[int, int]:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise UserError(f"distribution.n_points is {given!r}; [fewest, most] is needed.")
    for n in given:
        check_whole("distribution.n_points", n, 4, 100_000)
    if given[0] > given[1]:
        raise UserError(f"distribution.n_points is {list(given)}; fewest <= most.")
    return given[0], given[1]


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
    return Distribution(**settings)


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
