"""Architecture: sizes and kinds of a network, as the files of weights name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from dso.errors import UserError
from dso.pretraining.checks import check_flag, check_whole

ENCODERS = ("perceiver", "set_transformer")
ROW_FEATURES = ("scalars", "bits")


@dataclass(frozen=True)
class Architecture:
    """Sizes and kinds of a network.

    Attributes
    ----------
    width : int
        Of every vector.
    n_heads : int
    n_latents : int
        Vectors that the decoder reads, besides one for table and tokens.
    n_encoder_layers, n_decoder_layers : int
    widening : int
        Hidden units of a feed-forward layer, in widths.
    encoder : {"perceiver", "set_transformer"}
    rows : {"scalars", "bits"}
        Features of a row: functions of its numbers, or their half-precision bits.
    sketch : bool
        Whether the encoder also gets correlations of the target with simple functions.
    max_length : int
        Longest program.
    """

    width: int = 128
    n_heads: int = 4
    n_latents: int = 16
    n_encoder_layers: int = 4
    n_decoder_layers: int = 3
    widening: int = 3
    encoder: str = "perceiver"
    rows: str = "scalars"
    sketch: bool = True
    max_length: int = 32

    def __post_init__(self) -> None:
        for name, allowed in (("encoder", ENCODERS), ("rows", ROW_FEATURES)):
            if getattr(self, name) not in allowed:
                raise UserError(f"network.{name} is {getattr(self, name)!r}, not one of {allowed}.")
        for f in fields(self):
            if f.type == "int":
                check_whole(f"network.{f.name}", getattr(self, f.name), 1, 10_000)
        check_flag("network.sketch", self.sketch)
        if self.width % self.n_heads:
            raise UserError(
                f"network: n_heads divides width; given are {self.n_heads} and {self.width}."
            )

    def as_dict(self) -> dict[str, Any]:
        """Return all settings by name."""
        return asdict(self)


def make_architecture(settings: Mapping[str, Any]) -> Architecture:
    """Build an architecture from settings by name; the others have their defaults."""
    if not isinstance(settings, Mapping):
        raise UserError(f"network is {settings!r}; an object of settings is needed.")
    known = {f.name for f in fields(Architecture)}
    if unknown := set(settings) - known:
        raise UserError(f"network: unknown key {min(unknown)!r}. Allowed: {sorted(known)}.")
    return Architecture(**settings)
