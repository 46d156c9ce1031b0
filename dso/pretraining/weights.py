"""Weights on the disk: half-precision arrays in an npz, and a JSON file that describes them.

The JSON holds vocabulary, architecture, recipe and training log, and the SHA-256 of the npz.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.pretraining.architecture import make_architecture
from dso.pretraining.checks import check_whole
from dso.pretraining.vocabulary import Vocabulary

VERSION = 1
NEEDED = ("version", "inputs", "functions", "architecture", "sha256")


@dataclass(frozen=True)
class Weights:
    """A trained network as arrays.

    Attributes
    ----------
    arrays : dict of str to (...) float32
    about : dict
        The JSON.
    """

    arrays: dict[str, np.ndarray]
    about: dict[str, Any]

    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary that the network was trained with.

        Raises
        ------
        UserError
            If it has tokens that this version of dso does not know.
        """
        return Vocabulary(self.about["inputs"], self.about["functions"])


def as_files(arrays: dict[str, np.ndarray], about: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return the content of the npz and of the JSON."""
    buffer = io.BytesIO()
    halves: dict[str, Any] = {name: array.astype(np.float16) for name, array in arrays.items()}
    np.savez(buffer, **halves)
    content = buffer.getvalue()
    described = {"version": VERSION, **about, "sha256": sha256(content).hexdigest()}
    return content, (json.dumps(described, indent=1) + "\n").encode()


def load_weights(path: str | Path) -> Weights:
    """Read weights; `path` names the JSON or the npz, or both without their ending.

    Raises
    ------
    UserError
        If a file is missing, cut short or of another version.
    """
    stem = Path(path)
    stem = stem.with_suffix("") if stem.suffix in (".json", ".npz") else stem
    about, file = _about(Path(f"{stem}.json")), Path(f"{stem}.npz")  # there may be dots in the stem
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"pretrained.weights: {file}: {error.strerror}.") from None
    if sha256(content).hexdigest() != about["sha256"]:
        raise UserError(
            f"pretrained.weights: the checksum of {file} differs from that in its JSON; the file "
            "is truncated, changed, or belongs to another JSON."
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            arrays = {name: data[name].astype(np.float32) for name in data.files}
    except Exception:  # readers of zip and npy raise many kinds
        raise UserError(f"pretrained.weights: {file} is not an npz of numbers.") from None
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(f"pretrained.weights: {file}: {name} is not finite.")
    return Weights(arrays, about)


def _about(file: Path) -> dict[str, Any]:
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"pretrained.weights: {file}: {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"pretrained.weights: {file} is not JSON: {error}.") from None
    missing = [key for key in NEEDED if not isinstance(about, dict) or key not in about]
    if missing:
        raise UserError(f"pretrained.weights: {file} lacks {', '.join(missing)}.")
    if about["version"] != VERSION:
        raise UserError(
            f"pretrained.weights: {file} has version {about['version']!r}; this dso reads version "
            f"{VERSION}."
        )
    _check(about, f"pretrained.weights: {file}: ")
    return about


def _check(about: dict[str, Any], where: str) -> None:
    """Refuse a description whose values have the wrong kind."""
    check_whole(f"{where}inputs", about["inputs"], 1, 1000)
    functions = about["functions"]
    if not isinstance(functions, list) or not all(isinstance(name, str) for name in functions):
        raise UserError(f"{where}functions is {functions!r}; a list of names is needed.")
    try:
        make_architecture(about["architecture"])
    except UserError as error:
        raise UserError(f"{where}{error}") from None
