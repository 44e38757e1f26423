"""Writes the small random models of `specs.py` and what they must answer.

    make_models.py OUT [--only NAME ...] [--f32]

OUT/NAME/model.gguf is the model; OUT/NAME/golden.json and *.logits.f16 are its tokens, losses, best tokens and logits by the numpy forward
pass, in the format of the shared golden data, so that `kvasir eval golden -m OUT/NAME/model.gguf --golden OUT/NAME` checks it.
`--f32` stores the very same values as F32, to compare engines that quantise activations by the type of the weights.
The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

import vocabulary
from forward import Model, token_losses
from random_blocks import block_size, random_rows
from specs import SPECS, Spec

# Standard deviation of a matrix is GAIN / sqrt(in-features): activations and logits then keep a sensible size, attention has something to choose
# between, and no part is so weak that an error in it could hide.
GAINS = {"attn_q": 1.4, "attn_k": 1.4, "attn_v": 1.5, "attn_qkv": 1.4, "attn_output": 1.5, "ffn_gate": 1.2, "ffn_up": 1.2, "ffn_down": 2.0,
         "output": 2.0, "token_embd": 2.0}
CLEAR_MARGIN = 0.01  # the best logit leads by at least this much, so that rounding (f16: 0.008 near 8) cannot change the best token


def generator(*names: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


class Builder:
    """Writes one model."""

    def __init__(self, spec: Spec, path: Path, as_f32: bool):
        self.spec, self.as_f32 = spec, as_f32
        self.writer = gguf.GGUFWriter(path, spec.arch)
        self.matrices = 0

    def build(self) -> vocabulary.Vocabulary:
        words = self.add_metadata()
        self.add_tensors()
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()
        return words

    def add_metadata(self) -> vocabulary.Vocabulary:
        s, w = self.spec, self.writer
        w.add_name("random weights")  # neutral: some engines read a model's family out of its name
        w.add_context_length(s.context)
        w.add_embedding_length(s.embd)
        w.add_block_count(s.layers)
        w.add_feed_forward_length(s.ffn)
        w.add_head_count(s.heads)
        w.add_head_count_kv(s.kv_heads)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_vocab_size(s.vocab)
        if s.head_size:
            w.add_key_length(s.head_size)
            w.add_value_length(s.head_size)
        if s.head_size or s.rope_dims:
            w.add_rope_dimension_count(s.rope_dims or s.key_size)
        for key, value in s.keys.items():
            self.add_key(f"{s.arch}.{key}", value)
        return vocabulary.add_sentencepiece(w, s.vocab) if s.sentencepiece else vocabulary.add_bpe(w, s.vocab, s.pre)

    def add_key(self, key: str, value) -> None:
        add = {str: self.writer.add_string, int: self.writer.add_uint32, float: self.writer.add_float32, list: self.writer.add_array}
        add[type(value)](key, value)

    def add_tensors(self) -> None:
        s = self.spec
        q, kv = s.heads * s.key_size, s.kv_heads * s.key_size
        self.matrix("token_embd", s.vocab, s.embd)
        for name, values in s.rope_divisors.items():
            self.writer.add_tensor(name + ".weight", np.array(values, np.float32))
        for layer in range(s.layers):
            block = f"blk.{layer}."
            self.norm(block + "attn_norm", s.embd)
            if s.arch == "phi3":
                self.matrix(block + "attn_qkv", q + 2 * kv, s.embd)
                self.matrix(block + "ffn_up", 2 * s.ffn, s.embd)
            else:
                for name, rows in (("attn_q", q), ("attn_k", kv), ("attn_v", kv), ("ffn_gate", s.ffn), ("ffn_up", s.ffn)):
                    self.matrix(block + name, rows, s.embd)
            self.matrix(block + "attn_output", s.embd, q)
            self.norm(block + "ffn_norm", s.embd)
            self.matrix(block + "ffn_down", s.embd, s.ffn)
            if s.arch in ("qwen3", "gemma3"):
                self.norm(block + "attn_q_norm", s.key_size, mean=1.4)
                self.norm(block + "attn_k_norm", s.key_size, mean=1.4)
            if s.arch == "gemma3":
                self.norm(block + "post_attention_norm", s.embd)
                self.norm(block + "post_ffw_norm", s.embd)
        self.norm("output_norm", s.embd, random_sign=s.tied)
        if not s.tied:
            self.matrix("output", s.vocab, s.embd)

    def norm(self, name: str, size: int, mean: float = 1.0, random_sign: bool = False) -> None:
        """With a tied head, signs keep a token from predicting itself, which would make every other effect small beside it."""
        rng = generator(self.spec.name, name)
        values = mean * rng.uniform(0.5, 1.5, size)
        if random_sign:
            values *= rng.choice((-1.0, 1.0), size)
        self.writer.add_tensor(name + ".weight", values.astype(np.float32))

    def weight_type(self, columns: int) -> Type:
        types = self.spec.types
        turn = self.matrices
        self.matrices += 1
        candidates = [Type[types[(turn + i) % len(types)]] for i in range(len(types))]
        return next((t for t in candidates if columns % block_size(t) == 0), Type.F16)

    def matrix(self, name: str, rows: int, columns: int) -> None:
        role = name.rsplit(".", 1)[-1]
        deviation = GAINS[role] / math.sqrt(columns)
        if role == "token_embd" and not self.spec.tied:
            deviation = 1.0
        kind = self.weight_type(columns)
        data = random_rows(generator(self.spec.name, name), kind, rows, columns, deviation)
        if self.as_f32:
            data, kind = gguf.quants.dequantize(data, kind), Type.F32
        self.writer.add_tensor(name + ".weight", data, raw_dtype=kind)
        if role in self.spec.biases:
            bias = generator(self.spec.name, name, "bias").normal(0.0, 0.5, rows)
            self.writer.add_tensor(name + ".bias", bias.astype(np.float32))


def margins(logits: np.ndarray) -> np.ndarray:
    best = np.partition(logits, -2, axis=-1)[:, -2:]
    return best[:, 1] - best[:, 0]


def clear_prompt(model: Model, words: vocabulary.Vocabulary, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random prompt whose best next token is beyond doubt at every position, and its logits. A token that leaves doubt is drawn again."""
    tokens = rng.integers(words.first_plain, words.end_plain, length)
    if model.metadata["tokenizer.ggml.add_bos_token"]:
        tokens[0] = words.bos
    while True:
        logits = model.forward(tokens)
        doubtful = np.flatnonzero(margins(logits) < CLEAR_MARGIN)
        if len(doubtful) == 0:
            return tokens, logits
        if doubtful[0] == 0 and tokens[0] == words.bos:
            raise ValueError("the best token after BOS is in doubt in this model; change its name to draw other weights")
        tokens[doubtful[0]] = rng.integers(words.first_plain, words.end_plain)


