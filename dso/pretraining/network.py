"""The network: from a table to the next token, a set encoder and a causal decoder.

The encoder turns rows into a few vectors whose order of rows does not matter. The default lets
learned queries read standardised features of the rows, twice (Perceiver); `set_transformer` is that
of Lee et al. with induced points. The decoder is a transformer over our own prefix order that reads
these vectors. It also sees parent and sibling of the token to come, as the policy does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dso.pretraining.architecture import Architecture

N_SCALAR_FEATURES, N_BITS = 9, 16


# ---- features of rows ----------------------------------------------------------------------------


def row_features(x: Tensor, y: Tensor, level: Tensor, kind: str) -> Tensor:
    """Return the features (B, N, F) of rows.

    Parameters
    ----------
    x : (B, N, D)
    y : (B, N)
        Standardised.
    level : (B, 2)
        As in `Tables`.
    kind : {"scalars", "bits"}
    """
    whole = torch.cat([x, y[..., None]], dim=-1)
    if kind == "bits":
        features = half_bits(whole).flatten(-2)
    else:
        features = scalar_features(whole).flatten(-2)
    return torch.cat([features, level[:, None].expand(-1, x.shape[1], -1)], dim=-1)


def scalar_features(values: Tensor) -> Tensor:
    """Return nine functions (..., 9) of each number."""
    size = values.abs()
    log = torch.log(size + 1e-3)
    return torch.stack(
        [
            values.clamp(-12, 12) * 0.25,
            torch.asinh(values),
            log * 0.5,
            torch.sign(values),
            torch.exp(-size),
            (values * values * 0.1).clamp(max=5),
            torch.sin(values),
            torch.cos(values),
            torch.tanh(values * 0.5),
        ],
        dim=-1,
    )


def half_bits(values: Tensor) -> Tensor:
    """Return the 16 bits of each number in half precision, as -1 and 1."""
    bits = values.clamp(-65504, 65504).to(torch.float16).view(torch.int16).to(torch.int32)
    places = torch.arange(15, -1, -1, device=values.device, dtype=torch.int32)
    return ((bits[..., None] >> places) & 1).to(values.dtype) * 2 - 1


def table_sketch(x: Tensor, y: Tensor) -> Tensor:
    """Return correlations (B, 2 S) of the target, and of its asinh, with S functions of the inputs.

    Parameters
    ----------
    x : (B, N, D)
    y : (B, N)
    """
    functions = torch.stack(_simple_functions(x), dim=1)  # (B, S, N)
    targets = torch.stack([y, torch.asinh(3 * y)], dim=1)  # (B, 2, N)
    found = _unit(targets) @ _unit(functions).transpose(1, 2)
    return found.flatten(1)


def _unit(rows: Tensor) -> Tensor:
    apart = rows - rows.mean(dim=-1, keepdim=True)
    return apart / (apart.norm(dim=-1, keepdim=True) + 1e-6)


def _simple_functions(x: Tensor) -> list[Tensor]:
    columns = list(x.unbind(dim=-1))
    found: list[Tensor] = []
    for v in columns:
        size = v.abs()
        found += [v, v * v, v**3, size, size.sqrt(), torch.log(size + 1e-3), v / (v * v + 1e-2)]
        found += [torch.exp(v.clamp(-8, 6)), torch.exp(-v.clamp(-6, 8)), torch.tanh(v)]
        found += [torch.sin(v), torch.cos(v), torch.sin(2 * v), torch.cos(2 * v)]
    for i, u in enumerate(columns):
        for v in columns[i + 1 :]:
            product, apart = u * v, u - v
            found += [product, _ratio(u, v), _ratio(v, u), u * product, v * product]
            found += [apart * apart, product.abs().sqrt(), torch.sin(product)]
    if len(columns) == 3:
        a, b, c = columns
        found += [a * b * c, _ratio(a * b, c), _ratio(a * c, b), _ratio(b * c, a)]
    return found


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return a * b / (b * b + 1e-2)


def n_simple_functions(n_inputs: int) -> int:
    """Return S, the number of functions in a sketch."""
    return 14 * n_inputs + 4 * n_inputs * (n_inputs - 1) + 4 * (n_inputs == 3)


# ---- layers --------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Several heads of attention, each vector of `read` seen by those that ask."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def heads(self, vectors: Tensor) -> Tensor:
        """Split (B, T, width) into (B, heads, T, width / heads)."""
        return vectors.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def keys_and_values(self, read: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is asked for and what is read of vectors (B, S, width)."""
        keys, values = self.key_value(read).chunk(2, dim=-1)
        return self.heads(keys), self.heads(values)

    def attend(
        self, asking: Tensor, keys: Tensor, values: Tensor, is_causal: bool = False
    ) -> Tensor:
        """Return (B, T, width)."""
        # Spelled out: torch's fused form takes half of a whole training step on a CPU, going back.
        queries = self.heads(self.query(asking)) * (asking.shape[-1] / self.n_heads) ** -0.5
        scores = queries @ keys.transpose(-1, -2)  # (B, heads, T, S)
        if is_causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        found = scores.softmax(dim=-1).to(values.dtype) @ values
        return self.out(found.transpose(1, 2).flatten(-2))

    def forward(self, asking: Tensor, read: Tensor, is_causal: bool = False) -> Tensor:
        return self.attend(asking, *self.keys_and_values(read), is_causal=is_causal)


