"""One search as several, the *islands*, that exchange their best programs in synchronous rounds.

A round is a pure function: so the result does not depend on which process does it, how many there
are, nor whether one that was lost has to be replaced. An *engine* does the rounds; the
`Archipelago` is all islands together, to its caller one search.
"""

from dso.islands.archipelago import Archipelago, make_search
from dso.islands.engine import Engine, island_engine, one_by_one

__all__ = ["Archipelago", "Engine", "island_engine", "make_search", "one_by_one"]
