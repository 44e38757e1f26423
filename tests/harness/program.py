"""The program under test, where its models and data are, and how long to wait for it.

$KVASIR_BIN is the program (default: that of build/dev), $KVASIR_MODELS the folder of installed models.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("KVASIR_BIN", ROOT / "build/dev/bin/kvasir")).resolve()
MODELS = Path(os.environ.get("KVASIR_MODELS", Path.home() / ".cache/kvasir/models"))
DATA = ROOT.parent / "shared" / "data"


def _sanitizer() -> str:
    """The sanitizer that the program was built with: "address", "thread" or "". Asked of the program itself, so that no caller can forget it."""
    code = BINARY.read_bytes() if BINARY.exists() else b""
    return next((name for name, sign in (("address", b"__asan_init"), ("thread", b"__tsan_init")) if sign in code), "")


SANITIZER = _sanitizer()
SLOWNESS = {"": 1, "address": 5, "thread": 10}[SANITIZER]  # that much longer everything may take


def assert_no_report(errors: str):
    """A sanitizer's report fails the test, whatever the process does next."""
    assert "Sanitizer" not in errors and "runtime error: " not in errors, errors


# For tests that repeat at length what a shorter one shows.
heavy = pytest.mark.skipif(os.environ.get("KVASIR_HEAVY_TESTS") != "1", reason="takes long: KVASIR_HEAVY_TESTS=1 asks for it, as CI does")


def installed(name: str) -> str:
    if not (MODELS / f"{name}.gguf").exists() and not (MODELS / name / "model.safetensors").exists():
        pytest.skip(f"{name} is not installed in {MODELS}; './dev models {name}' fetches it")
    return name