class FeedForward(nn.Module):
    """Two layers, applied to each vector."""

    def __init__(self, width: int, widening: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, widening * width)
        self.outer = nn.Linear(widening * width, width)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.outer(F.silu(self.inner(vectors)))


class Reading(nn.Module):
    """Vectors read others, then each is worked on."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        width = sizes.width
        self.norm_asking, self.norm_read = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, sizes.n_heads)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, sizes.widening)

    def forward(self, vectors: Tensor, read: Tensor) -> Tensor:
        vectors = vectors + self.attention(self.norm_asking(vectors), self.norm_read(read))
        return vectors + self.feed_forward(self.norm(vectors))


class Mixing(nn.Module):
    """Vectors read each other, then each is worked on."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(sizes.width)
        self.attention = Attention(sizes.width, sizes.n_heads)
        self.norm = nn.LayerNorm(sizes.width)
        self.feed_forward = FeedForward(sizes.width, sizes.widening)

    def forward(self, vectors: Tensor) -> Tensor:
        normed = self.norm_attention(vectors)
        vectors = vectors + self.attention(normed, normed)
        return vectors + self.feed_forward(self.norm(vectors))


class Perceiver(nn.Module):
    """Learned queries read the rows at the start and in the middle of their layers."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(sizes.n_latents, sizes.width) * 0.5)
        self.readings = nn.ModuleList([Reading(sizes), Reading(sizes)])
        n_first = (sizes.n_encoder_layers + 1) // 2
        layers = [Mixing(sizes) for _ in range(sizes.n_encoder_layers)]
        self.layers = nn.ModuleList(
            [nn.ModuleList(layers[:n_first]), nn.ModuleList(layers[n_first:])]
        )

    def forward(self, rows: Tensor, about: Tensor) -> Tensor:
        """Return (B, n_latents + 1, width) of rows (B, N, width) and a vector (B, width)."""
        latents = self.latents.expand(len(rows), -1, -1)
        vectors = torch.cat([latents, about[:, None]], dim=1)
        for reading, layers in zip(self.readings, self.layers, strict=True):
            vectors = reading(vectors, rows)
            for layer in layers:  # type: ignore[attr-defined]
                vectors = layer(vectors)
        return vectors


class SetTransformer(nn.Module):
    """Rows read each other through induced points; at the end learned queries read the rows."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        n_layers = max(1, sizes.n_encoder_layers // 2)
        shape = (n_layers, sizes.n_latents, sizes.width)
        self.induced = nn.Parameter(torch.randn(shape) * 0.5)
        self.down = nn.ModuleList([Reading(sizes) for _ in range(n_layers)])
        self.up = nn.ModuleList([Reading(sizes) for _ in range(n_layers)])
        self.latents = nn.Parameter(torch.randn(sizes.n_latents, sizes.width) * 0.5)
        self.pooling = Reading(sizes)

    def forward(self, rows: Tensor, about: Tensor) -> Tensor:
        """Return (B, n_latents + 1, width) of rows (B, N, width) and a vector (B, width)."""
        for induced, down, up in zip(self.induced, self.down, self.up, strict=True):
            rows = up(rows, down(induced.expand(len(rows), -1, -1), rows))
        latents = self.latents.expand(len(rows), -1, -1)
        return self.pooling(torch.cat([latents, about[:, None]], dim=1), rows)


