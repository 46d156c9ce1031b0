"""SymbolicPolicy: a finished policy that acts, and can be saved and shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.export import PolicyForm, c_policy, python_policy
from dso.library import (
    DiscreteAction,
    Library,
    MultiDiscreteAction,
    StateChecker,
    Stop,
    Token,
    create_tokens,
)
from dso.program import Program, ProgramBatch
from dso.task.control.composition import ANCHOR, LEARNED, Anchor, Composition, Policies
from dso.task.control.environment import Environment
from dso.task.control.network import NetworkAnchor

FORMAT = "dso symbolic policy 1"


@dataclass(frozen=True)
class ActionSpace:
    """The form in which an environment takes actions.

    Attributes
    ----------
    kind : {"box", "discrete", "multi_discrete"}
    low, high : list of float
        Bounds of a Box.
    dtype : str
    first_choice : int
        What a Discrete space counts from.
    """

    kind: str
    low: list[float]
    high: list[float]
    dtype: str
    first_choice: int

    @staticmethod
    def of(environment: Environment) -> ActionSpace:
        """Describe the actions of an environment."""
        return ActionSpace(
            environment.kind,
            environment.low.tolist(),
            environment.high.tolist(),
            np.dtype(environment.dtype).name,
            environment.first_choice,
        )


class SymbolicPolicy:
    """A policy made of expressions, with the interface of Stable-Baselines3's policies.

    `ControlTask.policy` makes one of a program.

    Parameters
    ----------
    policies : Policies
        One row.
    space : ActionSpace
    env_id : str
        The environment that it was found for.
    """

    def __init__(self, policies: Policies, space: ActionSpace, env_id: str) -> None:
        self.policies = policies
        self.space = space
        self.env_id = env_id

    def __repr__(self) -> str:
        actions = ", ".join(f"a{i} = {text}" for i, text in enumerate(self.expressions, start=1))
        return f"<SymbolicPolicy for {self.env_id}: {actions}>"

    def _repr_latex_(self) -> str:
        """Return the policy for notebooks."""
        return self.latex()

    @property
    def composition(self) -> Composition:
        """How each action comes about."""
        return self.policies.composition

    @property
    def names(self) -> list[str]:
        """What the components of an observation are called in formulas and source code."""
        n = self.composition.n_observations
        return self.policies.library.input_names or [f"x{i + 1}" for i in range(n)]

    @cached_property
    def programs(self) -> list[Program | None]:
        """Per action its expression, None where the anchor acts; one for a discrete action."""
        composition, learned = self.composition, self.policies.programs
        program = Program(self.policies.library, learned.row(0), learned.constants[0])
        if composition.kind == "multi_discrete":
            return [program]
        fixed_library, fixed = composition.fixed_library, composition.fixed
        programs: list[Program | None] = []
        for source in composition.sources:
            if source == LEARNED:
                programs.append(program)
            elif source == ANCHOR:
                programs.append(None)
            else:
                assert fixed_library is not None
                programs.append(Program(fixed_library, fixed.row(source), fixed.constants[source]))
        return programs

    @cached_property
    def _act(self) -> Any:
        return self.policies.actor(0)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        """Return the action for an observation, or the actions for several.

        Parameters
        ----------
        observation : (O,) or (N, O)
        state, episode_start, deterministic
            Taken for the sake of the interface; the policy has no memory and does not draw.

        Returns
        -------
        action : (A,) or (N, A); for a Discrete space a number or (N,)
        state
            As it was given.
        """
        rows = np.atleast_2d(np.asarray(observation, dtype=np.float64))
        if rows.ndim != 2 or rows.shape[1] != self.composition.n_observations:
            raise UserError(
                f"predict: observations of shape {np.shape(observation)}; "
                f"({self.composition.n_observations},) or (N, {self.composition.n_observations}) "
                "is needed."
            )
        actions = np.array([self._act(row) for row in rows]).astype(self.space.dtype)
        if self.space.kind == "discrete":
            actions = actions[:, 0] + self.space.first_choice
        return (actions[0] if np.ndim(observation) == 1 else actions), state

    def of_anchor(self, anchor: Anchor) -> SymbolicPolicy:
        """Return an anchor alone, as a policy for the same environment."""
        sources = (ANCHOR,) * self.composition.n_actions
        composition: Composition = replace(self.composition, sources=sources, anchor=anchor)
        policies = replace(self.policies, composition=composition)
        return SymbolicPolicy(policies, self.space, self.env_id)

    @property
    def expressions(self) -> list[str]:
        """Per action its expression as text, ``"anchor"`` where the anchor acts."""
        return ["anchor" if p is None else p.expression for p in self.programs]

    def sympy(self) -> list[Any]:
        """Return per action its expression as a sympy object, None where the anchor acts."""
        return [None if p is None else p.sympy_expr for p in self.programs]

    def latex(self) -> str:
        """Return the policy as LaTeX, a line per action."""
        texts = ["\\text{anchor}" if p is None else p.latex() for p in self.programs]
        lines = [f"a_{{{i}}} &= {text}" for i, text in enumerate(texts, start=1)]
        return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}"

    def python_code(self) -> str:
        """Return the text of a Python module with a function ``act(observation)``."""
        return python_policy(*self._source_parts())

    def c_code(self) -> str:
        """Return the text of a C99 file with a function ``act(observation, action)``."""
        return c_policy(*self._source_parts())

    def _source_parts(self) -> tuple[list[list[Token]], PolicyForm]:
        programs = [list(program.traversal) for program in self.programs if program is not None]
        if len(programs) < len(self.programs):
            raise UserError(
                "SymbolicPolicy: an action is an anchor's, which has no source code; learn it too, "
                "or save() the policy."
            )
        space, composition = self.space, self.composition
        form = PolicyForm(
            env_id=self.env_id,
            names=self.names,
            n_actions=len(composition.sources),
            **asdict(space),
        )
        return programs, form

    def save(self, path: str | Path) -> None:
        """Write the policy as JSON; nothing in it is code."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> SymbolicPolicy:
        """Read what `save` wrote."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"SymbolicPolicy: cannot read {str(path)!r}: {error}.") from None
        return SymbolicPolicy.from_dict(data)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as lists, numbers and names."""
        composition, anchor = self.composition, self.composition.anchor
        if anchor is not None and not isinstance(anchor, NetworkAnchor):
            raise UserError("SymbolicPolicy: an anchor that is a function cannot be saved.")
        return {
            "format": FORMAT,
            "env": self.env_id,
            "n_observations": composition.n_observations,
            "observation_names": self.names,
            "space": asdict(self.space),
            "expressions": self.expressions,
            "actions": ["anchor" if p is None else _plain_tokens(p) for p in self.programs],
            "sources": len(composition.sources),
            "anchor": None
            if anchor is None
            else {name: a.tolist() for name, a in replace(anchor, critic=None).arrays().items()},
        }

    @staticmethod
    def from_dict(data: Any) -> SymbolicPolicy:
        """Rebuild from `to_dict`."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise UserError(f"SymbolicPolicy: not a policy of the format {FORMAT!r}.")
        try:
            return _from_dict(data)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"SymbolicPolicy: the policy is damaged: {error!r}.") from None


def _from_dict(data: dict[str, Any]) -> SymbolicPolicy:
    space = ActionSpace(**data["space"])
    tokens: dict[str, Token] = {}
    rows: list[list[str]] = []
    for action in data["actions"]:
        made = [] if action == "anchor" else [_token(item) for item in action]
        tokens |= {token.name: token for token in made}
        if made:
            rows.append([token.name for token in made])
    library = Library(list(tokens.values()), data.get("observation_names"))
    programs = [Program(library, library.actionize(row)).batch for row in rows]
    numbers = iter(range(-1, len(programs) - 1))  # the first is the learned one
    sources = tuple(ANCHOR if a == "anchor" else next(numbers) for a in data["actions"])
    anchor = data["anchor"]
    composition = Composition(
        space.kind,
        np.array(space.low),
        np.array(space.high),
        space.dtype == "float32",
        int(data["n_observations"]),
        library,
        sources=sources if space.kind == "box" else (LEARNED,) * int(data["sources"]),
        fixed_library=library,
        fixed=ProgramBatch.concatenate(programs[1:] or [ProgramBatch.from_rows([])]),
        anchor=None if anchor is None else NetworkAnchor.from_arrays(anchor),
    )
    return SymbolicPolicy(Policies(programs[0], composition), space, str(data["env"]))


def _plain_tokens(program: Program) -> list[Any]:
    """Return tokens in prefix order: names, numbers, and a pair of kind and numbers for others."""
    plain: list[Any] = []
    for token in program.traversal:
        value = getattr(token, "value", None)
        if isinstance(token, StateChecker):
            plain.append(["less", token.state_index, token.threshold])
        elif isinstance(token, MultiDiscreteAction):
            plain.append(["set", token.dimension, token.value])
        elif isinstance(token, DiscreteAction):
            plain.append(["choose", token.value])
        elif isinstance(token, Stop):
            plain.append(["stop", token.default.tolist()])
        elif token.input_var is not None:
            plain.append(["input", token.input_var])
        elif value is not None:
            plain.append(float(value))
        elif token.operator is not None:
            plain.append(token.operator.name)
        else:
            raise UserError(f"SymbolicPolicy: your own token {token.name!r} cannot be saved.")
    return plain


def _token(item: Any) -> Token:
    if not isinstance(item, list):
        return create_tokens(0, [item])[0]
    kind, *values = item
    makers: dict[str, Any] = {
        "less": StateChecker,
        "set": MultiDiscreteAction,
        "choose": DiscreteAction,
        "stop": Stop,
        "input": lambda i: Token(None, f"x{i + 1}", 0, 1, input_var=i),
    }
    return makers[kind](*values)
