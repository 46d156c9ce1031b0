"""Write the reference files in config/ and the schema for editors from dso/config/.

Usage: python scripts/write_config_files.py [--check]

With --check nothing is written; the exit status is 1 where a file is not what would be written.
"""

import json
import sys
from pathlib import Path

from dso.config.config import TASK_DEFAULTS, Config, common_defaults
from dso.config.document import document

CONFIG = Path(__file__).resolve().parent.parent / "config"
WRITTEN_BY = "Written by scripts/write_config_files.py: change dso/config/, not this."
HEADS = {
    "config_common.json": (
        "The defaults of every task, and the meaning of every key. A config of your own holds only "
        "what it changes: it is laid over these and over those of its task, dicts key by key, "
        "everything else replaced."
    ),
    "config_regression.json": (
        "What regression sets beyond config_common.json: the whole task section, and what differs "
        "in others."
    ),
    "config_control.json": (
        "What control sets beyond config_common.json: the whole task section, and what differs in "
        "others."
    ),
}


def reference_files() -> dict[str, str]:
    """Return the text of each generated file by its name."""
    values = {
        "config_common.json": common_defaults(),
        "config_regression.json": TASK_DEFAULTS["regression"],
        "config_control.json": TASK_DEFAULTS["control"],
    }
    files = {
        name: document(f"{HEADS[name]} {WRITTEN_BY}", sections, "schema.json")
        for name, sections in values.items()
    }
    return files | {"schema.json": json.dumps(schema(), indent=1) + "\n"}


def schema() -> dict:
    """Return the JSON schema of a config."""
    result = Config.model_json_schema()
    # An unknown section is ignored with a warning, which an editor had better give.
    result["properties"]["$schema"] = {"type": "string"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **result}


def main() -> int:
    stale = [name for name, text in reference_files().items() if _read(CONFIG / name) != text]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"config/{name} is not what scripts/write_config_files.py writes")
        return 1 if stale else 0
    CONFIG.mkdir(exist_ok=True)
    for name in stale:
        (CONFIG / name).write_text(reference_files()[name], encoding="utf-8")
        print(f"wrote config/{name}")
    return 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
