#!/usr/bin/env python3
"""Writes fuzz/corpus/gguf: small GGUF files that give the fuzzer every branch of the format to start from.

The well-formed ones come from the PyPI package `gguf`, so they also test our reader against a writer that is not ours;
names that begin with bad- are deliberately broken. Needs: pip install gguf numpy.
"""
import pathlib
import struct
import tempfile

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_SIZES

OUT = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "gguf"
STORED = [t for t in Type if t.name not in ("Q8_1",)]  # the package's size of Q8_1 is that of an old layout


def write(fill, alignment=None):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "m.gguf"
        writer = GGUFWriter(path, "llama")
        if alignment:
            writer.add_custom_alignment(alignment)
        fill(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def every_value(w):
    w.add_uint8("v.u8", 255)
    w.add_int8("v.i8", -1)
    w.add_uint16("v.u16", 65535)
    w.add_int16("v.i16", -1)
    w.add_uint32("v.u32", 2**32 - 1)
    w.add_int32("v.i32", -1)
    w.add_uint64("v.u64", 2**64 - 1)
    w.add_int64("v.i64", -1)
    w.add_float32("v.f32", 0.5)
    w.add_float64("v.f64", 1e300)
    w.add_bool("v.bool", True)
    w.add_string("v.string", "h\u00e9llo")
    w.add_array("v.ints", [1, -2, 3])
    w.add_array("v.floats", [0.5, 1.5])
    w.add_array("v.bools", [True, False])
    w.add_array("v.strings", ["a", "", "\u2581b"])


def every_tensor_type(w):
    rng = np.random.default_rng(1)
    for t in STORED:
        elements, size = GGML_QUANT_SIZES[t]
        w.add_tensor(f"t.{t.name}", rng.integers(0, 256, (1, size), dtype=np.uint8), raw_dtype=t)


def shapes(w):
    w.add_tensor("one", np.zeros(3, dtype=np.float32))
    w.add_tensor("two", np.zeros((2, 3), dtype=np.float16))
    w.add_tensor("three", np.zeros((2, 1, 3), dtype=np.int8))
    w.add_tensor("four", np.zeros((1, 2, 1, 3), dtype=np.float64))


def vocabulary(w):
    w.add_tokenizer_model("gpt2")
    w.add_token_list(["<s>", "a", "b", "ab"])
    w.add_token_types([3, 1, 1, 1])
    w.add_token_scores([0.0, -1.0, -2.0, -3.0])
    w.add_token_merges(["a b"])


def split_part(w):
    w.add_uint16("split.no", 0)
    w.add_uint16("split.count", 1)
    w.add_int32("split.tensors.count", 1)
    w.add_tensor("w", np.zeros((2, 32), dtype=np.float32))


def text(value):
    return struct.pack("<Q", len(value)) + value


def header(tensors, keys, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def tensor(name, dims, kind, offset):
    return text(name) + struct.pack(f"<I{len(dims)}qIQ", len(dims), *dims, kind, offset)


def main():
    shapes_file = write(shapes)
    seeds = {
        "values": write(every_value),
        "tensors": write(every_tensor_type),
        "shapes": shapes_file,
        "alignment-128": write(shapes, alignment=128),
        "vocabulary": write(vocabulary),
        "split-part": write(split_part),
        "version-2": shapes_file[:4] + struct.pack("<I", 2) + shapes_file[8:],
        "empty": header(0, 0),
        "bad-cut-off": shapes_file[:-8],
        "bad-version-1": header(0, 0, 1),
        "bad-big-endian": header(0, 0, 0x03000000),
        "bad-counts": header(2**63, 2**63),
        "bad-string-length": header(0, 1) + text(b"k") + struct.pack("<IQ", 8, 2**40) + b"x",
        "bad-array-length": header(0, 1) + text(b"k") + struct.pack("<IIQ", 9, 8, 2**40),
        "bad-nested-array": header(0, 1) + text(b"k") + struct.pack("<IIQIQ", 9, 9, 1, 4, 0),
        "bad-alignment": header(0, 1) + text(b"general.alignment") + struct.pack("<II", 4, 3),
        "bad-shape": header(1, 0) + tensor(b"w", [2**32, 2**32], 0, 0) + bytes(64),
        "bad-type": header(1, 0) + tensor(b"w", [32], 99, 0) + bytes(64),
        "bad-offset": header(1, 0) + tensor(b"w", [8], 0, 2**63) + bytes(64),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (OUT / f"{name}.gguf").write_bytes(data)
    print(f"{len(seeds)} seeds, {sum(map(len, seeds.values()))} bytes, in {OUT}")


if __name__ == "__main__":
    main()
