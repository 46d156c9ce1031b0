"""The state of a run as a file, and when such files are written.

A checkpoint is a zip archive: ``state.json``, and one ``.npy`` file for each array in it. There is
no pickle in it, so reading one runs no code.
"""

from __future__ import annotations

import io
import json
import logging
import re
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from dso.errors import UserError
from dso.files import check_regular
from dso.runs.disk import Guard, replace_file

logger = logging.getLogger("dso")

FORMAT = "dso checkpoint"
VERSION = 1
"""Of the layout of the file; one that is newer is refused."""
FOLDER = "checkpoint"
SECONDS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}

_ARRAY = "$array"
_MAX_JSON = 2**28
_MAX_DEPTH = 30


def write_checkpoint(path: Path, about: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a checkpoint, so that a crash at any moment leaves it whole or not there.

    Parameters
    ----------
    path : Path
    about : dict
        What can be told without loading the state: whose it is, and how far it has come.
    state : dict
        Dicts with text keys, lists, numbers, text, None, and numpy arrays of numbers.
    """
    replace_file(path, lambda file: _write(file, about, state), sync=True)


def to_bytes(about: dict[str, Any], state: dict[str, Any]) -> bytes:
    """Return what `write_checkpoint` would write."""
    file = io.BytesIO()
    _write(file, about, state)
    return file.getvalue()


def from_bytes(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `to_bytes` was given; errors are those of `read_checkpoint`."""
    return _read(io.BytesIO(content), "in memory", with_state=True)


def _write(file: IO[bytes], about: dict[str, Any], state: dict[str, Any]) -> None:
    arrays: list[np.ndarray] = []
    tree = _without_arrays(state, arrays, "state")
    whole = {"format": FORMAT, "version": VERSION, "about": about, "state": tree}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("state.json", json.dumps(whole))
        for i, array in enumerate(arrays):
            with archive.open(f"{i}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _without_arrays(value: Any, arrays: list[np.ndarray], place: str) -> Any:
    """Replace arrays by their numbers, and collect them."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays.append(np.asarray(value, order="C"))
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {k: _without_arrays(v, arrays, f"{place}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(v, arrays, f"{place}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UserError(
        f"checkpoint: {place} is a {type(value).__name__}; a state_dict may hold numpy arrays of "
        "numbers, numbers, text, None, lists, and dicts with text keys."
    )


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `write_checkpoint` was given.

    Raises
    ------
    UserError
        If the file is cut off or damaged, no checkpoint, or from a newer version.
    """
    return _read(path, path, with_state=True)


def peek(path: Path) -> dict[str, Any]:
    """Return what a checkpoint tells about itself, without its arrays.

    Raises
    ------
    UserError
        As `read_checkpoint` does.
    """
    return _read(path, path, with_state=False)[0]


def _read(
    file: Path | IO[bytes], path: Path | str, *, with_state: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        if isinstance(file, Path):
            check_regular(file)
        with zipfile.ZipFile(file) as archive:
            whole = json.loads(_member(archive, "state.json", _MAX_JSON))
            _check_kind(whole, path)
            state = _with_arrays(whole["state"], archive) if with_state else {}
            return whole["about"], state
    except OSError as error:
        raise UserError(f"checkpoint '{path}' cannot be read: {error.strerror or error}.") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        MemoryError,
        RecursionError,
        NotImplementedError,
        RuntimeError,
        OverflowError,
    ) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"checkpoint '{path}' is cut off, damaged, or not a checkpoint of dso ({error})."
        ) from None


def _check_kind(whole: Any, path: Path | str) -> None:
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise UserError(f"checkpoint '{path}' is not a checkpoint of dso.")
    version = whole.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise UserError(
            f"checkpoint '{path}' has version {version!r}, this dso reads up to {VERSION}; "
            "it was written by a newer dso."
        )
    if not isinstance(whole["about"], dict) or not isinstance(whole["state"], dict):
        raise UserError(f"checkpoint '{path}' is not a checkpoint of dso.")


def _member(archive: zipfile.ZipFile, name: str, limit: int | None = None) -> bytes:
    """Return one file of the archive; its checksum is that which was written."""
    info = archive.getinfo(name)
    # We write without compression, so nothing can become larger than the archive is.
    if info.compress_type != zipfile.ZIP_STORED or (limit and info.file_size > limit):
        raise ValueError(f"{name} is not as dso writes it")
    return archive.read(info)


def _with_arrays(value: Any, archive: zipfile.ZipFile, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return _array(_member(archive, f"{int(value[_ARRAY])}.npy"))
        return {key: _with_arrays(item, archive, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item, archive, depth + 1) for item in value]
    return value


def _array(content: bytes) -> np.ndarray:
    """Read an array whose header promises no more than there is."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array of another version")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biuf" or is_fortran or min(shape, default=0) < 0:
        raise ValueError("an array that dso does not write")
    values = np.frombuffer(content[file.tell() :], dtype) if 0 not in shape else np.empty(0, dtype)
    return values.reshape(shape).copy()


class Checkpoints:
    """Write the checkpoints of one run, and find them again.

    They stand in the folder ``checkpoint`` of the run folder, by the number of iterations done. The
    last two are kept, in case one of them is damaged.

    Parameters
    ----------
    run_folder : Path
    prefix : str
        Of the run's files.
    guard : Guard
        Decides what happens where a checkpoint cannot be written.
    save_freq : float or None
        Save after this many `units`; None is never.
    units : {"hours", "minutes", "seconds", "iterations"}
    """

    N_KEPT = 2

    def __init__(
        self,
        run_folder: Path,
        prefix: str,
        guard: Guard,
        save_freq: float | None = None,
        units: str = "hours",
    ) -> None:
        self.folder = run_folder / FOLDER
        self.prefix = prefix
        self.guard = guard
        self.save_freq = save_freq
        self.units = units
        self._last = (time.monotonic(), 0)

    @property
    def are_wanted(self) -> bool:
        """Whether any are written while the run goes on."""
        return self.save_freq is not None

    def start(self, iteration: int) -> None:
        """Count from now, and from this iteration, to the next checkpoint."""
        self._last = (time.monotonic(), iteration)

    def is_due(self, iteration: int) -> bool:
        """Tell whether to save after this iteration."""
        if self.save_freq is None:
            return False
        seconds, before = self._last
        if self.units == "iterations":
            return iteration - before >= self.save_freq
        return time.monotonic() - seconds >= self.save_freq * SECONDS[self.units]

    def save(self, iteration: int, about: dict[str, Any], state: dict[str, Any]) -> Path:
        """Write a checkpoint and remove those that are no longer needed."""
        path = self.folder / f"{self.prefix}_{iteration:09d}.zip"
        with self.guard(path.with_name(self.prefix)):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_checkpoint(path, {**about, "iteration": iteration}, state)
            for old in self.found()[self.N_KEPT :]:
                old.unlink(missing_ok=True)
        self.start(iteration)
        return path

    def found(self) -> list[Path]:
        """Return the run's checkpoints, the newest first."""
        name = re.compile(rf"{re.escape(self.prefix)}_\d{{9,}}\.zip")
        if not self.folder.is_dir():
            return []
        ours = [path for path in self.folder.iterdir() if name.fullmatch(path.name)]
        return sorted(ours, key=lambda path: int(path.stem.rpartition("_")[2]), reverse=True)

    def readable(self) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
        """Yield the checkpoints that can be read, the newest first; say why one cannot be."""
        for path in self.found():
            try:
                yield path, *read_checkpoint(path)
            except UserError as error:
                logger.warning("%s The one before it is taken, if there is one.", error)

    def clear(self) -> None:
        """Remove the run's checkpoints, and what a crash left of one."""
        with self.guard(self.folder):
            if not self.folder.is_dir():
                return
            leftover = re.compile(rf"\.{re.escape(self.prefix)}_\d{{9,}}\.zip\.[0-9a-f]+")
            halves = [path for path in self.folder.iterdir() if leftover.fullmatch(path.name)]
            for path in [*self.found(), *halves]:
                path.unlink(missing_ok=True)


def find_runs(run_folder: Path) -> list[str]:
    """Return the prefixes of the runs in a folder that have a checkpoint."""
    folder = run_folder / FOLDER
    name = re.compile(r"(dso_.*_\d+)_\d{9,}\.zip")
    names = [name.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted({match[1] for match in names if match})
