"""The documentation site builds without a warning, and all its links lead somewhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.scripts import ROOT


class Links(HTMLParser):
    """Targets and anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value or "")
            elif name in ("href", "src"):
                self.targets.append(value or "")


def broken(site: Path) -> list[str]:
    """Return the links within a site that lead nowhere."""
    pages = {page: Links(page) for page in site.rglob("*.html")}
    lost = []
    for page, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or page.name == "404.html":
                continue
            path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            path = path / "index.html" if path.is_dir() else path
            has_anchor = path not in pages or unquote(parts.fragment) in pages[path].anchors
            if not path.exists() or (parts.fragment and not has_anchor):
                lost.append(f"{page.relative_to(site)}: {target}")
    return lost


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top"><a href="b.html#here"><a href="gone.png"><a href="#top"><a href="b.html#no">'
    )
    (tmp_path / "b.html").write_text('<p id="here"><a href="https://example.org">')
    assert broken(tmp_path) == ["a.html: gone.png", "a.html: b.html#no"]


@pytest.mark.slow
def test_the_site_builds_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.html"))) > 20
    assert broken(tmp_path) == []
