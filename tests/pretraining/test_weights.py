"""Weights: read as they were written, and refused with one clear line where they do not fit."""

import io
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from dso.errors import UserError
from dso.pretraining.model import PretrainedModel
from dso.pretraining.network import Network
from dso.pretraining.vocabulary import Vocabulary
from dso.pretraining.weights import as_files, load_weights
from tests.support.pretraining import TINY


def about(vocabulary: Vocabulary) -> dict:
    return {
        "inputs": vocabulary.n_inputs,
        "functions": list(vocabulary.functions),
        "architecture": TINY.as_dict(),
    }


@pytest.fixture
def file(tmp_path: Path, network: Network, vocabulary: Vocabulary) -> Path:
    """Write the untrained network, return the npz."""
    write(tmp_path, network, about(vocabulary))
    return tmp_path / "own.npz"


def write(folder: Path, network: Network, described: dict) -> None:
    arrays = {name: array.numpy() for name, array in network.state_dict().items()}
    content, text = as_files(arrays, described)
    (folder / "own.npz").write_bytes(content)
    (folder / "own.json").write_bytes(text)


@pytest.mark.parametrize("ending", ["", ".npz", ".json"])
def test_weights_are_read_in_half_precision(file: Path, network: Network, ending: str) -> None:
    found = PretrainedModel.load(file.with_suffix(ending))
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(
            found.network.state_dict()[name].numpy(), array.half().float().numpy()
        )


@pytest.mark.parametrize("ending", ["", ".npz", ".json"])
def test_a_name_may_have_dots(file: Path, ending: str) -> None:
    for own in (".npz", ".json"):
        file.with_suffix(own).rename(file.with_name(f"run-1.5{own}"))
    assert load_weights(file.with_name(f"run-1.5{ending}")).about["inputs"] == 3


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"hello", npy()], ids=["empty", "text", "npy"])
def test_what_is_no_npz_is_refused_whatever_its_checksum(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    described = file.with_suffix(".json")
    about = json.loads(described.read_text())
    described.write_text(json.dumps({**about, "sha256": sha256(content).hexdigest()}))
    with pytest.raises(UserError, match=r"own\.npz is not an npz of numbers"):
        load_weights(file)


def test_no_pickle_is_read_or_written(file: Path) -> None:
    with np.load(file, allow_pickle=False) as data:
        assert all(data[name].dtype == np.float16 for name in data.files)


@pytest.mark.parametrize("kept", [0, 10, -1])
def test_a_file_cut_short_is_refused(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"pretrained\.weights: .*checksum of .*own\.npz"):
        load_weights(file)


def test_files_that_are_missing_or_no_json_are_named(file: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: No such file"):
        load_weights(file.with_name("none"))
    other = file.with_name("two.json")
    other.write_bytes(file.with_suffix(".json").read_bytes())
    with pytest.raises(UserError, match=r"two\.npz: No such file"):
        load_weights(other)
    other.write_text("{")
    with pytest.raises(UserError, match=r"two\.json is not JSON"):
        load_weights(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "has version 2; this dso reads version 1"),
        ({"version": None}, "lacks version"),
        ({"functions": ["add", "const", "sinus"]}, "'sinus'"),
        ({"functions": ["add", "const"]}, "not those of the network and the vocabulary"),
        ({"inputs": 2}, "not those of the network and the vocabulary"),
        ({"architecture": {**TINY.as_dict(), "width": 32}}, "not those of the network"),
        ({"architecture": {"depth": 3}}, "unknown key 'depth'"),
        ({"architecture": [1]}, r"own\.json: network is \[1\]; an object"),
        ({"architecture": {**TINY.as_dict(), "width": "16"}}, r"own\.json: network\.width is '16'"),
        ({"architecture": {**TINY.as_dict(), "width": 16.0}}, r"json: network\.width is 16\.0"),
        ({"architecture": {**TINY.as_dict(), "sketch": 1}}, r"network\.sketch is 1; true or false"),
        ({"architecture": {**TINY.as_dict(), "n_heads": 3}}, "n_heads divides width; given are 3"),
        ({"inputs": "3"}, r"own\.json: inputs is '3'"),
        ({"inputs": True}, r"own\.json: inputs is True"),
        ({"functions": "add"}, r"own\.json: functions is 'add'; a list of names"),
        ({"functions": [1.0]}, r"own\.json: functions is \[1\.0\]; a list of names"),
    ],
)
def test_weights_of_something_else_are_refused(file: Path, change: dict, message: str) -> None:
    described = file.with_suffix(".json")
    content = {**json.loads(described.read_text()), **change}
    described.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    with pytest.raises(UserError, match=message):
        PretrainedModel.load(file)


def test_numbers_that_are_not_finite_are_refused(
    tmp_path: Path, vocabulary: Vocabulary, network: Network
) -> None:
    arrays = {name: array.numpy() for name, array in network.state_dict().items()}
    first = next(iter(arrays))
    content, text = as_files(
        {**arrays, first: np.full_like(arrays[first], np.inf)}, about(vocabulary)
    )
    (tmp_path / "own.npz").write_bytes(content)
    (tmp_path / "own.json").write_bytes(text)
    with pytest.raises(UserError, match=f"{first} is not finite"):
        load_weights(tmp_path / "own")
