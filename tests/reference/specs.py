"""The models under test: for each convention that an engine can misread, one small shape that shows it.

A `Spec` is a shape, the metadata that turns the convention on, and the weight types that its matrices cycle through. Sizes are odd on
purpose (307 tokens, 224 wide feed-forward, 80 wide heads, one key/value head): kernels that work in strips of 16 or 32 must handle the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from random_blocks import ALL_TYPES

K_TYPES = ("Q4_K", "Q5_K", "Q6_K", "Q3_K", "Q2_K", "IQ4_XS")  # rows of a multiple of 256
SMALL_TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "MXFP4")  # rows of a multiple of 32


@dataclass(frozen=True)
class Spec:
    name: str
    arch: str
    embd: int
    heads: int
    kv_heads: int
    ffn: int
    layers: int = 2
    vocab: int = 307
    head_size: int | None = None  # written as key_length and value_length when given
    rope_dims: int | None = None
    context: int = 512
    types: tuple[str, ...] = ("F32",)  # matrices take them in turn; one that does not fit a row gives way to the next, then to F16
    tied: bool = False
    sentencepiece: bool = False
    pre: str = "llama-bpe"
    biases: tuple[str, ...] = ()  # tensors of each layer that have a bias
    keys: dict = field(default_factory=dict)  # metadata without the architecture prefix
    rope_divisors: dict[str, tuple[float, ...]] = field(default_factory=dict)  # tensor name -> values
    prompts: tuple[int, ...] = (40, 64, 150)  # lengths: within a page of 64, exactly one, and over two borders

    @property
    def key_size(self) -> int:
        return self.head_size or self.embd // self.heads


def llama3_divisors(dims: int, base: float, factor: float, low: float, high: float, original: int) -> tuple[float, ...]:
    """Llama 3's stretching: wavelengths under original/high stay, over original/low stretch by `factor`, between them a blend."""
    out = []
    for i in range(dims // 2):
        turns = original * base ** (-2.0 * i / dims) / 6.283185307179586
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        out.append(1.0 / ((1.0 - share) / factor + share))
    return tuple(out)


def _longrope(pairs: int) -> dict[str, tuple[float, ...]]:
    """Two lists that differ from 1 and from each other in every pair that turns visibly within a prompt."""
    return {
        "rope_factors_short": tuple(1.0 + 0.02 * i for i in range(pairs)),
        "rope_factors_long": tuple(1.1 + 0.35 * i for i in range(pairs)),
    }


def _llama() -> list[Spec]:
    yarn = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 1024}
    return [
        Spec("llama-plain", "llama", 256, 4, 4, 512, vocab=320, sentencepiece=True, types=K_TYPES),
        Spec("llama-biases", "llama", 128, 4, 2, 224, types=("F16", "Q8_0"),
             biases=("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")),
        Spec("llama-rope-freqs", "llama", 128, 4, 2, 224, tied=True, types=SMALL_TYPES,
             rope_divisors={"rope_freqs": llama3_divisors(32, 10000.0, 8.0, 1.0, 4.0, 128)}),
        Spec("llama-linear", "llama", 256, 4, 2, 512, types=("Q4_1", "Q5_0", "Q5_1", "Q4_K"),
             keys={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
        Spec("llama-linear-old-key", "llama", 128, 4, 2, 224, types=("BF16", "F16"), keys={"rope.scale_linear": 2.0}),
        Spec("llama-unscaled-by-type-none", "llama", 128, 4, 2, 224, types=("F16",),
             keys={"rope.scaling.type": "none", "rope.scaling.factor": 4.0}),
        Spec("llama-yarn", "llama", 256, 4, 2, 224, types=("IQ4_NL", "MXFP4", "BF16", "Q6_K"), context=4096, keys=yarn),
        Spec("llama-yarn-attn-factor", "llama", 128, 2, 1, 224, types=("Q8_0", "Q5_0"), context=4096,
             keys={**yarn, "rope.freq_base": 50000.0, "rope.scaling.factor": 16.0, "rope.scaling.attn_factor": 0.8}),
        Spec("mistral-head-32-one-kv", "llama", 192, 6, 1, 352, types=("Q4_0", "Q8_0"), keys={"rope.freq_base": 1e6}),
        Spec("mistral-head-80-one-kv", "llama", 160, 3, 1, 224, head_size=80, types=("Q8_0", "Q5_1", "F16"), sentencepiece=True),
        Spec("mistral-head-96", "llama", 192, 6, 3, 288, head_size=96, types=("Q5_0", "IQ4_NL", "MXFP4"), keys={"rope.freq_base": 1e6}),
    ]


def _qwen() -> list[Spec]:
    biases = ("attn_q", "attn_k", "attn_v")
    return [
        Spec("qwen2", "qwen2", 256, 8, 2, 512, tied=True, biases=biases, types=("IQ4_XS", "Q4_K", "Q6_K"), pre="qwen2",
             keys={"rope.freq_base": 1e6}),
        Spec("qwen2-yarn", "qwen2", 128, 4, 2, 224, biases=biases, types=("Q4_0", "Q8_0"), pre="qwen2", context=512,
             keys={"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 128}),
        Spec("qwen3", "qwen3", 128, 4, 2, 224, head_size=64, types=("Q4_1", "Q8_0", "Q5_1"), pre="qwen2", keys={"rope.freq_base": 1e6}),
        Spec("qwen3-tied", "qwen3", 256, 3, 1, 512, head_size=128, tied=True, types=("Q5_K", "Q3_K", "Q6_K"), pre="qwen2"),
    ]


def _gemma3() -> list[Spec]:
    base = {"rope.freq_base": 1e6, "attention.sliding_window": 16}
    shape = dict(arch="gemma3", embd=128, heads=2, kv_heads=1, ffn=224, head_size=96, tied=True, sentencepiece=True)
    return [
        Spec("gemma3-default-pattern", layers=7, **shape, types=("Q4_0", "Q5_0", "Q8_0"), keys=base),
        Spec("gemma3-linear-global", layers=3, **shape, types=("Q8_0", "F16"),
             keys={**base, "attention.sliding_window_pattern": 3, "rope.scaling.type": "linear", "rope.scaling.factor": 8.0}),
        Spec("gemma3-listed-pattern", layers=4, **shape, types=("BF16", "Q5_1"),
             keys={**base, "attention.sliding_window_pattern": [False, True, True, False], "rope.freq_base_swa": 3000.0}),
        Spec("gemma3-final-soft-cap", layers=2, **shape, types=("Q8_0",),
             keys={**base, "attention.sliding_window_pattern": 2, "final_logit_softcapping": 5.0}),
        Spec("gemma3-attention-soft-cap", layers=2, **shape, types=("Q8_0",),
             keys={**base, "attention.sliding_window_pattern": 2, "attn_logit_softcapping": 3.0}),
        Spec("gemma3-untied-no-window", layers=2, **{**shape, "tied": False}, types=("F16", "Q8_0"), keys={"rope.freq_base": 1e6}),
    ]


def _phi3() -> list[Spec]:
    # A sequence longer than the original context decides for the long list whatever room it was given, so no prompt may be shorter.
    long = {"rope.scaling.type": "longrope", "rope.scaling.original_context_length": 32, "rope.scaling.attn_factor": 1.19}
    short = {**long, "rope.scaling.original_context_length": 4096}
    shape = dict(arch="phi3", embd=192, heads=4, kv_heads=2, ffn=224, sentencepiece=True)
    return [
        Spec("phi3-plain", "phi3", 192, 2, 2, 288, sentencepiece=True, types=("Q8_0", "Q4_0")),
        Spec("phi3-longrope-short", **shape, types=("Q8_0", "F16"), context=4096, keys=short, rope_divisors=_longrope(24)),
        Spec("phi3-longrope-long", **shape, types=("Q5_0", "Q8_0"), context=4096, keys=long, rope_divisors=_longrope(24)),
        Spec("phi3-longrope-partial-rotation", **shape, tied=True, rope_dims=36, types=("Q8_0", "BF16"), context=4096, keys=long,
             rope_divisors=_longrope(18)),
    ]


def _every_type() -> list[Spec]:
    """One model per weight type: embedding, head and every matrix."""
    return [Spec(f"type-{kind.name.lower()}", "llama", 256, 4, 2, 512, layers=1, types=(kind.name,), prompts=(70,)) for kind in ALL_TYPES]


SPECS: tuple[Spec, ...] = (*_llama(), *_qwen(), *_gemma3(), *_phi3(), *_every_type())
