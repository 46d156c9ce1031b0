"""From canonical trees to programs and back: one spelling for each set of allowed tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction

from dso.pretraining.canonical import (
    CALL,
    FREE,
    INPUT,
    NUMBER,
    OPERATIONS,
    PRODUCT,
    Node,
    call,
    multiply,
    number,
    split_sum,
)
from dso.pretraining.vocabulary import Vocabulary

Spelled = list[tuple[int, float]]
"""Tokens with, where one is `const`, its number: FREE or what the tree has there."""

MAX_ONES = 4
"""Largest integer that is written as a sum of ones, if nothing else is possible."""


class UnspellableError(ValueError):
    """A tree that the allowed tokens cannot express."""


def tree_of(
    row: Sequence[int], vocabulary: Vocabulary, constants: Sequence[float] | None = None
) -> Node:
    """Return the canonical tree of a prefix row.

    Parameters
    ----------
    row : sequence of int
    vocabulary : Vocabulary
    constants : sequence of float, optional
        Of each `const` in turn; without them all are free.
    """
    stack: list[Node] = []
    left = None if constants is None else list(constants[: row.count(vocabulary.const)])
    names, arities = vocabulary.names, vocabulary.arities
    for token in reversed(row):
        name = names[token]
        if arities[token]:
            arguments = [stack.pop() for _ in range(arities[token])]
            stack.append(OPERATIONS[name](*arguments))
        elif token < vocabulary.n_inputs:
            stack.append((INPUT, token))
        elif token != vocabulary.const:
            stack.append(number(float(name)))
        else:
            stack.append(number(FREE if left is None else float(left.pop())))
    (tree,) = stack
    return tree


class Speller:
    """Writes trees with some of the tokens of a vocabulary.

    Parameters
    ----------
    vocabulary : Vocabulary
    allowed : collection of str
        Names of the tokens that may be used; inputs are always.
    """

    def __init__(self, vocabulary: Vocabulary, allowed: Collection[str]) -> None:
        self.vocabulary = vocabulary
        self.allowed = frozenset(allowed)
        self._index = vocabulary.index
        self._literals = {v: i for v, i in vocabulary.literals.items() if str(v) in self.allowed}

    @staticmethod
    def whole(vocabulary: Vocabulary) -> Speller:
        """Return one that uses all tokens but `poly`, as the skeletons of a pool are spelled."""
        return Speller(vocabulary, [name for name in vocabulary.names if name != "poly"])

    def spell(self, tree: Node) -> Spelled:
        """Return the prefix row of a tree.

        Raises
        ------
        UnspellableError
            If the allowed tokens do not suffice.
        """
        kind = tree[0]
        if kind == INPUT:
            return [(tree[1], 0.0)]
        if kind == NUMBER:
            return self._number(tree[1])
        if kind == CALL:
            return self._call(tree)
        if kind == PRODUCT:
            return self._product(tree[1])
        return self._sum(tree)

    def _operator(self, *names: str) -> int:
        """Return the first of some tokens that is allowed."""
        for name in names:
            if name in self.allowed:
                return self._index[name]
        raise UnspellableError(f"it takes {names[0]}")

    def _apply(self, name: str, *arguments: Spelled) -> Spelled:
        row = [(self._operator(name), 0.0)]
        for argument in arguments:
            row += argument
        return row

    def _chain(self, name: str, parts: Sequence[Spelled]) -> Spelled:
        """Join parts by a binary operator, the first part outermost."""
        row = parts[-1]
        for part in reversed(parts[:-1]):
            row = self._apply(name, part, row)
        return row

    # ---- numbers ----

    def _number(self, value: float) -> Spelled:
        if value in self._literals:
            return [(self._literals[value], 0.0)]
        if "const" in self.allowed:
            return [(self._index["const"], value)]
        if value == FREE:
            raise UnspellableError("it takes const")
        fraction = Fraction(value).limit_denominator(MAX_ONES)
        top, bottom = fraction.numerator, fraction.denominator
        if float(fraction) != value or not 0 < top <= MAX_ONES:
            raise UnspellableError(f"it takes the number {value}")
        if bottom > 1:
            return self._apply("div", self._number(float(top)), self._number(float(bottom)))
        return self._chain("add", [self._one()] * top)

    def _one(self) -> Spelled:
        if 1.0 in self._literals:
            return [(self._literals[1.0], 0.0)]
        return self._apply("div", [(0, 0.0)], [(0, 0.0)])

    # ---- sums ----

    def _sum(self, tree: Node) -> Spelled:
        constant, terms = split_sum(tree)
        parts = [] if constant == 0 else [(constant, None)]
        parts += [(coefficient, term) for term, coefficient in terms]
        positive = [self._term(c, term) for c, term in parts if c > 0]
        negative = [self._term(-c, term) for c, term in parts if c < 0]
        if not negative:
            return self._chain("add", positive)
        is_plain = bool(positive) and "sub" in self.allowed
        if not is_plain and all(self._carries_sign(c) for c, _ in parts if c < 0):
            return self._chain("add", [self._term(c, term) for c, term in parts])
        if not positive:
            return self._negated(self._chain("add", negative))
        if "sub" in self.allowed:
            last = self._apply("sub", positive[-1], self._chain("add", negative))
            return self._chain("add", [*positive[:-1], last])
        return self._chain("add", [*positive, self._negated(self._chain("add", negative))])

    def _carries_sign(self, coefficient: float) -> bool:
        """Tell whether a negative coefficient is written with its sign, as one number."""
        if "const" not in self.allowed:
            return False
        return "neg" not in self.allowed or not (
            coefficient == -1 or -coefficient in self._literals
        )

    def _term(self, coefficient: float, term: Node | None) -> Spelled:
        if term is None:
            return self._number(coefficient)
        row = self.spell(term)
        if coefficient == 1:
            return row
        if "const" in self.allowed or coefficient in self._literals:
            return self._apply("mul", self._number(coefficient), row)
        if coefficient in (2.0, 3.0) and len(row) <= 4:
            return self._chain("add", [row] * int(coefficient))
        if coefficient < 1 and 1 / coefficient == int(1 / coefficient):
            return self._apply("div", row, self._number(1 / coefficient))
        return self._apply("mul", self._number(coefficient), row)

    def _negated(self, row: Spelled) -> Spelled:
        if "neg" in self.allowed:
            return self._apply("neg", row)
        if "const" in self.allowed:
            return self._apply("mul", self._number(-1.0), row)
        raise UnspellableError("it takes neg or const")

    # ---- products ----

    def _product(self, factors: Iterable[tuple[Node, float]]) -> Spelled:
        above: list[tuple[Node, float]] = []
        below: list[tuple[Node, float]] = []
        for base, exponent in factors:
            (above if exponent > 0 else below).append((base, abs(exponent)))
        above, below = self._exponentials(above, below)
        numerator = self._factors(above) if above else None
        if not below:
            assert numerator is not None
            return numerator
        denominator = self._factors(below)
        if numerator is None:
            if "inv" in self.allowed:
                return self._apply("inv", denominator)
            return self._apply("div", self._number(1.0), denominator)
        if "div" in self.allowed or "inv" not in self.allowed:
            return self._apply("div", numerator, denominator)
        return self._apply("mul", numerator, self._apply("inv", denominator))

    def _exponentials(self, above: list, below: list) -> tuple[list, list]:
        """Divide by exp(u) rather than multiply by exp(-u), where that is shorter."""
        if "expneg" in self.allowed or "div" not in self.allowed or len(above) < 2:
            return above, below
        kept = []
        for base, exponent in above:
            turned = _positive_exponential(base)
            if turned is None or exponent != 1:
                kept.append((base, exponent))
            else:
                below = [*below, (turned, 1.0)]
        return (kept, below) if kept else (above, below)

    def _factors(self, factors: list[tuple[Node, float]]) -> Spelled:
        """Multiply powers with positive exponents."""
        parts: list[Spelled] = []
        under_root: list[Node] = []
        for base, exponent in factors:
            whole = int(exponent)
            rest = exponent - whole
            if rest == 0.5:
                under_root.append(base)
            elif rest:
                parts.append(self._general_power(base, exponent))
                continue
            if whole:
                parts.append(self._power(self.spell(base), whole))
        if under_root:
            radicand = self._chain("mul", [self.spell(base) for base in under_root])
            parts.append(self._apply("sqrt", radicand))
        return self._chain("mul", parts)

    def _power(self, row: Spelled, exponent: int) -> Spelled:
        if exponent == 1:
            return row
        name = f"n{exponent}"
        if name in self.allowed:
            return self._apply(name, row)
        if "n2" in self.allowed and exponent == 4:
            return self._apply("n2", self._apply("n2", row))
        if exponent > 9:
            raise UnspellableError(f"it takes the power {exponent}")
        step = next(k for k in (4, 3, 2, 1) if k < exponent and (k == 1 or self._has(k)))
        return self._apply("mul", row if step == 1 else self._power(row, step),
                           self._power(row, exponent - step))  # fmt: skip

    def _has(self, exponent: int) -> bool:
        return f"n{exponent}" in self.allowed

    def _general_power(self, base: Node, exponent: float) -> Spelled:
        if "pow" in self.allowed:
            return self._apply("pow", self.spell(base), self._number(exponent))
        logarithm = multiply(number(exponent), call("log", base))
        return self._apply("exp", self.spell(logarithm))

    # ---- functions ----

    def _call(self, tree: Node) -> Spelled:
        name, argument = tree[1], tree[2]
        if name == "exp":
            return self._exp(argument)
        if name == "log":
            return self._log(argument)
        if name == "abs" and "abs" not in self.allowed and "sqrt" in self.allowed:
            return self._apply("sqrt", self._power(self.spell(argument), 2))
        return self._apply(name, self.spell(argument))

    def _exp(self, argument: Node) -> Spelled:
        if "pow" in self.allowed and (parts := _as_power(argument)):
            return self._apply("pow", self.spell(parts[0]), self.spell(parts[1]))
        constant, terms = split_sum(argument)
        if all(c < 0 for c in (*(c for _, c in terms), constant) if c != 0):
            positive = multiply(number(-1.0), argument)
            if "expneg" in self.allowed:
                return self._apply("expneg", self.spell(positive))
            if "exp" in self.allowed and "neg" not in self.allowed and "const" not in self.allowed:
                row = self._apply("exp", self.spell(positive))
                if "inv" in self.allowed:
                    return self._apply("inv", row)
                return self._apply("div", self._one(), row)
        if "exp" not in self.allowed and "expneg" in self.allowed:
            return self._apply("expneg", self.spell(multiply(number(-1.0), argument)))
        return self._apply("exp", self.spell(argument))

    def _log(self, argument: Node) -> Spelled:
        is_absolute = argument[0] == CALL and argument[1] == "abs"
        if "logabs" in self.allowed and (is_absolute or "log" not in self.allowed):
            return self._apply("logabs", self.spell(argument[2] if is_absolute else argument))
        return self._apply("log", self.spell(argument))


def _positive_exponential(base: Node) -> Node | None:
    """Return exp(u) for exp(-u), None for anything else."""
    if base[0] != CALL or base[1] != "exp":
        return None
    constant, terms = split_sum(base[2])
    if any(c > 0 for c in (*(c for _, c in terms), constant)):
        return None
    return (CALL, "exp", multiply(number(-1.0), base[2]))


def _as_power(argument: Node) -> tuple[Node, Node] | None:
    """Return base and exponent where exp(argument) is a power."""
    constant, terms = split_sum(argument)
    if constant != 0 or len(terms) != 1:
        return None
    term, coefficient = terms[0]
    factors = term[1] if term[0] == PRODUCT else ((term, 1.0),)
    for base, exponent in factors:
        if base[0] == CALL and base[1] == "log" and exponent == 1:
            others = [f if e == 1 else (PRODUCT, ((f, e),)) for f, e in factors if f is not base]
            return base[2], multiply(number(coefficient), *others)
    return None
