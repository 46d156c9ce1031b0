"""Problems with a known law, for `benchmark_physics.py` and `benchmark_reductions.py`.

Four sets:

- `laws`: 120 equations of physics in ``physics.csv``, each with its inputs and the range from which
  their values are drawn: the hundred of the Feynman Lectures and the twenty harder ones of Udrescu
  and Tegmark's AI Feynman (2020). ``physics_units.csv`` has the units of their symbols.
- `inverted`: forty of these, drawn at random from those that are more than a product of powers,
  solved for an input that was drawn too. ``physics_inverted.csv`` holds what sympy makes of them.
- `products`: forty random products of two small formulas with random constants and four to nine
  inputs.
- `strogatz`: right-hand sides of seven systems of differential equations in Strogatz's book, which
  La Cava et al. (2016) made a benchmark of: rows are points of four trajectories.

    python scripts/physics_problems.py     # writes physics_inverted.csv
"""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.library import PlaceholderConstant, create_tokens
from dso.library.expression import Expression, Node, evaluate, parse
from dso.program.symbolic import to_short_sympy

TABLE = Path(__file__).with_name("physics.csv")
UNITS = Path(__file__).with_name("physics_units.csv")
INVERTED = Path(__file__).with_name("physics_inverted.csv")
OPERATORS = [
    *("add", "sub", "mul", "div", "sqrt", "square", "exp", "log"),
    *("sin", "cos", "tanh", "arcsin", "arccos", "const"),
]
SPELLED = {*OPERATORS, "n2", "n3", "n4", "pow", "neg", "inv"}
"""What the operators say by themselves, or by a few tokens."""
N_PROBLEMS = 40
SAME = 1e-6
"""Relative difference up to which values are the same."""


