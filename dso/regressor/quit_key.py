"""q and Enter end a search."""

from __future__ import annotations

import sys


class QuitKey:
    """Look whether somebody typed a line with ``q`` into the terminal, without waiting for it.

    Where the input is not a terminal, or cannot be asked (Windows), nobody can.
    """

    def __init__(self) -> None:
        try:
            self._is_terminal = sys.stdin is not None and sys.stdin.isatty()
        except ValueError:  # closed
            self._is_terminal = False

    def is_pressed(self) -> bool:
        """Return whether the line that is waiting, if there is one, is ``q``."""
        if not self._is_terminal:
            return False
        import select

        try:
            ready = select.select([sys.stdin], [], [], 0)[0]
            return bool(ready) and sys.stdin.readline().strip().lower() == "q"
        except (OSError, ValueError):  # the terminal is gone, or what was typed is not text
            self._is_terminal = False
            return False