def write_golden(model: Model, words: vocabulary.Vocabulary, spec: Spec, folder: Path) -> None:
    prompts = []
    for length in spec.prompts:
        tokens, logits = clear_prompt(model, words, length, generator(spec.name, "prompt", str(length)))
        name = f"tokens-{length}"
        logits.astype("<f2").tofile(folder / f"{name}.logits.f16")
        prompts.append({
            "name": name,
            "tokens": tokens.tolist(),
            "nll": token_losses(logits, tokens).tolist(),
            "argmax": logits.argmax(axis=-1).tolist(),
            "positions": list(range(length)),
            "vocab": logits.shape[1],
        })
    golden = {"model": "model.gguf", "dtype": "float16 little-endian, row-major [positions, vocab]",
              "note": "float64 forward pass in numpy on dequantised weights", "prompts": prompts}
    (folder / "golden.json").write_text(json.dumps(golden))


def make(spec: Spec, out: Path, as_f32: bool = False) -> Path:
    """Writes one model and its golden data; returns their folder."""
    folder = out / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    words = Builder(spec, folder / "model.gguf", as_f32).build()
    write_golden(Model(folder / "model.gguf"), words, spec, folder)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[s.name for s in SPECS])
    parser.add_argument("--f32", action="store_true", help="store the same values as F32")
    args = parser.parse_args()
    for spec in SPECS:
        if not args.only or spec.name in args.only:
            print(make(spec, args.out, args.f32))
    return 0


if __name__ == "__main__":
    sys.exit(main())
