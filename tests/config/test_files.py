"""Finding, reading and merging config files."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.config import load_config
from dso.config.files import SHIPPED, find_config, parse_config, read_config, shipped_configs
from dso.config.plain import merge, plain
from dso.errors import UserError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
CONFIGS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def containers(value: object) -> set[int]:
    """Return the identities of all dicts and lists in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = {id(value)} if isinstance(value, dict | list) else set()
    return own.union(*map(containers, inner))


@settings(max_examples=50, deadline=None)
@given(CONFIGS, CONFIGS)
def test_merge_follows_its_rule_key_by_key(base: dict, override: dict) -> None:
    merged = merge(base, override)
    assert set(merged) == set(base) | set(override)
    for key, value in merged.items():
        if key not in override:
            assert value == base[key]
        elif isinstance(override[key], dict) and isinstance(base.get(key), dict):
            assert value == merge(base[key], override[key])
        else:
            assert value == override[key]


@settings(max_examples=50, deadline=None)
@given(CONFIGS, CONFIGS)
def test_merge_neither_changes_nor_shares_its_sources(base: dict, override: dict) -> None:
    before = json.dumps([base, override])
    merged = merge(base, override)
    assert not containers(merged) & (containers(base) | containers(override))
    assert json.dumps([base, override]) == before


@settings(max_examples=50, deadline=None)
@given(CONFIGS, CONFIGS)
def test_merging_once_more_changes_nothing(base: dict, override: dict) -> None:
    merged = merge(base, override)
    assert merge(merged, override) == merged
    assert merge(base, merged) == merged
    assert merge(base, {}) == base


@settings(max_examples=50, deadline=None)
@given(CONFIGS)
def test_json_reads_as_json_does(config: dict) -> None:
    assert parse_config(json.dumps(config), "text") == config


def test_comments_and_trailing_commas_are_read() -> None:
    text = """
    // a line, with "quotes" and # inside
    {
        # a hash comment with an apostrophe: don't, and // slashes
        "a": [1, 2,],  # behind a value
        /* a block
           # of two lines */
        "b": {"url": "http://x#y", "c": "not // a comment",},
        "d": "a \\" # quote",
    }
    # the end"""
    assert parse_config(text, "text") == {
        "a": [1, 2],
        "b": {"url": "http://x#y", "c": "not // a comment"},
        "d": 'a " # quote',
    }


@pytest.mark.parametrize("text", ['{"a": {"b": 1, "b": 2}}', '{"a": {"b": 1, "b": 2},}'])
def test_a_key_given_twice_is_said_once(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dso"):
        assert parse_config(text, "text") == {"a": {"b": 2}}
    assert [record.message for record in caplog.records] == [
        "config: key 'b' is given twice in one section; the last counts."
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n// nothing\n# at all\n", "is empty"),
        (b"[1, 2]", "an object of sections is expected"),
        (b'{"a": 1\n "b": 2}', "is not JSON, line 2"),
        (b'{"a": "\xff"}', "cannot be read"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_not_a_config_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_config(file)
    assert "bad.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_byte_order_mark_is_not_part_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_config(tmp_path / "c.json") == {"a": 1}


@pytest.mark.parametrize(
    "name",
    [
        "Nguyen-2.json",
        "regression/Nguyen-2.json",
        "examples/regression/Nguyen-2.json",
        "config/examples/regression/Nguyen-2.json",
        Path("Nguyen-2.json"),
    ],
)
def test_a_config_of_ours_is_found_by_name_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | Path
) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_config(name)
    assert found.name == "Nguyen-2.json"
    assert read_config(found)["task"]["dataset"] == "Nguyen-2"


def test_a_file_of_the_user_comes_before_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Nguyen-2.json").write_text("{}")
    assert read_config(find_config("Nguyen-2.json")) == {}


def test_configs_inside_an_installed_package_are_found(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "config_common.json").write_text("{}")
    (tmp_path / "examples" / "Mine-1.json").write_text("{}")
    found = find_config("Mine-1.json", (tmp_path, *SHIPPED))
    assert found == tmp_path / "examples" / "Mine-1.json"
    assert list(shipped_configs((tmp_path / "none",))) == []


def test_a_missing_file_is_named_with_what_comes_near(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'Nguyen-2.jsn': no such file.*'Nguyen-2.json'"):
        find_config("Nguyen-2.jsn")
    with pytest.raises(UserError, match="no such file"):
        find_config("schema.json")  # ours, but no config
    with pytest.raises(UserError, match="is a directory"):
        find_config(tmp_path)


def test_values_from_python_become_plain() -> None:
    pair = (np.zeros((2, 1)), np.zeros(2))
    given = {
        "numbers": (np.int64(1), np.float32(0.5)),
        "array": np.arange(3),
        "path": Path("a") / "b",
        "task": {"dataset": pair},
    }
    result = plain(given)
    assert result["numbers"] == [1, 0.5]
    assert [type(number) for number in result["numbers"]] == [int, float]
    assert result["array"] == [0, 1, 2]
    assert result["path"] == "a/b"
    assert result["task"]["dataset"] is pair  # data are not copied


def test_a_config_within_itself_is_refused() -> None:
    endless: dict = {}
    endless["a"] = endless
    with pytest.raises(UserError, match="nested deeper"):
        plain(endless)


def test_a_table_is_looked_for_beside_its_config_and_among_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine.tsv").write_text("a\ty\n")
    (tmp_path / "c.json").write_text(json.dumps({"task": {"dataset": "mine.tsv"}}))
    assert load_config(tmp_path / "c.json")["task"]["dataset"] == str(tmp_path / "mine.tsv")
    caplog.clear()
    task = {"task_type": "regression", "dataset": "task/regression/data/PiecewiseFunction-1.csv"}
    found = Path(load_config({"task": task})["task"]["dataset"])
    assert found.is_file()
    assert found.name == "PiecewiseFunction-1.csv"
    assert "the one that comes with dso is taken" in caplog.text
    # What is nowhere stays as it is written, and so does a path from the root.
    for name in ("nowhere.csv", str(tmp_path / "PiecewiseFunction-1.csv")):
        assert load_config({"task": {**task, "dataset": name}})["task"]["dataset"] == name
