"""Where things are, and running programs: every failure ends the script with one message that says what to do."""
from __future__ import annotations

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kvasir"
MODELS = pathlib.Path(os.environ.get("KVASIR_MODELS") or CACHE / "models")
KVASIR = pathlib.Path(os.environ.get("KVASIR_BIN") or ROOT / "build/release/bin/kvasir")
CPUS = len(os.sched_getaffinity(0))
BUILD_HINT = "Build the program with: ./dev build"


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def die(text: str) -> None:
    sys.exit(f"error: {text}")


def run(command: list, hint: str = "", **options) -> str:
    """The standard output of `command`; a failure ends the script with the tail of its output and `hint`."""
    words = [str(word) for word in command]
    try:
        result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
    except FileNotFoundError:
        die(f"{words[0]} is not there. {hint}")
    if result.returncode != 0:
        tail = (result.stderr or result.stdout).strip()[-1500:]
        die(f"'{' '.join(words)}' ended with status {result.returncode}. {hint}\n{tail}")
    return result.stdout
