"""Text and token ids, by our own program."""
from __future__ import annotations

import json
import pathlib

from harness.places import BUILD_HINT, KVASIR, run


def tokenize(model: pathlib.Path, text: str) -> list[int]:
    return json.loads(run([KVASIR, "tokenize", "-m", model, "--ids", "--no-special"], BUILD_HINT, input=text))


def detokenize(model: pathlib.Path, ids: list[int]) -> str:
    return run([KVASIR, "detokenize", "-m", model], BUILD_HINT, input=" ".join(map(str, ids)))
