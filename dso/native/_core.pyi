"""The native core, as far as type checkers need to know it."""

from typing import Any

def __getattr__(name: str) -> Any: ...