class DecoderLayer(nn.Module):
    """Tokens read those before them, then the table."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        width = sizes.width
        self.norm_own, self.norm_table = nn.LayerNorm(width), nn.LayerNorm(width)
        self.own, self.table = Attention(width, sizes.n_heads), Attention(width, sizes.n_heads)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, sizes.widening)

    def forward(self, vectors: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        """Work on whole programs (B, T, width); `table` are keys and values of the encoder."""
        normed = self.norm_own(vectors)
        vectors = vectors + self.own(normed, normed, is_causal=True)
        return self._rest(vectors, table)

    def step(
        self, vectors: Tensor, cache: tuple[Tensor, Tensor] | None, table: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Work on one position (B, 1, width); `cache` are keys and values of those before."""
        normed = self.norm_own(vectors)
        own = self.own.keys_and_values(normed)
        if cache is not None:
            own = torch.cat([cache[0], own[0]], dim=2), torch.cat([cache[1], own[1]], dim=2)
        vectors = vectors + self.own.attend(normed, *own)
        return self._rest(vectors, table), own

    def _rest(self, vectors: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
        vectors = vectors + self.table.attend(self.norm_table(vectors), *table)
        return vectors + self.feed_forward(self.norm(vectors))


# ---- the whole -----------------------------------------------------------------------------------

Memory = list[tuple[Tensor, Tensor]]
"""Of each decoder layer the keys and values of a table, (B, heads, n_latents + 1, ...)."""
Cache = list[tuple[Tensor, Tensor] | None]
"""Of each decoder layer the keys and values of the tokens so far."""


class Network(nn.Module):
    """From tables and prefixes to logits.

    Parameters
    ----------
    sizes : Architecture
    n_inputs : int
        D.
    n_tokens : int
        V.
    sees_data : bool
        Without, it is a language model: it knows the allowed tokens, but not the rows.
    """

    def __init__(
        self, sizes: Architecture, n_inputs: int, n_tokens: int, *, sees_data: bool = True
    ) -> None:
        super().__init__()
        self.sizes, self.n_inputs, self.n_tokens = sizes, n_inputs, n_tokens
        self.sees_data = sees_data
        width = sizes.width
        if sees_data:
            n_features = (N_BITS if sizes.rows == "bits" else N_SCALAR_FEATURES) * (n_inputs + 1)
            self.rows = nn.Sequential(
                nn.Linear(n_features + 2, width), nn.SiLU(), nn.Linear(width, width)
            )
            kind = Perceiver if sizes.encoder == "perceiver" else SetTransformer
            self.encoder = kind(sizes)
        self.about = nn.Linear(n_tokens + 2, width)
        if sees_data and sizes.sketch:
            n_sketch = 2 * n_simple_functions(n_inputs)
            self.sketch = nn.Sequential(
                nn.Linear(n_sketch, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
            )
        self.norm_memory = nn.LayerNorm(width)
        self.token = nn.Embedding(n_tokens + 1, width)  # the last is the start
        self.parent = nn.Embedding(n_tokens + 1, width)
        self.sibling = nn.Embedding(n_tokens + 1, width)
        self.position = nn.Embedding(sizes.max_length, width)
        self.layers = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.n_decoder_layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_tokens)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.3)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        n_branches = 3 * self.sizes.n_decoder_layers
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            for last in (layer.own.out, layer.table.out, layer.feed_forward.outer):
                last.weight.data /= n_branches**0.5

    def read(self, x: Tensor, y: Tensor, level: Tensor, allowed: Tensor) -> Memory:
        """Return what the decoder reads of tables.

        Parameters
        ----------
        x, y, level, allowed : Tensor
            As in `Tables`; `allowed` as numbers.
        """
        about = self.about(torch.cat([allowed, level], dim=-1))
        if self.sees_data:
            rows = self.rows(row_features(x, y, level, self.sizes.rows))
            if self.sizes.sketch:
                about = about + self.sketch(table_sketch(x, y))
            vectors = self.encoder(rows, about)
        else:
            vectors = about[:, None]
        vectors = self.norm_memory(vectors)
        return [layer.table.keys_and_values(vectors) for layer in self.layers]  # type: ignore

    def logits(self, memory: Memory, before: Tensor, parent: Tensor, sibling: Tensor) -> Tensor:
        """Return logits (B, T, V) of all positions of programs.

        Parameters
        ----------
        memory : Memory
        before, parent, sibling : (B, T) int64
            The token before each position, and what the one to come is below and after; V is none.
        """
        places = torch.arange(before.shape[1], device=before.device)
        vectors = self._embedded(before, parent, sibling, places)
        for layer, table in zip(self.layers, memory, strict=True):
            vectors = layer(vectors, table)
        return self.head(self.norm(vectors))

    def step(
        self,
        memory: Memory,
        cache: Cache,
        place: int,
        before: Tensor,
        parent: Tensor,
        sibling: Tensor,
    ) -> tuple[Tensor, Cache]:
        """Return logits (B, V) of one position, and the cache with it.

        `before`, `parent` and `sibling` are (B,).
        """
        places = torch.tensor([place], device=before.device)
        vectors = self._embedded(before[:, None], parent[:, None], sibling[:, None], places)
        grown: Cache = []
        for layer, table, known in zip(self.layers, memory, cache, strict=True):
            assert isinstance(layer, DecoderLayer)
            vectors, own = layer.step(vectors, known, table)
            grown.append(own)
        return self.head(self.norm(vectors))[:, 0], grown

    def _embedded(self, before: Tensor, parent: Tensor, sibling: Tensor, places: Tensor) -> Tensor:
        return (
            self.token(before) + self.parent(parent) + self.sibling(sibling) + self.position(places)
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread, since with more its sums may differ in the last bit."""
    n_before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_before)
