"""From an environment and a config to the tokens that may be written and how actions are made."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import (
    OPERATORS,
    DiscreteAction,
    Library,
    MultiDiscreteAction,
    PlaceholderConstant,
    StateChecker,
    Stop,
    Token,
    create_tokens,
)
from dso.program import ProgramBatch, from_str_tokens
from dso.task.control.composition import ANCHOR, LEARNED, Anchor, Composition
from dso.task.control.environment import Environment

logger = logging.getLogger("dso")

ActionSpec = Sequence[str | Sequence[str | float] | None] | None
AUTO = "auto"

THRESHOLDS = "task.decision_tree_threshold_set"
SPEC = "task.action_spec"
CONDITION = re.compile(r"x[1-9]\d* < -?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?")
START = "task.start"


def make_library(
    environment: Environment,
    function_set: Sequence[str | float] | None,
    protected: bool,
    thresholds: Sequence[Any] | None,
    ref_action: float | Sequence[float] | None,
    names: Sequence[str] | None = None,
) -> Library:
    """Build the tokens: of expressions for a Box, of decision trees for discrete actions.

    `names` of the observations are shown in place of x1, x2, ...
    """
    checkers_only = create_tokens(environment.n_observations, (), False, thresholds)
    checkers = checkers_only[environment.n_observations :]
    if environment.kind == "box":
        if not function_set:
            raise UserError("task.function_set: continuous actions need operators; none are given.")
        tokens = create_tokens(environment.n_observations, function_set, protected)
        return Library([*tokens, *checkers], names)
    if not checkers:
        raise UserError(
            f"{THRESHOLDS}: {environment.recipe.id!r} has discrete actions, which only decision "
            "trees can choose; give thresholds, as one list or one per observation."
        )
    if function_set:
        logger.info("task.function_set is not used: decision trees choose discrete actions.")
    return Library([*_action_tokens(environment, ref_action), *checkers], names)


def _action_tokens(
    environment: Environment, ref_action: float | Sequence[float] | None
) -> list[Token]:
    if environment.kind == "discrete":
        return [DiscreteAction(value) for value in range(environment.n_choices[0])]
    tokens: list[Token] = [Stop(_default_action(environment, ref_action))]
    for dimension, n_values in enumerate(environment.n_choices):
        tokens += [MultiDiscreteAction(dimension, value) for value in range(n_values)]
    return tokens


def _default_action(
    environment: Environment, ref_action: float | Sequence[float] | None
) -> list[int]:
    """Return what each component of a multi-discrete action is where a tree does not set it."""
    n = environment.n_actions
    given: Any = 0 if ref_action is None else ref_action
    values = list(given) if isinstance(given, Sequence) else [given] * n
    is_allowed = len(values) == n and all(
        float(value).is_integer() and 0 <= value < n_values
        for value, n_values in zip(values, environment.n_choices, strict=True)
    )
    if not is_allowed:
        raise UserError(
            f"task.ref_action: {ref_action!r}; allowed for {environment.recipe.id!r}: null, or "
            f"{n} whole numbers from 0, below {', '.join(map(str, environment.n_choices))}."
        )
    return [int(value) for value in values]


def make_composition(
    environment: Environment,
    library: Library,
    action_spec: ActionSpec,
    anchor: Anchor | None,
) -> Composition:
    """Read `action_spec`: which action is learned, and what gives the others.

    Raises
    ------
    UserError
        If there is not one entry per action, or more than one to be learned.
    """
    spec = [None] * environment.n_actions if action_spec is None else list(action_spec)
    if environment.kind != "box":
        _check_discrete(environment, spec)
        return Composition.of(environment, library)
    _check_box(environment, spec)
    fixed_library = _library_of_fixed(library, spec)
    sources, fixed = [], []
    for i, entry in enumerate(spec):
        if entry is None:
            sources.append(LEARNED)
        elif entry == "anchor":
            sources.append(ANCHOR)
        else:
            fixed.append(_read_traversal(entry, fixed_library, f"{SPEC}.{i}"))
            sources.append(len(fixed) - 1)
    return Composition.of(
        environment,
        library,
        sources=tuple(sources),
        fixed_library=fixed_library,
        fixed=ProgramBatch.concatenate(fixed or [ProgramBatch.from_rows([])]),
        anchor=anchor if ANCHOR in sources else None,
    )


def read_start(start: Sequence[str | Sequence[str | float]], library: Library) -> ProgramBatch:
    """Read expressions of the learned action, whose numbers need the token `const`."""
    return ProgramBatch.concatenate(
        [_read_traversal(entry, library, f"{START}.{i}") for i, entry in enumerate(start)]
    )


def learned_action(action_spec: ActionSpec) -> int:
    """Return which action is learned, 0 where all are learned at once."""
    spec = list(action_spec or [None])
    return spec.index(None) if None in spec else 0


def _check_discrete(environment: Environment, spec: list[Any]) -> None:
    if any(entry is not None for entry in spec) or len(spec) not in (1, environment.n_actions):
        raise UserError(
            f"{SPEC}: {spec!r}; one tree chooses the whole action of {environment.recipe.id!r}: "
            f"give [null], or null for each of its {environment.n_actions} components."
        )


def _check_box(environment: Environment, spec: list[Any]) -> None:
    n, name = environment.n_actions, environment.recipe.id
    if len(spec) != n:
        raise UserError(
            f"{SPEC}: {len(spec)} entries {spec!r}, but {name!r} has {n} action(s); give one entry "
            "per action: null = learn it, 'anchor', or the tokens of an expression."
        )
    n_learned = sum(entry is None for entry in spec)
    if n_learned > 1:
        raise UserError(
            f"{SPEC}: {spec!r} has {n_learned} entries null; one action is learned at a time, the "
            f"others are 'anchor' or the tokens of an expression; {AUTO!r} learns one after the "
            "other."
        )


def _library_of_fixed(library: Library, spec: list[Any]) -> Library:
    """Return the library of fixed expressions.

    It has the tokens of the learned one, all operators, `const`, and the conditions that the
    expressions have.
    """
    tokens = list(library.tokens)
    names = set(library.names)
    for name in _conditions(spec):
        if name not in names:
            names.add(name)
            column, threshold = name.removeprefix("x").split(" < ")
            tokens.append(StateChecker(int(column) - 1, float(threshold)))
    for row in OPERATORS.values():
        if row.shown not in names:
            names.add(row.shown)
            tokens += create_tokens(0, [row.name])
    if library.const_token is None:
        tokens.append(PlaceholderConstant())
    return Library(tokens, library.input_names)


def _conditions(spec: list[Any]) -> list[str]:
    """Return the names of conditions in the entries of a spec, each once."""
    items = [item for entry in spec for item in _items(entry)]
    return [item for item in dict.fromkeys(items) if CONDITION.fullmatch(item)]


def _items(entry: str | Sequence[str | float] | None) -> list[str]:
    parts = entry.split(",") if isinstance(entry, str) else entry or ()
    return [str(part).strip() for part in parts]


def _read_traversal(
    entry: str | Sequence[str | float], library: Library, where: str
) -> ProgramBatch:
    try:
        program = from_str_tokens(entry, library)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if np.isnan(program.constants).any():
        raise UserError(f"{where}: {entry!r} has a 'const' without a number; write the number.")
    return program.batch
