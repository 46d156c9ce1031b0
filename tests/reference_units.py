"""Dimensions of whole programs, slow and obvious: from the leaves up, as sets of what is possible.

With constants of any unit a subtree can have no dimension, one, or every one.
"""

from fractions import Fraction

NOTHING, EVERY = "nothing", "every"

POWERS = {
    "mul": (1, 1),
    "div": (1, -1),
    "inv": (-1,),
    "n2": (2,),
    "n3": (3,),
    "n4": (4,),
    "sqrt": (Fraction(1, 2),),
    "cbrt": (Fraction(1, 3),),
}
ALIKE = ("add", "sub", "neg", "abs", "max", "min")
PURE_OF_ALIKE = ("arctan2", "greater")
FORMULAS = {
    "special(x, y) = x^2 + y": lambda of, x, y: of("add", of("n2", x), y),
    "damped(x, y) = x*exp(-y)": lambda of, x, y: of("mul", x, of("exp", y)),
    "muladd(x, y, z) = x*y + z": lambda of, x, y, z: of("add", of("mul", x, y), z),
}
"""Definitions of operators with what they are made of; each argument stands in one place."""
_MADE_OF = {text.partition("(")[0]: made for text, made in FORMULAS.items()}


def possible(tokens, terminals, numbers, pure):
    """Return what a program can have: `NOTHING`, `EVERY`, or its dimension.

    Parameters
    ----------
    tokens : list of (str, int)
        Names and arities, in prefix order.
    terminals : dict
        Name to dimension; `EVERY` where it can have any.
    numbers : dict
        Literals by name.
    pure
        The dimension of numbers; dimensions have ``*`` and ``**``.
    """
    stack = []
    for name, arity in reversed(tokens):
        arguments = [stack.pop() for _ in range(arity)]
        if arity == 0:
            stack.append((name, terminals[name]))
        else:
            stack.append((name, _of(name, arguments, numbers, pure)))
    return stack[0][1]


def _of(name, arguments, numbers, pure):
    have = [dimension for _, dimension in arguments]
    if NOTHING in have:
        return NOTHING
    if name in _MADE_OF:

        def of(part, *below):
            return part, _of(part, below, numbers, pure)

        return _MADE_OF[name](of, *arguments)[1]
    if name == "cond":
        return have[1]
    if name in PURE_OF_ALIKE:
        return NOTHING if _of("add", arguments, numbers, pure) == NOTHING else pure
    if name in ALIKE:
        known = {dimension for dimension in have if dimension != EVERY}
        return NOTHING if len(known) > 1 else next(iter(known), EVERY)
    if name in POWERS:
        if EVERY in have:
            return EVERY
        product = pure
        for dimension, power in zip(have, POWERS[name], strict=True):
            product *= dimension**power
        return product
    if name == "sign":
        return pure
    if name == "pow" and arguments[1][0] in numbers:
        number = numbers[arguments[1][0]]
        return pure if number == 0 else EVERY if have[0] == EVERY else have[0] ** number
    return pure if all(dimension in (pure, EVERY) for dimension in have) else NOTHING


def is_consistent(tokens, terminals, numbers, pure, wanted):
    """Tell whether a program can have the dimension that is wanted; None is any."""
    dimension = possible(tokens, terminals, numbers, pure)
    return dimension != NOTHING and (wanted is None or dimension in (EVERY, wanted))
