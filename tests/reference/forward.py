"""An independent numpy forward pass over a GGUF file.

The problem: an engine can be wrong in a way that still produces fluent text. A rotation with the wrong pairing, a window that is one
token too wide or a scaling factor that is applied twice costs a little quality and nothing else shows it. The idea: compute the logits
a second time, from the published formulas, with no caching, no batching, no quantised activations and no shared code, and demand
equality. Everything here is written to be read next to the formulas; speed does not matter.

Covered: `llama`, `qwen2`, `qwen3`, `gemma3`, `phi3` as GGUF files describe them (metadata keys and tensor names as in llama.cpp).

Letters for dimensions: T tokens, H query heads, KVH key/value heads, D head size, E model size, F feed-forward size, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma3", "phi3")


@dataclass(frozen=True)
class RopeConfig:
    """Everything that decides the rotation angles. See `rotation`."""

    dims: int  # how many leading elements of a head are rotated; the rest pass through
    base: float = 10000.0
    kind: str = "linear"  # none | linear | yarn | longrope
    factor: float = 1.0  # context extension: angles shrink by this much
    original_context: int = 0
    attn_factor: float = 1.0  # scales cosine and sine, so attention scores by its square
    ext_factor: float = 1.0  # YaRN: 1 mixes interpolation and extrapolation, 0 is plain interpolation
    beta_fast: float = 32.0  # YaRN: dimensions that turn more often than this within the original context are left alone
    beta_slow: float = 1.0  # YaRN: dimensions that turn less often than this are interpolated in full


@dataclass(frozen=True)
class Config:
    """The shape of a model, from its metadata."""

    arch: str
    layers: int
    embd: int
    heads: int
    kv_heads: int
    key_size: int
    value_size: int
    eps: float
    context: int
    rope: RopeConfig
    attn_scale: float
    attn_soft_cap: float = 0.0
    final_soft_cap: float = 0.0
    window: int = 0
    local_base: float = 10000.0
    is_local: tuple[bool, ...] = ()
    neox_pairs: bool = True  # element i turns with element i + dims/2; False (files of the `llama` family): 2i turns with 2i+1


def local_layers(pattern, layers: int) -> tuple[bool, ...]:
    """Which layers attend in a sliding window: an explicit list, or every layer except each `pattern`-th one."""
    if isinstance(pattern, (list, tuple, np.ndarray)):
        return tuple(bool(p) for p in pattern)
    return tuple((layer + 1) % pattern != 0 if pattern > 0 else True for layer in range(layers))


def read_config(metadata: dict) -> Config:
    """Reads the keys of `metadata` (key -> value) with the defaults that the format defines."""
    arch = metadata["general.architecture"]
    if arch not in ARCHITECTURES:
        raise ValueError(f"architecture {arch!r} is not one of {', '.join(ARCHITECTURES)}")

    def get(key, default=None):
        return metadata.get(f"{arch}.{key}", default)

    layers, embd, heads = get("block_count"), get("embedding_length"), get("attention.head_count")
    key_size = get("attention.key_length", embd // heads)
    context = get("context_length")
    rope = RopeConfig(
        dims=get("rope.dimension_count", key_size),
        base=get("rope.freq_base", 10000.0),
        kind=get("rope.scaling.type", "linear"),
        factor=get("rope.scaling.factor", get("rope.scale_linear", 0.0)) or 1.0,
        original_context=get("rope.scaling.original_context_length", context),
        attn_factor=get("rope.scaling.attn_factor", 1.0),
        ext_factor=get("rope.scaling.yarn_ext_factor", 1.0),
        beta_fast=get("rope.scaling.yarn_beta_fast", 32.0),
        beta_slow=get("rope.scaling.yarn_beta_slow", 1.0),
    )
    # Gemma 3 27B (62 layers) is the one model that divides by the root of E/H and not of the head size; no key says so.
    scale_size = embd // heads if arch == "gemma3" and layers == 62 else key_size
    window = get("attention.sliding_window", 0) if arch == "gemma3" else 0
    pattern = get("attention.sliding_window_pattern", 6)
    return Config(
        arch=arch,
        layers=layers,
        embd=embd,
        heads=heads,
        kv_heads=get("attention.head_count_kv", heads),
        key_size=key_size,
        value_size=get("attention.value_length", embd // heads),
        eps=get("attention.layer_norm_rms_epsilon"),
        context=context,
        rope=rope,
        attn_scale=get("attention.scale", 0.0) or 1.0 / math.sqrt(scale_size),
        attn_soft_cap=get("attn_logit_softcapping", 0.0),
        final_soft_cap=get("final_logit_softcapping", 0.0),
        window=window,
        local_base=get("rope.freq_base_swa", 10000.0),
        is_local=local_layers(pattern, layers) if window else (False,) * layers,
        neox_pairs=arch != "llama",
    )


def yarn_ramp(rope: RopeConfig) -> np.ndarray:
    """YaRN's share of extrapolation for each rotated pair: 1 keeps the original frequency, 0 divides it by the factor.

    A pair of index i turns r = original_context / (2 pi base^(2i/dims)) times within the original context. Solving for i gives the two
    pair indices where r is beta_fast and beta_slow; they are rounded outwards, and the share falls linearly in i between them.
    """

    def index_that_turns(times: float) -> float:
        return rope.dims * math.log(rope.original_context / (times * 2 * math.pi)) / (2 * math.log(rope.base))

    low = max(0.0, math.floor(index_that_turns(rope.beta_fast)))
    high = min(rope.dims - 1.0, math.ceil(index_that_turns(rope.beta_slow)))
    i = np.arange(rope.dims // 2, dtype=np.float64)
    return 1.0 - np.clip((i - low) / max(0.001, high - low), 0.0, 1.0)


def rotation(rope: RopeConfig, divisors: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Returns (angle per position of each pair [dims/2], factor on cosine and sine).

    `divisors` [dims/2] are per-pair factors stored in the file: Llama 3's `rope_freqs`, or one of longrope's two lists. All scalings
    are linear in the position, so one effective frequency per pair says everything.
    """
    frequency = rope.base ** (-np.arange(0, rope.dims, 2, dtype=np.float64) / rope.dims)
    if divisors is not None:
        frequency = frequency / divisors.astype(np.float64)
    shrink = 1.0 if rope.kind == "none" else 1.0 / rope.factor
    magnitude = rope.attn_factor
    if rope.kind == "yarn" and rope.ext_factor != 0.0:
        keep = yarn_ramp(rope) * rope.ext_factor
        magnitude *= 1.0 + 0.1 * math.log(rope.factor) if rope.factor > 1.0 else 1.0
    else:
        keep = 0.0
    return frequency * (shrink * (1.0 - keep) + keep), magnitude


