#!/usr/bin/env python3
"""Writes a llama-architecture GGUF of any shape with random weights, for speed and memory benchmarks.

Speed depends on the shape and the weight types, not on what the weights say, so a model that nobody has to download is enough to measure a
1B or an 8B engine run. Rows are drawn and written a few megabytes at a time: an 8B file needs no more memory than a 135M one.

    synth_model.py OUT --vocab-from DONOR.gguf [shape options]

Shapes of known models (feed-forward, heads and key/value heads belong to the dimension):
    Llama-3.2-1B   --layers 16 --dim 2048 --ffn 8192  --heads 32 --kv 8
    Llama-3.2-3B   --layers 28 --dim 3072 --ffn 8192  --heads 24 --kv 8
    Llama-3.1-8B   --layers 32 --dim 4096 --ffn 14336 --heads 32 --kv 8 --untied
The vocabulary, and with it the size of the embedding, is the donor's.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "reference"))
from random_blocks import ALL_TYPES, random_rows, row_bytes  # noqa: E402

CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Tensor:
    name: str
    rows: int  # 0: a norm, `columns` ones
    columns: int
    kind: Type
    deviation: float = 0.0

    @property
    def bytes(self) -> int:
        return max(self.rows, 1) * row_bytes(self.kind, self.columns)


def tensors(args: argparse.Namespace, vocab: int) -> list[Tensor]:
    """All tensors in file order."""
    head = args.dim // args.heads
    embedding, kind = Type[args.embed_type], Type[args.type]

    def matrix(name: str, rows: int, columns: int, of: Type = kind) -> Tensor:
        return Tensor(f"{name}.weight", rows, columns, of, 1.0 / math.sqrt(columns))

    def norm(name: str) -> Tensor:
        return Tensor(f"{name}.weight", 0, args.dim, Type.F32)

    out = [matrix("token_embd", vocab, args.dim, embedding), norm("output_norm")]
    if args.untied:
        out.append(matrix("output", vocab, args.dim, embedding))
    for layer in range(args.layers):
        block = f"blk.{layer}."
        out += [
            norm(block + "attn_norm"),
            matrix(block + "attn_q", args.heads * head, args.dim),
            matrix(block + "attn_k", args.kv * head, args.dim),
            matrix(block + "attn_v", args.kv * head, args.dim),
            matrix(block + "attn_output", args.dim, args.heads * head),
            norm(block + "ffn_norm"),
            matrix(block + "ffn_gate", args.ffn, args.dim),
            matrix(block + "ffn_up", args.ffn, args.dim),
            matrix(block + "ffn_down", args.dim, args.ffn),
        ]
    return out


def copy_vocabulary(donor: Path, writer: gguf.GGUFWriter) -> int:
    """Copies every tokenizer key; returns the number of tokens."""
    fields = gguf.GGUFReader(donor).fields
    for name, field in fields.items():
        if name.startswith("tokenizer."):
            is_array = field.types[0] == gguf.GGUFValueType.ARRAY
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1] if is_array else None)
    return len(fields["tokenizer.ggml.tokens"].data)


def add_metadata(writer: gguf.GGUFWriter, args: argparse.Namespace, vocab: int) -> None:
    writer.add_name(f"random {args.layers}x{args.dim} {args.type}")
    writer.add_context_length(args.ctx)
    writer.add_embedding_length(args.dim)
    writer.add_block_count(args.layers)
    writer.add_feed_forward_length(args.ffn)
    writer.add_head_count(args.heads)
    writer.add_head_count_kv(args.kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(args.rope_base)
    writer.add_rope_dimension_count(args.dim // args.heads)
    writer.add_vocab_size(vocab)


def declare(writer: gguf.GGUFWriter, tensor: Tensor) -> None:
    """Tells the writer shape, type and size; the bytes come later."""
    plain = {Type.F32: np.float32, Type.F16: np.float16}
    shape = (tensor.rows, tensor.columns) if tensor.rows else (tensor.columns,)
    if tensor.kind in plain:
        writer.add_tensor_info(tensor.name, shape, np.dtype(plain[tensor.kind]), tensor.bytes)
    else:  # the writer wants the shape in bytes for packed types
        packed = (*shape[:-1], row_bytes(tensor.kind, tensor.columns))
        writer.add_tensor_info(tensor.name, packed, np.dtype(np.uint8), tensor.bytes, raw_dtype=tensor.kind)


def write_tensor(out: BinaryIO, tensor: Tensor, rng: np.random.Generator, alignment: int) -> None:
    """Writes the values in chunks of rows, then pads to the alignment."""
    if tensor.rows == 0:
        out.write(np.ones(tensor.columns, np.float32).tobytes())
    step = max(1, CHUNK_BYTES // row_bytes(tensor.kind, tensor.columns))
    for first in range(0, tensor.rows, step):
        rows = min(step, tensor.rows - first)
        out.write(random_rows(rng, tensor.kind, rows, tensor.columns, tensor.deviation).tobytes())
    out.write(bytes(-tensor.bytes % alignment))


def write_model(args: argparse.Namespace) -> int:
    """Writes the file under a temporary name and renames it when it is whole; returns its size in bytes."""
    partial = args.out.with_name(args.out.name + ".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    vocab = copy_vocabulary(args.vocab_from, writer)
    add_metadata(writer, args, vocab)
    plan = tensors(args, vocab)
    for tensor in plan:
        declare(writer, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    out = writer.fout[0]
    out.write(bytes(-out.tell() % writer.data_alignment))
    rng = np.random.default_rng(args.seed)
    for tensor in plan:
        write_tensor(out, tensor, rng, writer.data_alignment)
    writer.close()
    partial.rename(args.out)
    return args.out.stat().st_size


def parse_arguments() -> argparse.Namespace:
    names = [kind.name for kind in ALL_TYPES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocab-from", type=Path, required=True, metavar="DONOR", help="a GGUF whose tokenizer is copied")
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--ffn", type=int, default=8192)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--kv", type=int, default=8)
    parser.add_argument("--type", default="Q4_0", choices=names, help="of the matrices in the layers")
    parser.add_argument("--embed-type", default="Q8_0", choices=names, help="of the embedding and the head")
    parser.add_argument("--untied", action="store_true", help="a head of its own instead of the embedding")
    parser.add_argument("--ctx", type=int, default=131072)
    parser.add_argument("--rope-base", type=float, default=500000.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.dim % args.heads or args.heads % args.kv:
        parser.error(f"--heads {args.heads} must divide --dim {args.dim}, and --kv {args.kv} must divide --heads")
    return args


def main() -> int:
    args = parse_arguments()
    try:
        size = write_model(args)
    except ValueError as error:  # a row that the type cannot hold
        print(f"synth_model: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {size / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
