"""The models that are measured: fetched ones by name, and random ones of a known shape, made here when missing."""
from __future__ import annotations

import pathlib
import shutil
import sys

from harness.places import MODELS, ROOT, die, note, run

# Name: the file's bytes, and the options of synth_model.py.
SYNTHETIC = {
    "llama-1b-q4_0": (0.7e9, "--layers 16 --dim 2048 --ffn 8192 --heads 32 --kv 8"),
    "llama-8b-q4_0": (4.2e9, "--layers 32 --dim 4096 --ffn 14336 --heads 32 --kv 8"),
}
DONOR = "smollm2"  # of the vocabulary


def path_of(name: str) -> pathlib.Path:
    """The file of the model `name`; a random one is made if it is not there yet."""
    if name in SYNTHETIC:
        return synthetic(name)
    path = MODELS / f"{name}.gguf"
    if not path.exists():
        die(f"the model {path} is missing. Fetch it with: ./dev models {name}")
    return path


def synthetic(name: str) -> pathlib.Path:
    path = MODELS / "synth" / f"{name}.gguf"
    if path.exists():
        return path
    size, shape = SYNTHETIC[name]
    donor = path_of(DONOR)
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < size + 1e9:
        die(f"{path} needs {size / 1e9:.1f} GB and 1 GB to spare, but {free / 1e9:.1f} GB are free. Make room, or leave "
            f"its rows out with --rows")
    note(f"making {path} ({size / 1e9:.1f} GB of random weights)")
    run([sys.executable, ROOT / "bench/synth_model.py", path, "--vocab-from", donor, *shape.split()])
    return path