@dataclass(frozen=True)
class Law:
    """An equation to be found.

    Attributes
    ----------
    name : str
    inputs : tuple of str
    ranges : (D, 2) float64
    formula : Expression
    units : (D,) tuple of str
        Of the inputs; empty where there are none.
    unit : str
        Of the target.
    """

    name: str
    inputs: tuple[str, ...]
    ranges: np.ndarray
    formula: Expression
    units: tuple[str, ...] = ()
    unit: str = ""

    def draw(self, n_rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs (N, D) and targets (N,), all of them finite."""
        return self._drawn(self.ranges, n_rows, random)

    def draw_wider(self, n_rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the same from ranges three times as wide; what is above zero stays so."""
        low, high = self.ranges.T
        low = low / 3
        wider = np.column_stack([low, low + 3 * (high - 3 * low)])
        return self._drawn(wider, n_rows, random)

    def _drawn(
        self, ranges: np.ndarray, n_rows: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        X = random.uniform(*ranges.T, (20 * n_rows, len(ranges)))
        y = evaluate(self.formula, X)
        rows = np.flatnonzero(np.isfinite(y))[:n_rows]
        return X[rows], y[rows]

    @property
    def n_constants(self) -> int:
        """Numbers of the law in normal form, but for exponents, 1 and -1."""
        nodes = self.formula.nodes
        known = create_tokens(len(self.inputs), {n for n in nodes if isinstance(n, str)})
        tokens = {token.name: token for token in known}
        traversal = [
            PlaceholderConstant(node)
            if isinstance(node, float)
            else tokens[node if isinstance(node, str) else f"x{node + 1}"]
            for node in nodes
        ]
        return _n_numbers(to_short_sympy(traversal))


def _n_numbers(form: Any) -> int:
    if form.is_Number:
        return int(abs(float(form)) != 1)
    return sum(map(_n_numbers, form.args[:1] if form.is_Pow else form.args))


def read_laws() -> list[Law]:
    """Return all equations of the table."""
    laws = []
    with UNITS.open(newline="") as file:
        units = {row["symbol"]: row["unit"] for row in csv.DictReader(file)}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            parts = [part.rstrip("]").split("[") for part in row["inputs"].split()]
            inputs = tuple(name for name, _ in parts)
            ranges = np.array([limits.split(",") for _, limits in parts], dtype=float)
            formula = parse(row["formula"], row["name"], inputs)
            of_inputs = tuple(units[name] for name in inputs)
            laws.append(Law(row["name"], inputs, ranges, formula, of_inputs, row["unit"]))
    return laws


# --------------------------------------------------------------------------- solved for an input


@dataclass(frozen=True)
class Inverted(Law):
    """A law solved for one of its inputs, in the place of which its target stands.

    Attributes
    ----------
    law : Law or None
    solved_for : int
    """

    law: Law | None = None
    solved_for: int = 0

    def _drawn(
        self, ranges: np.ndarray, n_rows: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw for the law itself, and keep the rows on the branch that the formula is of."""
        assert self.law is not None
        X, y = self.law._drawn(ranges, 20 * n_rows, random)
        target = X[:, self.solved_for].copy()
        X[:, self.solved_for] = y
        rows = np.abs(evaluate(self.formula, X) - target) <= SAME * np.abs(target)
        return X[rows][:n_rows], target[rows][:n_rows]


def read_inverted() -> list[Law]:
    """Return the equations that are solved for an input."""
    known = {law.name: law for law in read_laws()}
    with INVERTED.open(newline="") as file:
        return [
            inverted(known[row["equation"]], row["solved_for"], row["formula"])
            for row in csv.DictReader(file)
        ]


def inverted(law: Law, solved_for: str, formula: str) -> Inverted:
    """Return a law solved for an input; in the formula its target is called `target`."""
    j = law.inputs.index(solved_for)
    inputs = (*law.inputs[:j], "target", *law.inputs[j + 1 :])
    name = f"{law.name}_{solved_for}"
    return Inverted(name, inputs, law.ranges, parse(formula, name, inputs), law=law, solved_for=j)


def write_inverted(max_seconds: int = 10) -> None:
    """Solve equations in a random order, until there are enough."""
    with TABLE.open(newline="") as file:
        texts = {row["name"]: row["formula"] for row in csv.DictReader(file)}
    random = np.random.default_rng(17)
    laws, rows = read_laws(), []
    for k in random.permutation(len(laws)):
        law, text = laws[k], texts[laws[k].name]
        solved_for = law.inputs[random.integers(len(law.inputs))]
        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(max_seconds)
        try:
            formula = _solution(law, text, solved_for)
        except (TimeoutError, NotImplementedError):
            formula = None
        finally:
            signal.alarm(0)
        if formula is not None:
            rows.append({"equation": law.name, "solved_for": solved_for, "formula": formula})
        if len(rows) == N_PROBLEMS:
            break
    with INVERTED.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _give_up(*_: object) -> None:
    raise TimeoutError


def _solution(law: Law, text: str, solved_for: str) -> str | None:
    """Return the first solution that holds on most rows and is more than a product of powers."""
    import sympy

    symbols = {name: sympy.Symbol(name, positive=True) for name in (*law.inputs, "target")}
    names = symbols | {"arcsin": sympy.asin, "arccos": sympy.acos}
    whole = sympy.sympify(text, locals=names)
    bases = [factor.as_base_exp()[0] for factor in sympy.Mul.make_args(whole)]
    if all(base.is_Symbol or base.is_number for base in bases):
        return None
    unknown = sympy.Symbol("unknown")  # of any sign, so that no solution is left out
    equation = whole.subs(symbols[solved_for], unknown) - symbols["target"]
    for solution in sympy.solve(equation, unknown):
        try:
            problem = inverted(law, solved_for, str(sympy.simplify(solution)))
        except UserError:
            continue
        if not {n for n in problem.formula.nodes if isinstance(n, str)} <= SPELLED:
            continue
        if len(problem.draw(1000, np.random.default_rng(0))[0]) == 1000:
            return str(sympy.simplify(solution))
    return None


# ------------------------------------------------------------------------------ random products

UNARY = ("sqrt", "exp", "log", "sin", "cos", "n2")
BINARY = ("add", "sub", "mul", "div")
UNARY_SHARE, CONSTANT_SHARE = 0.35, 0.3
MIN_EFFECT = 0.05
"""Share of the scatter of y that an input has to move."""
MAX_RANGE = 1e3
"""By what the largest |y| may exceed the median."""


def random_products() -> list[Law]:
    """Return random products of two small formulas; some share an input."""
    random = np.random.default_rng(17)
    laws: list[Law] = []
    while len(laws) < N_PROBLEMS:
        n = int(random.integers(4, 10))
        at = n // 2
        shared = int(random.random() < 0.3)
        groups = list(range(at)), list(range(at - shared, n))
        nodes = ("mul", *_random_formula(groups[0], random), *_random_formula(groups[1], random))
        inputs = tuple(f"x{j + 1}" for j in range(n))
        ranges = np.tile([1.0, 3.0], (n, 1))
        law = Law(f"product_{len(laws) + 1}", inputs, ranges, Expression(nodes))
        if _is_fit(law):
            laws.append(law)
    return laws


def _random_formula(columns: list[int], random: np.random.Generator) -> tuple[Node, ...]:
    """Return a formula with each input once."""
    parts: list[tuple[Node, ...]] = [(j,) for j in random.permutation(columns).tolist()]
    while True:
        a = parts.pop(int(random.integers(len(parts))))
        if random.random() < CONSTANT_SHARE:
            constant = round(float(random.uniform(0.2, 3.0)), 2)
            a = (str(random.choice(["add", "mul"])), constant, *a)
        if random.random() < UNARY_SHARE:
            a = (str(random.choice(UNARY)), *a)
        if not parts:
            return a
        b = parts.pop(int(random.integers(len(parts))))
        parts.append((str(random.choice(BINARY)), *a, *b))


def _is_fit(law: Law) -> bool:
    """Tell whether y is defined and tame on all rows, and moved by each input."""
    random = np.random.default_rng(0)
    X = random.uniform(*law.ranges.T, (1000, len(law.inputs)))
    y = evaluate(law.formula, X)
    if not np.isfinite(y).all() or np.abs(y).max() > MAX_RANGE * np.median(np.abs(y)):
        return False
    for j in range(len(law.inputs)):
        moved = X.copy()
        moved[:, j] = random.permutation(moved[:, j])
        if np.std(evaluate(law.formula, moved) - y) < MIN_EFFECT * y.std():
            return False
    return True


# --------------------------------------------------------------------------------- trajectories

SYSTEMS = {
    "bacres": ("20 - x - x*y/(1 + 0.5*x**2)", "10 - x*y/(1 + 0.5*x**2)", (2.0, 12.0), 8.0),
    "barmag": ("0.5*sin(x - y) - sin(x)", "0.5*sin(y - x) - sin(y)", (0.2, 3.0), 8.0),
    "glider": ("-0.05*x**2 - sin(y)", "x - cos(y)/x", (0.8, 4.0), 4.0),
    "lv": ("3*x - 2*x*y - x**2", "2*y - x*y - y**2", (0.5, 5.0), 6.0),
    "predprey": ("x*(4 - x - y/(1 + x))", "y*(x/(1 + x) - 0.075*y)", (1.0, 9.0), 6.0),
    "shearflow": ("cos(x)*cos(y)/sin(y)", "(cos(y)**2 + 0.1*sin(y)**2)*sin(x)", (0.4, 2.6), 4.0),
    "vdp": ("10*(y - (x**3 - x)/3)", "-x/10", (-2.0, 2.0), 12.0),
}
"""Name to dx/dt, dy/dt, where x and y start, and for how long they run."""
N_STARTS, N_POINTS = 4, 100


@dataclass(frozen=True)
class OnTrajectories(Law):
    """A right-hand side; rows to learn from are points of trajectories.

    Attributes
    ----------
    system : tuple of two Expressions
    seconds : float
    """

    system: tuple[Expression, ...] = ()
    seconds: float = 0.0

    def draw(self, n_rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the points of some trajectories, however many rows are asked for."""
        from scipy.integrate import solve_ivp

        times = np.linspace(0, self.seconds, N_POINTS)

        def slope(_: float, state: np.ndarray) -> list[float]:
            return [float(evaluate(part, state[None])[0]) for part in self.system]

        starts = random.uniform(*self.ranges.T, (N_STARTS, len(self.ranges)))
        X = np.concatenate(
            [
                solve_ivp(slope, times[[0, -1]], start, "LSODA", times, rtol=1e-8).y.T
                for start in starts
            ]
        )
        return X, evaluate(self.formula, X)


def strogatz() -> list[Law]:
    """Return the fourteen right-hand sides."""
    laws: list[Law] = []
    for name, (*texts, (low, high), seconds) in SYSTEMS.items():
        system = tuple(parse(text, name, ("x", "y")) for text in texts)
        for k, formula in enumerate(system):
            ranges = np.tile([low, high], (2, 1))
            laws.append(
                OnTrajectories(
                    f"{name}{k + 1}", ("x", "y"), ranges, formula, system=system, seconds=seconds
                )
            )
    return laws


SETS = {
    "laws": read_laws,
    "inverted": read_inverted,
    "products": random_products,
    "strogatz": strogatz,
}


def chosen(options: Any) -> Iterator[Law]:
    """Yield the problems that options ask for; see `add_choice`."""
    for law in SETS[options.problems]()[options.first :: options.every]:
        if not options.equations or law.name in options.equations:
            yield law


def add_choice(parser: Any) -> None:
    """Add the options that choose problems."""
    parser.add_argument("--problems", choices=SETS, default="laws")
    parser.add_argument("--every", type=int, default=1, help="take every third equation, say")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--equations", nargs="+", help="names; default: all")


if __name__ == "__main__":
    write_inverted()
