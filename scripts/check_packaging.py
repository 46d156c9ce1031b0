"""Compare the recipes under packaging/ and the files that name the version with pyproject.toml.

Prints what differs, and exits with 1 if anything does.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"torch": "pytorch"}
"""Packages whose name in conda is another."""

Needs = dict[str, str]
"""Name of a package -> range of versions."""


def main() -> None:
    problems = list(differences(ROOT))
    for problem in problems:
        print(problem)
    sys.exit(bool(problems))


def differences(root: Path) -> Iterator[str]:
    """Say what the other files have that pyproject.toml has not, or the other way round.

    Parameters
    ----------
    root : Path
        Of a checkout.
    """
    pyproject = tomllib.loads((root / "pyproject.toml").read_text())
    project = pyproject["project"]
    recipe = (root / "packaging/conda/meta.yaml").read_text()
    for file, pattern in VERSIONS.items():
        found = re.search(pattern, (root / file).read_text(), re.M)
        version = found[1] if found else None
        if version != project["version"]:
            yield f"{file}: version {version}; pyproject.toml says {project['version']}."
    if f'"{project["name"]}"' not in recipe:
        yield f"packaging/conda/meta.yaml: the name is not {project['name']!r}."
    run = {"python": project["requires-python"], **needs(project["dependencies"])}
    host = {"python": "", "pip": "", **needs(pyproject["build-system"]["requires"])}
    for part, wanted in (("run", run), ("host", host)):
        found = conda_needs(recipe, part)
        yield from compared(part, wanted, dict(found))
        for name, times in Counter(name for name, _ in found).items():
            if times > 1:
                yield f"packaging/conda/meta.yaml: {part}: {name}: twice."
    oldest = project["requires-python"].removeprefix(">=").replace(".", "")
    if f"py<{oldest}" not in recipe:
        yield f"packaging/conda/meta.yaml: build.skip does not say py<{oldest}."


VERSIONS = {
    "CITATION.cff": r"^version: (\S+)",
    "docs/citing.md": r"^  version = \{([^}]+)\}",
    "packaging/conda/meta.yaml": r'set version = "([^"]+)"',
    "CHANGELOG.md": r"^## (\d\S*)",
}
"""Files that name the version, and where: the first match counts."""


def needs(requirements: list[str]) -> Needs:
    """Return the ranges of requirements of pip, under their names in conda."""
    parsed = map(Requirement, requirements)
    return {CONDA_NAMES.get(one.name, one.name): str(one.specifier) for one in parsed}


def conda_needs(recipe: str, part: str) -> list[tuple[str, str]]:
    """Return names and ranges of one list of requirements of a recipe."""
    block = re.search(rf"^  {part}:\n((?:    - .*\n)+)", recipe, re.M)
    lines = block[1].splitlines() if block else []
    pairs = (line.strip().removeprefix("- ").partition(" ") for line in lines)
    return [(name, bounds) for name, _, bounds in pairs]


def compared(part: str, wanted: Needs, found: Needs) -> Iterator[str]:
    """Say which requirements differ."""
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            yield (
                f"packaging/conda/meta.yaml: {part}: {name}: {found.get(name)!r}; "
                f"pyproject.toml says {wanted.get(name)!r}."
            )


if __name__ == "__main__":
    main()
