"""lm-evaluation-harness over the server gives the numbers of `kvasir eval`. It runs where
`./dev bench lm_eval` has put the harness, a few hundred megabytes, into the cache."""

import os
import re
import subprocess
import sys

import pytest
from program import BINARY, MODELS, ROOT, heavy, installed

SCRIPT = ROOT / "bench/lm_eval.py"


@heavy
def test_the_harness_gives_the_numbers_of_eval():
    installed("smollm2")
    version = re.search(r'^VERSION = "([0-9.]+)"$', SCRIPT.read_text(), re.MULTILINE)[1]
    if not (MODELS.parent / f"peers/lm-eval-{version}/ready").exists():
        pytest.skip(f"lm-eval {version} is not in {MODELS.parent / 'peers'}; './dev bench lm_eval' puts it there")
    done = subprocess.run([sys.executable, SCRIPT, "--pieces", "1", "--no-result"], capture_output=True, text=True, check=False,
                          env={**os.environ, "KVASIR_BIN": str(BINARY), "KVASIR_MODELS": str(MODELS)})
    assert done.returncode == 0, done.stderr
    assert "largest relative difference" in done.stdout
