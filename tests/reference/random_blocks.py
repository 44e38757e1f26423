"""Random weights in any GGUF type, straight as blocks.

A quantiser turns Gaussian weights into codes that cluster in the middle, and PyPI `gguf` has none for the K and IQ formats. Here every
code and every packed scale is drawn uniformly, so that all bits of a block take part, and only the block's own scale is chosen so that the
dequantised values have a wanted standard deviation. A file of this kind has no meaning, and finds every misplaced bit.
"""

from __future__ import annotations

from functools import cache

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

# Type -> (byte offset of the f16 scale, byte offset of the f16 offset or None, offset / scale that centres the values on zero).
_SCALE_FIELDS: dict[Type, tuple[int, int | None, float]] = {
    Type.Q4_0: (0, None, 0.0),
    Type.Q4_1: (0, 2, -7.5),
    Type.Q5_0: (0, None, 0.0),
    Type.Q5_1: (0, 2, -15.5),
    Type.Q8_0: (0, None, 0.0),
    Type.Q2_K: (80, 82, 1.5),
    Type.Q3_K: (108, None, 0.0),
    Type.Q4_K: (0, 2, 7.5),
    Type.Q5_K: (0, 2, 15.5),
    Type.Q6_K: (208, None, 0.0),
    Type.IQ4_NL: (0, None, 0.0),
    Type.IQ4_XS: (0, None, 0.0),
}
PLAIN_TYPES = (Type.F32, Type.F16, Type.BF16)
ALL_TYPES = (*PLAIN_TYPES, *_SCALE_FIELDS, Type.MXFP4)


def block_size(kind: Type) -> int:
    """Elements in a block: in-features must be a multiple."""
    return gguf.GGML_QUANT_SIZES[kind][0]


def row_bytes(kind: Type, columns: int) -> int:
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    if columns % elements:
        raise ValueError(f"a {kind.name} row holds a multiple of {elements} values, not {columns}")
    return columns // elements * size


def _put_f16(blocks: np.ndarray, offset: int, values: np.ndarray) -> None:
    blocks[:, offset : offset + 2] = values.astype(np.float16).view(np.uint8).reshape(-1, 2)


@cache
def _unit_deviation(kind: Type) -> float:
    """Standard deviation of the values of random blocks whose scale is 1."""
    rng = np.random.default_rng(1)
    offset, minimum, ratio = _SCALE_FIELDS[kind]
    blocks = rng.integers(0, 256, (2048, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    _put_f16(blocks, offset, np.ones(len(blocks)))
    if minimum is not None:
        _put_f16(blocks, minimum, np.full(len(blocks), ratio))
    return float(gguf.quants.dequantize(blocks, kind).std())


def _scaled_blocks(rng: np.random.Generator, kind: Type, count: int, deviation: float) -> np.ndarray:
    offset, minimum, ratio = _SCALE_FIELDS[kind]
    blocks = rng.integers(0, 256, (count, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    # The root mean square of U(0.5, 1.5) is 1.04; a scale may be negative where the codes are symmetric.
    scale = rng.uniform(0.5, 1.5, count) * (deviation / _unit_deviation(kind) / 1.04)
    if minimum is None:
        scale *= rng.choice((-1.0, 1.0), count)
    else:
        _put_f16(blocks, minimum, scale * ratio)
    _put_f16(blocks, offset, scale)
    return blocks


def _mxfp4_blocks(rng: np.random.Generator, count: int, deviation: float) -> np.ndarray:
    """One byte 2^(e-127), 32 codes of +-{0, .5, 1, 1.5, 2, 3, 4, 6} whose standard deviation is 2.93."""
    blocks = rng.integers(0, 256, (count, 17), dtype=np.uint8)
    exponent = round(127 + np.log2(deviation / 2.93))
    blocks[:, 0] = rng.choice((exponent - 1, exponent, exponent + 1), count, p=(0.3, 0.5, 0.2))
    return blocks


def random_rows(rng: np.random.Generator, kind: Type, rows: int, columns: int, deviation: float) -> np.ndarray:
    """`rows` x `columns` random values of zero mean and the given standard deviation, as `kind` stores them (a 2-D array)."""
    size = row_bytes(kind, columns)
    if kind in PLAIN_TYPES:
        values = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(deviation)
        return gguf.quants.quantize(values, kind)
    count = rows * columns // block_size(kind)
    blocks = _mxfp4_blocks(rng, count, deviation) if kind == Type.MXFP4 else _scaled_blocks(rng, kind, count, deviation)
    return blocks.reshape(rows, size)
