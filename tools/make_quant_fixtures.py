#!/usr/bin/env python3
"""Writes tests/fixtures/quant: what the PyPI package `gguf` makes of random and extreme blocks, for the C++ tests.

For every format T that Kvasir dequantises: T.blocks (stored bytes) and T.f32 (their float32 values).
For every format it quantises:              quantize.f32 (the input, shared) and T.quantized (the stored bytes).
All files are raw little-endian arrays. `--check` writes nothing and fails if the committed files differ.
Needs: pip install gguf numpy.
"""
import argparse
import pathlib
import sys

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "quant"
DEQUANTISED = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4".split()
QUANTISED = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0".split()
ELEMENTS = 2560  # ten blocks of 256
# Where a block keeps its f16 scales and minima (byte offsets): random bytes there would mostly be huge or NaN.
HALF_FIELDS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
}
# Zero, minus zero, smallest subnormal, largest subnormal, smallest normal, one, largest, infinities, NaNs.
HALF_EXTREMES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x3C00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x7C01]


def extreme_floats(rng):
    bits = np.array([0, 0x80000000, 1, 0x007FFFFF, 0x00800000, 0x33000000, 0x33000001, 0x33800000, 0x387FE000, 0x387FF000,
                     0x38800000, 0x3F801000, 0x3F803000, 0x477FE000, 0x477FEFFF, 0x477FF000, 0x7F7FFFFF, 0x7F7F8000, 0x7F800000,
                     0xFF800000, 0x7F800001, 0x7FC00000, 0xFFBFFFFF, 0x3F808000, 0x3F818000], dtype=np.uint32)
    noise = rng.integers(0, 1 << 32, ELEMENTS - len(bits), dtype=np.uint64).astype(np.uint32)
    return np.concatenate([bits, noise]).view(np.float32)


def blocks_of(name, rng):
    elements, size = GGML_QUANT_SIZES[Type[name]]
    if elements == 1:
        patterns = np.concatenate([np.array(HALF_EXTREMES, dtype=np.uint16),
                                   rng.integers(0, 1 << 16, ELEMENTS - len(HALF_EXTREMES), dtype=np.uint16)])
        return patterns.view(np.uint8)
    count = ELEMENTS // elements
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for field in HALF_FIELDS[name]:
        halves = rng.normal(0, 0.05, count).astype(np.float16).view(np.uint16)
        # The first half of the blocks stays ordinary; the others meet the extremes in turn.
        for i, extreme in zip(range(count // 2, count), HALF_EXTREMES * count):
            halves[i] = extreme
        blocks[:, field:field + 2] = halves.reshape(count, 1).view(np.uint8)
    if name == "MXFP4":
        blocks[:8, 0] = [0, 1, 2, 127, 128, 253, 254, 255]
    code = np.ones(size, dtype=bool)
    for field in HALF_FIELDS[name]:
        code[field:field + 2] = False
    blocks[0, code] = 0x00
    blocks[1, code] = 0xFF
    return blocks.reshape(-1)


def quantizer_input(rng):
    rows = rng.normal(0, 1, (ELEMENTS // 32, 32)).astype(np.float32)
    rows *= np.float32(10.0) ** rng.uniform(-4, 3, (rows.shape[0], 1)).astype(np.float32)
    rows[0] = 0.0
    rows[1] = 1.0
    rows[2] = -3.5
    rows[3] = np.arange(32)
    rows[4] = -np.arange(32)
    rows[5, ::2] = -rows[5, 1::2]  # equal magnitudes of both signs: the first one counts
    rows[6] = (np.arange(32) - 15.5) / 4  # halves, where rounding rules differ
    rows[7, :] = 1e-30
    rows[8, 5] = 6.0e4
    rows[9] = np.linspace(-127, 127, 32)
    return rows.reshape(-1)


def fixtures():
    files = {}
    for name in DEQUANTISED:
        rng = np.random.default_rng(sum(map(ord, name)))
        blocks = blocks_of(name, rng)
        with np.errstate(all="ignore"):
            values = quants.dequantize(blocks.reshape(1, -1), Type[name]).reshape(-1)
        assert values.dtype == np.float32 and values.size == ELEMENTS, name
        files[name + ".blocks"] = blocks.tobytes()
        files[name + ".f32"] = values.tobytes()
    rng = np.random.default_rng(7)
    ordinary, extreme = quantizer_input(rng), extreme_floats(rng)
    files["quantize.f32"] = ordinary.tobytes()
    files["extreme.f32"] = extreme.tobytes()
    for name in QUANTISED:
        # The 16-bit floats take any input; block formats are only defined for finite ones.
        source = extreme if name in ("F16", "BF16") else ordinary
        with np.errstate(all="ignore"):
            files[name + ".quantized"] = quants.quantize(source.reshape(1, -1), Type[name]).tobytes()
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed files instead of writing them")
    check = parser.parse_args().check
    files = fixtures()
    if check:
        stale = [name for name, data in files.items() if not (OUT / name).is_file() or (OUT / name).read_bytes() != data]
        if stale:
            sys.exit(f"these fixtures differ from what the installed gguf package computes: {', '.join(sorted(stale))}")
        print(f"{len(files)} fixtures equal")
        return
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (OUT / name).write_bytes(data)
    print(f"{len(files)} fixtures, {sum(map(len, files.values()))} bytes, in {OUT}")


if __name__ == "__main__":
    main()
