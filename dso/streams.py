"""Random streams: every draw belongs to a (seed, name, iteration), never to a global generator."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np


@dataclass(frozen=True)
class Stream:
    """One independent source of random numbers.

    Two streams that differ in any field are independent, so a part that draws more or less than
    before changes nothing elsewhere.
    """

    seed: int
    name: str
    iteration: int = 0

    @property
    def key(self) -> int:
        """The 64-bit key under which the native generator counts (row, attempt, step)."""
        text = f"{self.seed}/{self.name}/{self.iteration}".encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")

    def generator(self) -> np.random.Generator:
        """Return a fresh numpy generator at the start of this stream."""
        return np.random.Generator(np.random.Philox(key=self.key))
