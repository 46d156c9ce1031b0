"""Imports point one way: no part knows of a later one, not even inside a function."""

import ast
import re
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dso"


def table() -> dict[str, int]:
    """Return the line of each part in the table of ARCHITECTURE.md; ``dso`` itself is the last."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    lines = text.split("```imports\n")[1].split("\n```")[0].splitlines()
    return {part: rank for rank, line in enumerate([*lines, "dso"]) for part in line.split()}


RANK = table()
# Everything else takes plain arguments, so that a test can build it without a config.
CONFIG_READERS = [
    "config",
    "build",
    "core",
    "islands",
    "report",
    "launch",
    "regressor",
    "command",
]


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in PACKAGE.rglob("*.py")}
MODULES = {*FILES, "dso.native._core"}


def part_of(module: str) -> str:
    """Return the part that a module belongs to."""
    return module.split(".")[1] if "." in module else module


def imports(module: str, text: str) -> set[str]:
    """Return the modules of dso that the text of a module names in imports or in strings."""
    is_package = module in FILES and FILES[module].name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    named: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                named.add(inner if inner in MODULES else source)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # What import_module and tables of "module:name" are given.
            named.update(re.findall(r"\A(dso\.[.\w]+)(?::\w+)?\Z", node.value))
    return {name for name in named if name in MODULES} - {module}


def violations(module: str, text: str) -> list[str]:
    """Return what the imports of a module break, one line each."""
    part = part_of(module)
    found = []
    for target in sorted(imports(module, text)):
        other = part_of(target)
        if other == part:
            continue
        if RANK[other] >= RANK[part]:
            found.append(f"{module} imports {target}, which comes later")
        elif part == "policy" and other == "task":
            found.append(f"{module} imports {target}: a policy works for any task")
        elif other == "config" and part not in CONFIG_READERS:
            found.append(f"{module} imports {target}: only {CONFIG_READERS} see the config")
    return found


def test_every_part_has_its_place() -> None:
    assert {part_of(module) for module in FILES} == set(RANK)


@pytest.mark.parametrize("module", sorted(FILES))
def test_imports_point_one_way(module: str) -> None:
    assert violations(module, FILES[module].read_text(encoding="utf-8")) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imports(name, path.read_text(encoding="utf-8")) for name, path in FILES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("dso.prior.length", "from dso.task import Task"),
        ("dso.prior.length", "def f():\n    import dso.task.regression.metrics"),
        ("dso.task.task", "from dso.prior import Prior"),
        ("dso.policy.policy", "from dso.task import Task"),
        ("dso.policy", "from .. import task"),
        ("dso.policy.policy", "from ..task import Task"),
        (
            "dso.memory.hall_of_fame",
            "if TYPE_CHECKING:\n    from dso.training.trainer import Trainer",
        ),
        ("dso.evaluation.evaluator", "from dso.config import load_config"),
        ("dso.training.trainer", "from dso import errors, core"),
        ("dso.training.trainer", "from dso import DeepSymbolicOptimizer"),
        ("dso.training.trainer", "importlib.import_module('dso.core')"),
        ("dso.policy_optimizer", "TABLE = {'pg': 'dso.training.trainer:Trainer'}"),
        ("dso.errors", "from dso.plugins import import_object"),
        ("dso.core", "import dso.run"),
    ],
)
def test_the_check_finds(module: str, text: str) -> None:
    assert len(violations(module, text)) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("dso.core", "from dso.config import load_config"),
        ("dso.run", "from dso.core import DeepSymbolicOptimizer"),
        ("dso.prior.length", "from dso.prior.prior import Constraint"),
        ("dso.policy.policy", "from dso.prior.joint_prior import JointPrior"),
        ("dso.policy.policy", "'''dso.task: what is wanted.'''"),
        ("dso.training.trainer", "from dso import errors\nimport numpy, dsolve"),
    ],
)
def test_the_check_lets_pass(module: str, text: str) -> None:
    assert violations(module, text) == []


def test_no_test_imports_from_another() -> None:
    """What several tests need is in tests/support and in tests/reference*.py."""
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in re.findall(
            r"^(?:from|import) (tests\S*\b(?:test_\w+|conftest))\b", path.read_text(), re.MULTILINE
        )
    ]
    assert found == []
