"""What the policy observes of a traversal, and the table that feeds it to the network.

Each observed feature (previous action, parent, sibling) is a symbol, one more than there are tokens
so that "none" has its own. One-hot symbols times the input kernel are rows of that kernel; embedded
ones are rows of embedding times kernel. Either way the first layer's input is a sum of table rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dso.errors import UserError
from dso.library import Library
from dso.native import _core


@dataclass(frozen=True)
class StateManager:
    """Choice of observations.

    Parameters
    ----------
    observe_action, observe_parent, observe_sibling, observe_dangling : bool
        At least one is true. The last is the number of open slots, entered as a number.
    embedding : bool
        Learn a vector per symbol in place of a one-hot code.
    embedding_size : int
    """

    observe_action: bool = False
    observe_parent: bool = True
    observe_sibling: bool = True
    observe_dangling: bool = False
    embedding: bool = False
    embedding_size: int = 8

    def __post_init__(self) -> None:
        if not any(
            (self.observe_action, self.observe_parent, self.observe_sibling, self.observe_dangling)
        ):
            raise UserError("state_manager: at least one of observe_* must be true.")

    def symbols(self, library: Library) -> dict[str, int]:
        """Return the number of symbols of each observed feature, in table order."""
        sizes = {"action": library.L + 1, "parent": library.n_parents + 1, "sibling": library.L + 1}
        return {name: size for name, size in sizes.items() if getattr(self, f"observe_{name}")}

    def n_inputs(self, library: Library) -> int:
        """Return the rows of the input kernel: the width of the network's input vector."""
        symbols = self.symbols(library)
        width = len(symbols) * self.embedding_size if self.embedding else sum(symbols.values())
        return width + self.observe_dangling

    def observation(self, library: Library) -> _core.Observation:
        """Return the native description of where each feature's rows begin in the table."""
        rows, offsets = 0, {"action": -1, "parent": -1, "sibling": -1}
        for name, size in self.symbols(library).items():
            offsets[name] = rows
            rows += size
        return _core.Observation(
            **offsets,
            open_slots=self.observe_dangling,
            parent_index=np.asarray(library.parent_adjust).tolist(),
            n_parents=library.n_parents,
        )

    def table(self, kernel: Tensor, embeddings: Sequence[Tensor]) -> Tensor:
        """Return the input table (symbols, G) from the input kernel (n_inputs, G)."""
        if not self.embedding:
            return kernel
        size = self.embedding_size
        blocks = [e @ kernel[i * size : (i + 1) * size] for i, e in enumerate(embeddings)]
        return torch.cat([*blocks, kernel[len(embeddings) * size :]])
