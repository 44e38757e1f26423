"""What each eviction policy costs, against the same computation in numpy: scores, choice of tokens, positions and attention all at once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from eviction import POLICIES, ForgetfulModel
from make_models import Builder
from program import DATA, heavy
from specs import Spec

CONTEXT = 256
FIRST = CONTEXT * 3 // 4


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True, dtype=np.float64)).astype(x.dtype)


def program(kvasir, *args: str, text: bytes | None = None) -> bytes:
    return subprocess.run([kvasir, *args], input=text, check=True, capture_output=True, timeout=600).stdout


@pytest.fixture(scope="module")
def windowed(tmp_path_factory) -> Path:
    """Random weights in gemma3's shape: layers with a window, whose tokens all stay, and two KV heads."""
    path = tmp_path_factory.mktemp("model") / "windowed.gguf"
    keys = {"rope.freq_base": 1e6, "attention.sliding_window": 32, "attention.sliding_window_pattern": [True, False, True, False, False]}
    Builder(Spec("windowed", "gemma3", embd=128, heads=4, kv_heads=2, ffn=224, head_size=64, layers=5, tied=True, sentencepiece=True,
                 types=("Q8_0",), keys=keys), path, as_f32=False).build()
    return path


# A real model with those policies that need no more of it than it knows, and all of them on one that is small.
@pytest.mark.parametrize("name, budget, policies", [
    pytest.param("smollm2", 50, ("streaming", "tova", "adakv", "expected"), marks=heavy), ("windowed", 55, POLICIES)])
def test_divergence_is_that_of_the_formulas(kvasir, real_model, windowed, name, budget, policies):
    path = str(windowed if name == "windowed" else real_model(name))
    file = DATA / "text/wikitext2-test.txt"
    if not file.exists():
        pytest.skip("the shared texts are not beside this checkout")
    # Precise arithmetic and a cache of 32 bits: what differs from numpy is the policy or nothing.
    got = json.loads(program(kvasir, "eval", "evict", "-m", path, "-f", str(file), "-c", str(CONTEXT), "--chunks", "1", "--samples", "0",
                             "--kv", "f32", "--compute", "precise", "--policies", ",".join(policies), "--budgets", f"{budget}%", "--json"))
    rows = {row["policy"]: row for row in got["rows"]}
    text = file.read_bytes()[: 16 * CONTEXT]  # bytes: read as text, its line ends would change, and with them the tokens
    tokens = json.loads(program(kvasir, "tokenize", "-m", path, "--ids", "--no-special", text=text))[:CONTEXT]
    model = ForgetfulModel(path, np.float32)
    if model.metadata.get("tokenizer.ggml.add_bos_token", False):
        tokens = [int(model.metadata["tokenizer.ggml.bos_token_id"]), *tokens[:-1]]
    logits, *forgetful = model.branches(tokens[:-1], FIRST, round(FIRST * budget / 100), (None, *policies))
    whole = log_softmax(logits)
    chance = np.exp(whole)
    for policy, logits in zip(policies, forgetful):
        each = log_softmax(logits)
        divergence = np.einsum("tv,tv->t", chance, whole - each).mean()
        assert divergence > 1e-4 and rows[policy]["mean_kld"] == pytest.approx(divergence, rel=0.03), policy
        # A few of 127 positions have two tokens so near to each other that rounding decides.
        same = (whole.argmax(axis=-1) == each.argmax(axis=-1)).mean()
        assert rows[policy]["same_top"] == pytest.approx(same, abs=0.04), policy
