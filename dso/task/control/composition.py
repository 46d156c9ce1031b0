"""Policies of an environment: programs, completed to whole actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from dso.library import Library, MultiDiscreteAction, Stop
from dso.native import _core
from dso.program import Program, ProgramBatch, has_python_token
from dso.program.columns import Columns
from dso.task.control.environment import Environment

LEARNED, ANCHOR = int(_core.LEARNED), int(_core.ANCHOR)
NONE = ProgramBatch.from_rows([])


class Anchor(Protocol):
    """A trained policy: observations (N, O) to actions (N, A)."""

    def __call__(self, observations: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Composition:
    """How each component of an action comes about, the same for all policies of a run.

    Attributes
    ----------
    kind, low, high, is_single, n_observations
        Of the environment; see `Environment`.
    library : Library
        Of the learned programs.
    sources : tuple of int
        Per action `LEARNED`, `ANCHOR`, or the number of a fixed program.
    fixed_library : Library
        Of the fixed programs: `library`, and `const`.
    fixed : ProgramBatch
    anchor : callable or None
        `dso.task.control.anchor.NetworkAnchor`, or anything that is an `Anchor`.
    """

    kind: str
    low: np.ndarray
    high: np.ndarray
    is_single: bool
    n_observations: int
    library: Library
    sources: tuple[int, ...] = (LEARNED,)
    fixed_library: Library | None = None
    fixed: ProgramBatch = NONE
    anchor: Anchor | None = None

    @staticmethod
    def of(environment: Environment, library: Library, **others: Any) -> Composition:
        """Compose the actions of an environment; without `others` the learned ones are all."""
        return Composition(
            environment.kind,
            environment.low,
            environment.high,
            environment.is_single,
            environment.n_observations,
            library,
            **{"sources": (LEARNED,) * environment.n_actions, **others},
        )

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "native"}

    @property
    def n_actions(self) -> int:
        """Components of an action."""
        return len(self.sources)

    @cached_property
    def is_native(self) -> bool:
        """Whether the native core can run it, for programs without tokens of a user's own."""
        if self.anchor is not None and not hasattr(self.anchor, "native"):
            return False
        fixed = self.fixed_library
        return fixed is None or not has_python_token(fixed, self.fixed).any()

    @cached_property
    def native(self) -> _core.Composition:
        """The composition as the native core has it."""
        made = _core.Composition(
            kind=self.kind,
            sources=np.array(self.sources, dtype=np.int32),
            low=self.low,
            high=self.high,
            is_single=self.is_single,
            n_observations=self.n_observations,
            anchor=None if self.anchor is None else self.anchor.native,  # type: ignore[attr-defined]
            fixed_library=None if self.fixed_library is None else self.fixed_library.native,
            fixed=None if self.fixed_library is None else self.fixed.native,
        )
        if self.kind == "multi_discrete":
            made.set_action_tokens(*_action_tokens(self.library))
        return made


def _action_tokens(library: Library) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return per token the action that it sets (L,) and to what (L,), and the defaults (A,)."""
    dimensions = np.full(library.L, int(_core.NO_ACTION), dtype=np.int32)
    values, defaults = np.zeros(library.L), np.empty(0)
    for i, token in enumerate(library.tokens):
        if isinstance(token, MultiDiscreteAction):
            dimensions[i], values[i] = token.dimension, token.value
        elif isinstance(token, Stop):
            dimensions[i], defaults = int(_core.STOP_ACTION), token.default
    return dimensions, values, defaults


@dataclass(frozen=True)
class Policies(Columns):
    """P policies of an environment.

    Attributes
    ----------
    programs : ProgramBatch
        Of the composition's library.
    composition : Composition
    """

    programs: ProgramBatch
    composition: Composition

    def of_library(self, library: Library) -> Policies:
        """Return the same rows as programs of another library."""
        if library is self.library:
            return self
        return replace(self, composition=replace(self.composition, library=library))

    @property
    def library(self) -> Library:
        """The library of the programs."""
        return self.composition.library

    @cached_property
    def is_native(self) -> bool:
        """Whether the native core can run all of them."""
        if self.composition.kind == "multi_discrete":
            return True
        uses_python = has_python_token(self.library, self.programs)
        return self.composition.is_native and not uses_python.any()

    def first_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first row of each different policy, and for each row (P,) which it is of them.

        First rows come in their order.
        """
        keys = np.column_stack(
            [self.programs.keys(), np.nan_to_num(self.programs.constants).view(np.uint64)]
        )
        _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return first[order], np.argsort(order)[which.reshape(-1)]

    def actor(self, i: int) -> Callable[[np.ndarray], np.ndarray]:
        """Return policy `i` as a function of one observation (O,) to an action (A,) float64."""
        one = self[i : i + 1]
        if one.is_native:
            composition = one.composition
            return _core.Actor(
                composition.native,
                self.library.native,
                one.programs.native,
                composition.n_observations,
            ).act
        return PythonActor(one)


class PythonActor:
    """One policy whose anchor or tokens only Python can run.

    Parameters
    ----------
    policy : Policies
        One row.
    """

    def __init__(self, policy: Policies) -> None:
        self.composition = policy.composition
        programs = policy.programs
        self.learned = Program(policy.library, programs.row(0), programs.constants[0])
        library, fixed = self.composition.fixed_library, self.composition.fixed
        self.fixed = [
            Program(library, fixed.row(i), fixed.constants[i])
            for i in range(len(fixed))
            if library is not None
        ]

    def __call__(self, observation: np.ndarray) -> np.ndarray:
        """Return the action (A,) for an observation (O,)."""
        rows = np.asarray(observation, dtype=np.float64)[None]
        sources = self.composition.sources
        anchor = self.composition.anchor
        from_anchor = np.zeros(len(sources))
        if anchor is not None:
            from_anchor = np.asarray(anchor(rows), dtype=np.float64).reshape(-1)
        learned = float(self.learned.execute(rows)[0])
        values = [
            learned
            if source == LEARNED
            else from_anchor[i]
            if source == ANCHOR
            else float(self.fixed[source].execute(rows)[0])
            for i, source in enumerate(sources)
        ]
        action = np.where(np.isnan(values), 0.0, values)
        if self.composition.kind == "box":
            action = np.clip(action, self.composition.low, self.composition.high)
            if self.composition.is_single:
                action = action.astype(np.float32).astype(np.float64)
        return action
