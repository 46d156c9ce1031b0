"""The file: it asks nothing of any network, and what is in the data stays text."""

import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from dso.report import Collector, build_page
from dso.report.__main__ import main
from dso.report.page import to_script_json

HOSTILE = "</script><img src=x onerror=alert(1)>{{script}}\u2028&amp;"


class Page(HTMLParser):
    """Collects elements, their attributes, and the text within scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.text = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        tag, attributes = self.elements[-1] if self.elements else ("", {})
        self.text[attributes.get("id", tag)] = self.text.get(attributes.get("id", tag), "") + data


@pytest.fixture(scope="module")
def page(finished):
    return build_page(Collector([finished]).collect(), "A <title>")


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes in Page(page).elements:
        assert "src" not in attributes
        assert tag != "link"
        assert attributes.get("href", "#").startswith("#")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", page)


def test_the_policy_allows_our_script_alone(page):
    policy = next(
        attributes["content"]
        for tag, attributes in Page(page).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_data_are_in_the_page(page, finished):
    data = json.loads(Page(page).text["data"])
    assert data["title"] == "A <title>"
    assert len(data["runs"]) == 2
    assert data["live"] is False


def test_every_element_that_the_script_asks_for_is_there(page):
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [a["href"][1:] for tag, a in parsed.elements if tag == "a"]
    assert set(links) <= set(ids)


def test_names_from_files_cannot_become_markup(folder):
    for path in folder.glob("*_hof.csv"):
        text = path.read_text().splitlines()
        text[1] = f'1.0,1,0,"{HOSTILE}","{HOSTILE}",0,0,True'
        path.write_text("\n".join(text) + "\n")
    (folder / "summary.csv").unlink()
    content = Collector([folder]).collect()
    text = build_page(content, HOSTILE)
    parsed = Page(text)
    assert not any(tag == "img" for tag, _ in parsed.elements)
    assert [tag for tag, _ in parsed.elements].count("script") == 2
    data = json.loads(parsed.text["data"])
    assert data["runs"][0]["hof"][0]["expression"] == HOSTILE
    assert text.count('"use strict"') == 1  # {{script}} in the data was not filled in


def test_script_json_has_no_markup():
    text = to_script_json({HOSTILE: [HOSTILE, None, 1.5]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE, None, 1.5]}


def test_the_command_line(folder, monkeypatch, tmp_path):
    outcome = CliRunner().invoke(main, [str(folder)])
    assert outcome.exit_code == 0, outcome.output
    assert "Report of 2 runs in" in outcome.output
    assert "<title>runs · dso</title>" in (folder / "report.html").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(main, [str(folder), str(folder / "."), "--title", "Both"])
    assert outcome.exit_code == 0
    outcome = CliRunner().invoke(main, ["gone"])
    assert outcome.exit_code == 1
    assert "'gone' is not a folder" in outcome.output
    outcome = CliRunner().invoke(main, [str(folder), "--out", str(tmp_path / "no" / "file.html")])
    assert outcome.exit_code == 1
    assert "name another file" in outcome.output
