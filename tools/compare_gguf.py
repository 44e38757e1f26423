#!/usr/bin/env python3
"""Compares two GGUF files with the PyPI package `gguf`: metadata, then every tensor's type, shape and bytes.

    compare_gguf.py A B      exits 0 and prints the counts if they hold the same, else names the first difference

It is how the writer is tested against a reader that is not ours. Needs: pip install gguf numpy.
"""
import sys

import numpy as np
from gguf import GGUFReader


def metadata(reader):
    # Fields named GGUF.* are the header (version and counts); offsets depend on padding only.
    return {name: ([str(t) for t in field.types], field.contents()) for name, field in reader.fields.items()
            if not name.startswith("GGUF.")}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    a, b = (GGUFReader(path) for path in sys.argv[1:])
    left, right = metadata(a), metadata(b)
    if list(left) != list(right):
        sys.exit(f"different keys: {sorted(set(left) ^ set(right)) or 'the same ones in another order'}")
    for key in left:
        if left[key] != right[key]:
            sys.exit(f"key {key} differs: {str(left[key])[:200]} and {str(right[key])[:200]}")
    if [t.name for t in a.tensors] != [t.name for t in b.tensors]:
        sys.exit("different tensor names, or another order")
    for x, y in zip(a.tensors, b.tensors):
        if x.tensor_type != y.tensor_type or list(x.shape) != list(y.shape) or not np.array_equal(
                x.data.view(np.uint8), y.data.view(np.uint8)):
            sys.exit(f"tensor {x.name} differs")
    print(f"equal: {len(left)} keys, {len(a.tensors)} tensors")


if __name__ == "__main__":
    main()
