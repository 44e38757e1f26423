"""What each eviction policy costs, against the same computation in numpy: scores, choice of tokens, positions and attention all at once."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from eviction import POLICIES, ForgetfulModel
from program import DATA

CONTEXT = 256
FIRST = CONTEXT * 3 // 4


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True, dtype=np.float64)).astype(x.dtype)


def program(kvasir, *args: str, text: bytes | None = None) -> bytes:
    return subprocess.run([kvasir, *args], input=text, check=True, capture_output=True, timeout=600).stdout


# gemma3 is there for its layers with windows, whose tokens all stay; for that some policies are enough.
@pytest.mark.parametrize("name, budget, policies", [("smollm2", 50, POLICIES), ("gemma3-270m", 55, ("recent", "adakv", "expected"))])
def test_divergence_is_that_of_the_formulas(kvasir, real_model, name, budget, policies):
    path = str(real_model(name))
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
        assert rows[policy]["mean_kld"] == pytest.approx(divergence, rel=0.03), policy
        # A few of 127 positions have two tokens so near to each other that rounding decides.
        same = (whole.argmax(axis=-1) == each.argmax(axis=-1)).mean()
        assert rows[policy]["same_top"] == pytest.approx(same, abs=0.04), policy