def rotate(x: np.ndarray, positions: np.ndarray, frequency: np.ndarray, magnitude: float, neox_pairs: bool) -> np.ndarray:
    """Rotates x [T, heads, D] at `positions` [T]. Elements beyond 2*len(frequency) are untouched."""
    half = len(frequency)
    angle = positions[:, None].astype(np.float64) * frequency[None, :]
    cos = (np.cos(angle) * magnitude)[:, None, :].astype(x.dtype)
    sin = (np.sin(angle) * magnitude)[:, None, :].astype(x.dtype)
    first = slice(0, half) if neox_pairs else slice(0, 2 * half, 2)
    second = slice(half, 2 * half) if neox_pairs else slice(1, 2 * half, 2)
    out = x.copy()
    out[..., first] = x[..., first] * cos - x[..., second] * sin
    out[..., second] = x[..., second] * cos + x[..., first] * sin
    return out


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1.0 + np.exp(-x))


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def soft_cap(x: np.ndarray, cap: float) -> np.ndarray:
    return cap * np.tanh(x / cap) if cap else x


def visible(positions: np.ndarray, window: int) -> np.ndarray:
    """[T, T] mask: query row sees key column. A window of W shows the token itself and the W-1 before it; 0 is no window."""
    distance = positions[:, None] - positions[None, :]
    return (distance >= 0) & (distance < window) if window else distance >= 0


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float, cap: float, mask: np.ndarray) -> np.ndarray:
    """q [T, H, D], k and v [T, KVH, D] -> [T, H, Dv]. Query heads share key heads in consecutive groups."""
    group = q.shape[1] // k.shape[1]
    out = np.empty((q.shape[0], q.shape[1], v.shape[2]), q.dtype)
    for head in range(q.shape[1]):
        scores = soft_cap(q[:, head] @ k[:, head // group].T * scale, cap)
        scores = np.where(mask, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        out[:, head] = weights / weights.sum(axis=-1, keepdims=True) @ v[:, head // group]
    return out


class Reader(gguf.GGUFReader):
    """Looks at the file as a plain array: each slice of a numpy.memmap is one too, which costs more than a vocabulary's strings."""

    @property
    def data(self) -> np.ndarray:
        return self._data

    @data.setter
    def data(self, mapped: np.ndarray) -> None:
        self._data = mapped.view(np.ndarray)


class Model:
    """A GGUF file and its forward pass. float64 is right for small models; float32 halves memory and time for real ones."""

    def __init__(self, path: str | Path, dtype=np.float64):
        reader = Reader(path)
        self.dtype = dtype
        self.metadata = {name: f.contents() for name, f in reader.fields.items() if not name.startswith("tokenizer.ggml.tokens")}
        self.config = read_config(self.metadata)
        self._stored = {t.name: t for t in reader.tensors}
        self._loaded: dict[str, np.ndarray] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def tensor(self, name: str) -> np.ndarray:
        """The dequantised tensor, [out, in] for a matrix; kept after the first use."""
        if name not in self._loaded:
            stored = self._stored[name]
            values = gguf.quants.dequantize(stored.data, stored.tensor_type)
            self._loaded[name] = np.ascontiguousarray(values, dtype=self.dtype)
        return self._loaded[name]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        y = x @ self.tensor(name + ".weight").T
        return y + self.tensor(name + ".bias") if name + ".bias" in self else y

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        return rms_norm(x, self.tensor(name + ".weight"), self.config.eps)

    def rope_divisors(self, context: int) -> np.ndarray | None:
        """The file's per-pair frequency divisors for a sequence that may grow to `context` tokens."""
        if "rope_freqs.weight" in self:
            return self.tensor("rope_freqs.weight")
        name = "long" if context > self.config.rope.original_context else "short"
        name = f"rope_factors_{name}.weight"
        return self.tensor(name) if name in self else None

    def layer_rotation(self, layer: int, context: int) -> tuple[np.ndarray, float]:
        c = self.config
        if c.is_local[layer]:  # a window never leaves the original context, so local layers are never scaled
            return rotation(RopeConfig(dims=c.rope.dims, base=c.local_base))
        return rotation(c.rope, self.rope_divisors(context))

    def query_key_value(self, layer: int, h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        c, prefix = self.config, f"blk.{layer}."
        if prefix + "attn_qkv.weight" in self:
            fused = self.linear(prefix + "attn_qkv", h)
            q, k, v = np.split(fused, np.cumsum([c.heads * c.key_size, c.kv_heads * c.key_size]), axis=-1)
        else:
            q, k, v = (self.linear(prefix + name, h) for name in ("attn_q", "attn_k", "attn_v"))
        q = q.reshape(-1, c.heads, c.key_size)
        k = k.reshape(-1, c.kv_heads, c.key_size)
        v = v.reshape(-1, c.kv_heads, c.value_size)
        if prefix + "attn_q_norm.weight" in self:
            q, k = self.norm(prefix + "attn_q_norm", q), self.norm(prefix + "attn_k_norm", k)
        return q, k, v

    def feed_forward(self, layer: int, h: np.ndarray) -> np.ndarray:
        prefix = f"blk.{layer}."
        up = self.linear(prefix + "ffn_up", h)
        if prefix + "ffn_gate.weight" in self:
            gate = self.linear(prefix + "ffn_gate", h)
        else:  # Phi-3 stores [gate; up] as one matrix
            gate, up = np.split(up, 2, axis=-1)
        activation = gelu_tanh if self.config.arch == "gemma3" else silu
        return self.linear(prefix + "ffn_down", activation(gate) * up)

    def block(self, layer: int, x: np.ndarray, positions: np.ndarray, context: int) -> np.ndarray:
        c, prefix = self.config, f"blk.{layer}."
        frequency, magnitude = self.layer_rotation(layer, context)
        q, k, v = self.query_key_value(layer, self.norm(prefix + "attn_norm", x))
        q = rotate(q, positions, frequency, magnitude, c.neox_pairs)
        k = rotate(k, positions, frequency, magnitude, c.neox_pairs)
        mask = visible(positions, c.window if c.is_local[layer] else 0)
        o = attention(q, k, v, c.attn_scale, c.attn_soft_cap, mask)
        o = self.linear(prefix + "attn_output", o.reshape(len(x), -1))
        if prefix + "post_attention_norm.weight" in self:
            o = self.norm(prefix + "post_attention_norm", o)
        x = x + o
        y = self.feed_forward(layer, self.norm(prefix + "ffn_norm", x))
        if prefix + "post_ffw_norm.weight" in self:
            y = self.norm(prefix + "post_ffw_norm", y)
        return x + y

    def forward(self, tokens, context: int | None = None, rows=slice(None)) -> np.ndarray:
        """Logits [T, V] of `tokens`, or only those of the positions `rows`.

        `context` is the length that the sequence may grow to, by which longrope chooses its list; default: the model's.
        """
        c = self.config
        positions = np.arange(len(tokens))
        x = self.tensor("token_embd.weight")[np.asarray(tokens)]
        if c.arch == "gemma3":
            x = x * self.dtype(math.sqrt(c.embd))
        for layer in range(c.layers):
            x = self.block(layer, x, positions, c.context if context is None else context)
        x = self.norm("output_norm", x[rows])
        head = "output" if "output.weight" in self else "token_embd"
        return soft_cap(self.linear(head, x), c.final_soft_cap)


def token_losses(logits: np.ndarray, tokens) -> np.ndarray:
    """Natural-log loss of tokens[i+1] at position i, length T-1."""
    rows = logits[:-1].astype(np.float64)
    peak = rows.max(axis=-1)
    log_sum = peak + np.log(np.exp(rows - peak[:, None]).sum(axis=-1))
    return log_sum - rows[np.arange(len(rows)), np.asarray(tokens)[1:]]
