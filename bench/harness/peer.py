"""llama.cpp as a peer: its build from PyPI's source package, its benchmark program and its server."""
from __future__ import annotations

import itertools
import json
import pathlib
import shutil
import sys
import tarfile

from harness.places import CACHE, note, die, run

VERSION = "0.3.36"
NAME = f"llama-cpp-python=={VERSION}"
HOME = CACHE / "peers"
KEEP_WITHIN = 0.85  # of the best setting in the first turn: slower ones are not measured again
SOURCE = HOME / f"llama_cpp_python-{VERSION}" / "vendor" / "llama.cpp"

FETCH_HINT = (f"{NAME} comes from PyPI: is there a network? Without one, build that release elsewhere and name its program "
              f"with --peer PATH")
BUILD_HINT = f"building the peer in {SOURCE} failed; './dev setup test' installs the compiler it needs"


def build(name: str = "llama-bench") -> pathlib.Path:
    """The path of one of its programs, fetched and built natively if it is not there yet."""
    program = SOURCE / "build" / "bin" / name
    if program.exists():
        return program
    for tool in ("cmake", "ninja", "c++"):
        if shutil.which(tool) is None:
            die(f"{tool} is needed to build the peer and is not installed: ./dev setup test")
    HOME.mkdir(parents=True, exist_ok=True)
    if not (SOURCE / "CMakeLists.txt").exists():
        note(f"fetching {NAME} into {HOME}")
        run([sys.executable, "-m", "pip", "install", "-q", "scikit-build-core", "flit-core"], FETCH_HINT)
        run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "llama-cpp-python",
             "--no-build-isolation", "-d", HOME, NAME], FETCH_HINT)
        with tarfile.open(HOME / f"llama_cpp_python-{VERSION}.tar.gz") as archive:
            archive.extractall(HOME, filter="data")
    note(f"building {name}: this takes some minutes")
    run(["cmake", "-B", "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF",
         "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_UI=OFF",
         "-DLLAMA_USE_PREBUILT_UI=OFF"], BUILD_HINT, cwd=SOURCE)
    run(["ninja", "-C", "build", name], BUILD_HINT, cwd=SOURCE)
    return program


def variants(kv: str) -> list[dict]:
    """The settings of the peer that are tried for a row: its best counts. An 8-bit cache needs its flash attention."""
    flash = (1,) if kv == "q8" else (0, 1)
    return [{"fa": fa, "repack": repack} for fa, repack in itertools.product(flash, (1, 0))]


def speed(program: pathlib.Path, model: pathlib.Path, row, threads: int, repetitions: int, variant: dict) -> float:
    """Tokens per second of one row under one setting."""
    kv = "q8_0" if row.kv == "q8" else "f16"
    out = run([program, "-m", model, "-p", row.prompt, "-n", row.generate, "-d", row.depth, "-t", threads, "-r", repetitions,
               "-ctk", kv, "-ctv", kv, "-fa", variant["fa"], "--repack", variant["repack"], "-o", "json"])
    return json.loads(out)[0]["avg_ts"]
