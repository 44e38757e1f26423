"""What deploy/ holds, against the real program."""

import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BINARY = Path(os.environ.get("KVASIR_BIN", ROOT / "build/dev/bin/kvasir")).resolve()
MODELS = Path(os.environ.get("KVASIR_MODELS", Path.home() / ".cache/kvasir/models"))

sys.path.append(str(ROOT / "tests/api"))  # serving.py, which finds BINARY and MODELS here


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    from serving import Server
    if not (MODELS / "smollm2.gguf").exists():
        pytest.skip(f"smollm2 is not installed in {MODELS}; './dev models smollm2' fetches it")
    started = Server(tmp_path_factory.mktemp("home"), "--ctx", "1024")
    yield started
    started.stop(signal.SIGKILL)
