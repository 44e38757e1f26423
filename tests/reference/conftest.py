"""Fixtures: where the repository, the real models and the shared data are, and the random models, written when first asked for."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

import make_models
from specs import Spec

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for name in ("forward.py", "make_models.py", "random_blocks.py", "specs.py", "vocabulary.py"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def model_folder():
    """Spec -> its folder with model.gguf and golden.json. Kept under build/ until one of the sources changes."""
    cache = REPOSITORY / "build" / "reference-models" / _sources_hash()
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
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kvasir" / "models"

    def path(name: str) -> Path:
        found = root / f"{name}.gguf"
        if not found.exists():
            pytest.skip(f"{name} is not installed; ./dev models installs it")
        return found

    return path


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    folder = REPOSITORY.parent / "shared" / "data" / "golden"
    if not folder.is_dir():
        pytest.skip("the shared golden data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def kvasir() -> Path:
    """The program under test: KVASIR_BIN, or the dev build. A program that was named must exist; the default may be missing."""
    named = os.environ.get("KVASIR_BIN")
    program = Path(named) if named else REPOSITORY / "build" / "dev" / "src" / "cli" / "kvasir"
    if not program.is_file():
        if named:
            pytest.fail(f"KVASIR_BIN={named} does not exist")
        pytest.skip(f"{program} is not built; ./dev build builds it, or KVASIR_BIN names another")
    return program.resolve()
