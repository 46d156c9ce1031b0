"""A hook of mkdocs: files outside docs/ that pages link to become files of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "repository"
"""Where the copies are, below the site."""
LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the changelog, and each file outside docs/ that a page links to."""
    changelog = str(ROOT / "CHANGELOG.md")
    names = {
        outside(page.src_uri, match[2])
        for page in files.documentation_pages()
        for match in LINK.finditer(page.content_string)
    }
    files.append(File.generated(config, "changelog.md", abs_src_path=changelog))
    for name in sorted(name for name in names if name and (ROOT / name).is_file()):
        copy = File.generated(config, f"{FOLDER}/{name}", abs_src_path=str(ROOT / name))
        files.append(copy)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to their copies; folders have none."""
    uri = page.file.src_uri

    def copy_of(match: re.Match[str]) -> str:
        name = outside(uri, match[2])
        if name is None:
            return match[0]
        if not (ROOT / name).is_file():
            return match[1]
        return f"[{match[1]}]({'../' * uri.count('/')}{FOLDER}/{name})"

    return LINK.sub(copy_of, markdown)


def outside(page: str, link: str) -> str | None:
    """Return the path from the root of what a page links to; None if that is in docs/ too."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return None if path.startswith("docs/") else path
