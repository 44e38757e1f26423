"""Fixtures: the program, the real models, the shared data, and the random models, written when first asked for."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest

import make_models
from program import BINARY, DATA, MODELS, ROOT, installed
from specs import Spec

HERE = Path(__file__).resolve().parent


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for name in ("forward.py", "make_models.py", "random_blocks.py", "specs.py", "vocabulary.py"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def model_folder():
    """Spec -> its folder with model.gguf and golden.json. Kept under build/ until one of the sources changes."""
    cache = ROOT / "build" / "reference-models" / _sources_hash()
    cache.mkdir(parents=True, exist_ok=True)

    def folder(spec: Spec) -> Path:
        done = cache / spec.name
        if not done.exists():
            staging = Path(tempfile.mkdtemp(dir=cache, prefix=".making-"))
            try:
                make_models.make(spec, staging).rename(done)
            except OSError:  # another test run was faster
                if not done.exists():
                    raise
            finally:
                shutil.rmtree(staging)
        return done

    return folder


@pytest.fixture(scope="session")
def real_model():
    """Name -> path of an installed real model; skips where it is not installed."""
    return lambda name: MODELS / f"{installed(name)}.gguf"


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    folder = DATA / "golden"
    if not folder.is_dir():
        pytest.skip("the shared golden data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def kvasir() -> Path:
    assert BINARY.is_file(), f"{BINARY} is not built; ./dev build dev builds it, or KVASIR_BIN names another"
    return BINARY
