"""The library: the ordered set of tokens from which expressions are built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dso.errors import UserError, unknown
from dso.library.definition import Definition
from dso.library.functions import NAMES, OPERATORS
from dso.library.identifiers import identifiers
from dso.library.tokens import (
    DiscreteAction,
    HardCodedConstant,
    MultiDiscreteAction,
    PlaceholderConstant,
    Polynomial,
    StateChecker,
    Stop,
    Token,
)
from dso.native import _core

TRIGONOMETRIC = frozenset(row.shown for row in OPERATORS.values() if row.is_trigonometric) | {
    *("csc", "sec", "cot", "arccsc", "arcsec", "arccot")  # names that users' own tokens may have
}
INVERSE_PAIRS = tuple((row.shown, row.cancels) for row in OPERATORS.values() if row.cancels)
MAX_TOKENS = int(np.iinfo(np.int16).max)  # programs are int16 arrays
OPCODES = {row.name: row.opcode for row in _core.operator_table()}

ELSEWHERE = re.compile(r"const|poly|stop|x\d+( < .*)?|a(\d+)?_\d+|[-+.\d].*")
"""Names of tokens that are not operators: fitted ones, inputs, conditions, actions, numbers."""


class TokenNotFoundError(UserError):
    """A name or an index that the library does not have.

    Attributes
    ----------
    name : str
        What was looked up; empty for an index.
    is_known : bool
        Whether it names a token that other libraries have: an operator, `const`, an input.
    """

    name: str = ""
    is_known: bool = False


class Library:
    """L tokens with the groups that priors, policy and search ask for.

    Parameters
    ----------
    tokens : sequence of Token
    input_names : sequence of str, optional
        Identifiers that expressions show in place of x1, x2, ...; tokens keep their names. Default:
        made of the names of the inputs.

    Attributes
    ----------
    tokens : list of Token
    names : list of str
    input_names : list of str or None
    L : int
    arities : (L,) int32
    complexities : (L,) int32, or float64 where some are not whole
    terminal_tokens, unary_tokens, binary_tokens : (n,) int32
        Indices by arity; `tokens_of_arity` maps every arity up to the largest.
    input_tokens, float_tokens, trig_tokens, state_checker_tokens : (n,) int32
        `float_tokens` are the terminals that are not inputs.
    inverse_tokens : dict of int to int
        For each token its inverse, where both are present.
    const_token, poly_token : int or None
    parent_adjust : (L,) int32
        Running number among the tokens with children, -1 for terminals.
    n_parents : int
        How many tokens have children.
    is_python : (L,) bool
        Tokens that only Python can execute.
    native : dso.native._core.Library
        What the tokens mean to the virtual machine.
    native_with_column : dso.native._core.Library
        The same, but `poly` is read from a column behind those of the inputs.
    """

    def __init__(self, tokens: Sequence[Token], input_names: Sequence[str] | None = None) -> None:
        self.tokens = list(tokens)
        self.input_names = _own_names(tokens) if input_names is None else list(input_names)
        self.names = [token.name for token in self.tokens]
        self.L = len(self.tokens)
        self._index = {name: i for i, name in enumerate(self.names)}
        self._check()
        self.arities = np.array([token.arity for token in self.tokens], dtype=np.int32)
        self.complexities = _whole_if_possible([token.complexity for token in self.tokens])
        self._group_tokens()
        self._number_parents()
        self._build_native()

    def _check(self) -> None:
        if not self.tokens:
            raise UserError("a library needs at least one token.")
        if self.L > MAX_TOKENS:
            raise UserError(f"the library has {self.L} tokens; at most {MAX_TOKENS} are possible.")
        for i, name in enumerate(self.names):
            if self._index[name] != i:
                raise UserError(f"the library has the token {name!r} twice.")

    def _where(self, condition: Iterable[bool]) -> np.ndarray:
        return np.flatnonzero(np.fromiter(condition, dtype=bool, count=self.L)).astype(np.int32)

    def _only(self, kind: type[Token]) -> int | None:
        found = self._where(isinstance(token, kind) for token in self.tokens)
        return int(found[0]) if len(found) else None

    def _group_tokens(self) -> None:
        largest = max(2, int(self.arities.max()))
        self.tokens_of_arity = {k: self._where(self.arities == k) for k in range(largest + 1)}
        self.terminal_tokens = self.tokens_of_arity[0]
        self.unary_tokens = self.tokens_of_arity[1]
        self.binary_tokens = self.tokens_of_arity[2]
        self.input_tokens = self._where(token.input_var is not None for token in self.tokens)
        self.float_tokens = np.setdiff1d(self.terminal_tokens, self.input_tokens)
        self.trig_tokens = self._where(name in TRIGONOMETRIC for name in self.names)
        self.state_checker_tokens = self._where(isinstance(t, StateChecker) for t in self.tokens)
        self.multi_discrete_tokens = self._where(
            isinstance(t, MultiDiscreteAction) for t in self.tokens
        )
        self.stop_tokens = self._where(isinstance(t, Stop) for t in self.tokens)
        self.const_token = self._only(PlaceholderConstant)
        self.poly_token = self._only(Polynomial)
        self.inverse_tokens = {
            self._index[one]: self._index[other]
            for one, other in INVERSE_PAIRS
            if one in self._index and other in self._index
        }

    def _number_parents(self) -> None:
        has_children = self.arities > 0
        self.n_parents = int(has_children.sum())
        self.parent_adjust = np.where(has_children, np.cumsum(has_children) - 1, -1).astype(
            np.int32
        )
        self.n_action_inputs = self.n_sibling_inputs = self.L + 1
        self.n_parent_inputs = self.n_parents + 1
        self.EMPTY_ACTION = self.EMPTY_SIBLING = self.L
        self.EMPTY_PARENT = self.n_parents

    def _build_native(self) -> None:
        definitions: list[Any] = []
        rows = [_native_row(token, definitions) for token in self.tokens]
        opcodes, operands, values = (np.array(column) for column in zip(*rows, strict=True))
        self.is_python = opcodes == _core.OP_PYTHON
        self.native = _native_library(self.arities, opcodes, operands, values, definitions)
        # In the second one `poly` is the column behind the inputs.
        is_poly = opcodes == _core.OP_POLY
        self.native_with_column = _native_library(
            self.arities,
            np.where(is_poly, _core.OP_INPUT, opcodes),
            np.where(is_poly, self.native.n_inputs, operands),
            values,
            definitions,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "input_names": self.input_names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __len__(self) -> int:
        return self.L

    def __repr__(self) -> str:
        return f"Library({', '.join(self.names)})"

    def index(self, name: str) -> int:
        """Return the index of a token by its name; aliases and other case are understood.

        A number has the name `repr` gives it, and is found however it is spelt.
        """
        lowered = name.lower()
        row = NAMES.get(lowered)
        shown = OPERATORS[row].shown if row else lowered
        for candidate in (name, lowered, shown):
            if candidate in self._index:
                return self._index[candidate]
        literal = self._find_spelt(lowered)
        if literal is not None:
            return literal
        error = TokenNotFoundError(str(unknown("token", name, self.names)))
        error.name = name
        error.is_known = row is not None or bool(ELSEWHERE.fullmatch(lowered))
        raise error

    def _find_spelt(self, text: str) -> int | None:
        try:
            return self.find_literal(float(text))
        except ValueError:
            return None

    def find_literal(self, value: float) -> int | None:
        """Return the index of the hard-coded constant with this value, or None."""
        for i, token in enumerate(self.tokens):
            if isinstance(token, HardCodedConstant) and token.value == value:
                return i
        return None

    def __getitem__(self, key: int | str) -> Token:
        """Return a token by index or name."""
        if isinstance(key, str):
            return self.tokens[self.index(key)]
        try:
            return self.tokens[key]
        except IndexError:
            raise TokenNotFoundError(f"the library has {self.L} tokens, no index {key}.") from None

    def actionize(self, tokens: str | Iterable[Any]) -> np.ndarray:
        """Turn names, indices or tokens (a comma-joined text too) into indices, (T,) int32."""
        if isinstance(tokens, str):
            tokens = [name.strip() for name in tokens.split(",")]
        return np.array([self._index_of(token) for token in tokens], dtype=np.int32)

    def tokenize(self, tokens: str | Iterable[Any]) -> list[Token]:
        """Turn names or indices (a comma-joined text too) into tokens."""
        return [self.tokens[i] for i in self.actionize(tokens)]

    def _index_of(self, item: Any) -> int:
        if isinstance(item, Token):
            return self.index(item.name)
        if isinstance(item, str):
            return self.index(item)
        self[int(item)]
        return int(item)


def _whole_if_possible(values: Sequence[float]) -> np.ndarray:
    numbers = np.array(values, dtype=np.float64)
    is_whole = bool((numbers == np.round(numbers)).all())
    return numbers.astype(np.int32) if is_whole else numbers


def _own_names(tokens: Sequence[Token]) -> list[str] | None:
    """Return identifiers of the inputs by column; None where they are x1, x2, ..."""
    names = {token.input_var: token.name for token in tokens if token.input_var is not None}
    if all(name == f"x{column + 1}" for column, name in names.items()):
        return None
    return identifiers([names.get(column, f"x{column + 1}") for column in range(max(names) + 1)])


def native_definition(definition: Definition) -> tuple[list[int], list[int], list[float]]:
    """Return opcodes, operands and values of a definition in postorder, as the core takes them."""
    rows: list[tuple[int, int, float]] = []
    for node in definition.nodes:
        if node[0] == "arg":
            rows.append((_core.OP_INPUT, node[1], 0.0))
        elif node[0] == "num":
            rows.append((_core.OP_LITERAL, 0, node[1]))
        else:
            rows.append((OPCODES[node[0]], 0, 0.0))
    opcodes, operands, values = (list(column) for column in zip(*rows, strict=True))
    return opcodes, operands, values


def _native_library(
    arities: np.ndarray,
    opcodes: np.ndarray,
    operands: np.ndarray,
    values: np.ndarray,
    definitions: list[Any],
) -> _core.Library:
    return _core.Library(
        arities,
        opcodes.astype(np.int32),
        operands.astype(np.int32),
        values.astype(float),
        definitions,
    )


def _native_row(token: Token, definitions: list[Any]) -> tuple[int, int, float]:
    """Return opcode, column and number of a token; what defines it is added to `definitions`."""
    if token.input_var is not None:
        return _core.OP_INPUT, token.input_var, 0.0
    if isinstance(token, StateChecker):
        return _core.OP_LESS, token.state_index, token.threshold
    if isinstance(token, (HardCodedConstant, DiscreteAction)):
        return _core.OP_LITERAL, 0, token.value
    if isinstance(token, PlaceholderConstant):
        return _core.OP_CONSTANT, 0, 0.0
    if isinstance(token, Polynomial):
        return _core.OP_POLY, 0, 0.0
    row = token.operator
    if row is not None and row.definition is not None:
        definitions.append(native_definition(row.definition))
        return _core.OP_DEFINED, len(definitions) - 1, 0.0
    if row is not None and row.arity == token.arity:
        return OPCODES[row.name], 0, 0.0
    return _core.OP_PYTHON, 0, 0.0
