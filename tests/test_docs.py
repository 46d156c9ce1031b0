"""The documentation: examples run, links lead somewhere, tables are those of the code."""

import csv
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import dso.command.main
import dso.launch.command
import dso.launch.plan
import dso.logeval
import dso.regressor.options
import dso.report.__main__
from dso.config import Config, load_config
from dso.library.functions import OPERATORS
from dso.task.regression.benchmarks import benchmark_names
from dso.task.regression.metrics import METRICS
from tests.support.scripts import ROOT, script

GALLERY = ROOT / "docs" / "gallery"
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [
    *GUIDES,
    *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "THIRD_PARTY")),
]
N_SAMPLES = 1000
COMMANDS = {
    "dso.run": dso.launch.command.main,
    "dso.logeval": dso.logeval.main,
    "dso.report": dso.report.__main__.main,
}

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE_NAME = re.compile(r"^(?://|#) (\S+\.\w+)\n")


def named(paths: list[Path]) -> list:
    return [pytest.param(path, id=path.name) for path in paths]


def blocks(path: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(path.read_text(encoding="utf-8"))


def slug(heading: str) -> str:
    """Return the anchor that a heading gets in a rendered page."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def broken_links(path: Path) -> list[str]:
    broken = []
    for target in LINK.findall(BLOCK.sub("", path.read_text(encoding="utf-8"))):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        page = (path.parent / file).resolve() if file else path
        if not page.exists() or (anchor and anchor not in anchors(page)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("path", named(PAGES))
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A b: c\n[fine](#a-b-c) [gone](gone.md) [lost](page.md#lost)\n")
    assert broken_links(page) == ["gone.md", "page.md#lost"]


class Reader:
    """Does what a page says, block by block, as a reader in one folder and one session would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flags: list[str] = []
        self.session: dict[str, object] = {}

    def follow(self, kind: str, text: str) -> None:
        """Save a block that names a file, run one of Python, and each command of dso."""
        file = FILE_NAME.match(text)
        if file:
            (self.folder / file[1]).write_text(text)
        elif kind == "python":
            exec(compile(text, "example", "exec"), self.session)
        elif kind == "sh":
            for line in text.splitlines():
                self.call(shlex.split(line, comments=True))

    def call(self, words: list[str]) -> None:
        if words[:2] == ["python", "-m"] and words[2] in COMMANDS:
            words = [*words, *self.flags] if words[2] == "dso.run" else words
            outcome = CliRunner().invoke(COMMANDS[words[2]], words[3:])
            assert outcome.exit_code == 0, outcome.output
        if words[:1] == ["dso"]:
            outcome = CliRunner().invoke(dso.command.main.main, words[1:])
            assert outcome.exit_code == 0, outcome.output
        for word in words:
            assert not word.startswith("scripts/") or (ROOT / word).exists(), word


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Return a reader in an empty folder whose runs on the command line are short."""

    def small(source: str | None) -> dict:
        config = load_config(source)
        config["training"]["n_samples"] = min(config["training"]["n_samples"], N_SAMPLES)
        config["postprocess"]["save_plots"] = False  # matplotlib takes longer than the run
        return config

    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.syspath_prepend(tmp_path)  # as `python -m` does
    monkeypatch.setattr(dso.launch.plan, "load_config", small)
    budgets = dict.fromkeys(dso.regressor.options.PRESETS, N_SAMPLES)
    monkeypatch.setattr(dso.regressor.options, "PRESETS", budgets)
    return Reader(tmp_path)


@pytest.mark.parametrize("path", named([page for page in GUIDES if page.parent != GALLERY]))
def test_examples_run(path: Path, reader: Reader) -> None:
    if path.name == "results.md":  # Its runs were long ones: planned here, not done.
        reader.flags = ["--dry-run"]
    for kind, text in blocks(path):
        reader.follow(kind, text)


def test_the_gallery_is_what_its_script_writes(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gallery = script("write_gallery")
    asked = tomllib.loads((GALLERY / "gallery.toml").read_text(encoding="utf-8"))
    found = json.loads((GALLERY / "results.json").read_text(encoding="utf-8"))
    assert set(found) == set(asked)
    page = GALLERY / "index.md"
    assert page.read_text(encoding="utf-8") == write_gallery.page(asked, found)
    monkeypatch.chdir(GALLERY)
    searches = [text.splitlines()[0] for kind, text in blocks(page) if kind == "sh"]
    assert len(searches) == len(asked) >= 16
    for command in searches:
        reader.call(shlex.split(f"{command} --logdir {reader.folder} --dry-run"))


def test_the_examples_are_found() -> None:
    kinds = [kind for kind, _ in blocks(ROOT / "docs" / "batches.md")]
    assert {"python", "json", "sh", "text"} == set(kinds)
    assert [kind for kind, _ in blocks(ROOT / "docs" / "configuration.md")].count("python") >= 4


def test_an_example_that_fails_would_be_found(reader: Reader) -> None:
    with pytest.raises(AssertionError, match="no such file"):
        reader.follow("sh", "python -m dso.run gone.json  # comment\n")
    with pytest.raises(AssertionError, match=r"gone\.py"):
        reader.follow("sh", "python scripts/gone.py\n")
    with pytest.raises(NameError):
        reader.follow("python", "print(undefined)\n")


def test_every_column_is_documented(reader: Reader) -> None:
    reader.call(shlex.split("python -m dso.run --b Nguyen-5 --exp_name columns"))
    text = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    files = sorted((reader.folder / "logs" / "columns").glob("*.csv"))
    assert len(files) == 4
    for file in files:
        with file.open(newline="") as rows:
            for column in next(csv.reader(rows)):
                general = re.sub(r"^error_node_.*", "error_node_<category>", column)
                general = re.sub(r"^error_(?!node_).*", "error_<operator>", general)
                assert f"`{general}`" in text, column


def counts(output: str) -> dict[str, int]:
    """Return how many samples each prior forbids, from what search_space.py prints."""
    return {name: int(n) for name, n in re.findall(r"^(\w+) +forbids +(\d+)", output, re.MULTILINE)}


def test_the_search_space_shown_is_what_its_script_finds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("ERROR", "dso")  # the script does so too; this is undone afterwards
    text = (ROOT / "docs" / "priors.md").read_text(encoding="utf-8")
    shown = re.findall(r"^python scripts/search_space.py (.*)\n```\n\n```text\n([^`]*)", text, re.M)
    assert len(shown) == 2
    for arguments, output in shown:
        outcome = CliRunner().invoke(script("search_space").main, shlex.split(arguments))
        assert outcome.exit_code == 0, outcome.output
        # Samples are the same on the same type of machine only.
        assert counts(output) == pytest.approx(counts(outcome.output), abs=50)
        assert max(counts(output).values()) > 500


def test_tables_are_those_of_the_code() -> None:
    write_docs = script("write_docs")
    for path in GUIDES:
        text = path.read_text(encoding="utf-8")
        assert write_docs.written(text) == text, f"run scripts/write_docs.py: {path.name}"
    stale = "<!-- table: semantic -->\nold\n<!-- end -->\n"
    assert "| `on` | `false` |" in write_docs.written(stale)


def test_every_section_and_metric_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for section in Config.model_fields:
        assert re.search(rf"^## {section}\b", text, re.MULTILINE), section
    assert all(f"| `{metric}` |" in text for metric in METRICS)


def test_the_readme_says_how_many_there_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    n_operators = sum(not row.display for row in OPERATORS.values())
    assert f"with {n_operators} operators" in " ".join(text.split())
    assert f"{len(benchmark_names())} named benchmarks" in " ".join(text.split())


def test_the_distribution_bears_its_own_name_and_version() -> None:
    for path in PAGES:
        assert not re.search(r"pip install dso\b", path.read_text(encoding="utf-8")), path
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "deep-symbolic-optimization"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
