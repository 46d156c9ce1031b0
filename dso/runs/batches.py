"""A batch of several configs, read from its folder: its settings, and where their runs are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BATCH_FILE = "batch.json"
BATCH_FORMAT = "dso batch"
VERSION = 1


@dataclass(frozen=True)
class Setting:
    """One config of a batch.

    Attributes
    ----------
    folder : Path
        Of its runs; made once the first of them has done an iteration.
    values : dict
        The keys in which it differs from the others, e.g. ``{"training.epsilon": 0.1}``.
    """

    folder: Path
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The values as people read them; the name of the folder where there are none."""
        shown = (f"{place.rpartition('.')[2]}={_shown(v)}" for place, v in self.values.items())
        return ", ".join(shown) or self.folder.resolve().name


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def settings_of(folder: Path) -> list[Setting]:
    """Return the settings of the folder of a batch; of any other folder, itself alone."""
    try:
        whole = json.loads((folder / BATCH_FILE).read_text(encoding="utf-8"))
        return [
            Setting(
                folder / Path(entry["config"]["experiment"]["exp_name"]).name,
                dict(entry["varied"]),
            )
            for entry in whole["entries"]
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return [Setting(folder)]
