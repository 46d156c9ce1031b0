"""The recipes say what pyproject.toml says, and a release changes every version at once."""

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from packaging.version import Version

from tests.support.scripts import ROOT, script

check_packaging = script("check_packaging")
bump_version = script("bump_version")
FILES = [
    "pyproject.toml",
    "CITATION.cff",
    "CHANGELOG.md",
    "docs/citing.md",
    "packaging/conda/meta.yaml",
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_recipes_are_those_of_the_metadata() -> None:
    assert list(check_packaging.differences(ROOT)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("pyproject.toml", '"scipy>=1.11"', '"scipy>=1.12"', "scipy"),
        ("pyproject.toml", '    "rich>=13",\n', "", "rich"),
        ("pyproject.toml", "setuptools>=77", "setuptools>=78", "setuptools"),
        ("pyproject.toml", ">=3.11", ">=3.12", "python"),
        ("packaging/conda/meta.yaml", "pytorch >=2.4", "pytorch >=2.5", "pytorch"),
        ("packaging/conda/meta.yaml", "py<311", "py<310", "skip"),
        ("CITATION.cff", "\nversion: ", "\nversion: 9", "CITATION.cff"),
        ("docs/citing.md", "version = {", "version = {9", "docs/citing.md"),
        ("packaging/conda/meta.yaml", "    - rich >=13\n", "    - rich >=13\n" * 2, "rich: twice"),
    ],
)
def test_differences_are_found(copy: Path, file: str, old: str, new: str, named: str) -> None:
    edit(copy / file, old, new)
    problems = list(check_packaging.differences(copy))
    assert any(named in problem for problem in problems), problems


def test_a_release_changes_every_version(copy: Path) -> None:
    edit(copy / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- A new thing.\n")
    bump_version.bump(copy, Version("7.8.9"), date(2030, 1, 2))
    assert list(check_packaging.differences(copy)) == []
    assert "version = {7.8.9}" in (copy / "docs" / "citing.md").read_text()
    changelog = (copy / "CHANGELOG.md").read_text()
    assert re.search(r"## Unreleased\n\n## 7\.8\.9 - 2030-01-02\n\n- A new thing\.", changelog)
    with pytest.raises(ValueError, match=r"nothing under '## Unreleased'"):
        bump_version.bump(copy, Version("7.9"), date(2030, 1, 3))


def test_a_version_only_rises(copy: Path) -> None:
    before = [(copy / name).read_text() for name in FILES]
    with pytest.raises(ValueError, match=r"0\.0\.1; expected one above"):
        bump_version.bump(copy, Version("0.0.1"), date(2030, 1, 2))
    assert [(copy / name).read_text() for name in FILES] == before
