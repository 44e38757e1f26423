"""The whole engine through each set of kernels that this machine can run: the kernels' own tests compare them one by one,
here a model computes with all of them at once, packed as each wants its weights."""

import functools
import json
import subprocess

import numpy as np
import pytest
from program import BINARY

GOLDEN = {"smollm2": "smollm2-135m", "gemma3-270m": "gemma3-270m"}
# The whole of the reference would take minutes, above all with plain C++. What comes later in a prompt changes nothing of
# what came before, so a prompt may be cut.
TOKENS = {"smollm2": 128, "gemma3-270m": 64}
TOKENS_OF_REF = 8
# Of the default precision over these few positions; seen: 0.0016 on smollm2, 0.0005 on gemma3-270m.
MOST_KLD = 0.003


@functools.cache
def supported() -> str:
    return subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout


def cut(golden, folder, tokens: int):
    """A copy of the reference whose prompts have `tokens` tokens at most; a longer one only where its logits then count."""
    reference = json.loads((golden / "golden.json").read_text())
    prompts = []
    for prompt in reference["prompts"]:
        logits = np.fromfile(golden / f"{prompt['name']}.logits.f16", np.float16).reshape(-1, prompt["vocab"])
        kept = [i for i, position in enumerate(prompt["positions"]) if position < tokens]
        if not kept:
            continue
        logits[kept].tofile(folder / f"{prompt['name']}.logits.f16")
        prompts.append({**prompt, "tokens": prompt["tokens"][:tokens], "nll": prompt["nll"][:tokens - 1],
                        "argmax": prompt["argmax"][:tokens], "positions": [prompt["positions"][i] for i in kept]})
    (folder / "golden.json").write_text(json.dumps({**reference, "prompts": prompts}))
    return folder


@pytest.mark.parametrize("model, isa", [
    ("smollm2", "ref"), ("smollm2", "avx2"), ("smollm2", "avx512"), ("smollm2", "vnni"), ("gemma3-270m", "avx2"), ("gemma3-270m", "vnni")])
def test_every_set_of_kernels_computes_the_same_model(kvasir, data, tmp_path, smollm2, gemma3, model, isa):
    if isa not in supported().split("can run")[-1]:
        pytest.skip(f"this processor cannot run {isa}: {supported().strip()}")
    golden = cut(data / "golden" / GOLDEN[model], tmp_path, TOKENS_OF_REF if isa == "ref" else TOKENS[model])
    measure = lambda *flags: json.loads(kvasir.ok(  # noqa: E731
        "eval", "golden", "-m", model, "--golden", str(golden), "--json", *flags, env={"KVASIR_ISA": isa}))
    exact = measure("--compute", "exact")
    assert exact["same_top"] == 1 and exact["max_abs_nll_error"] <= 0.002, exact
    assert exact["tokens"] >= TOKENS_OF_REF - 1 and exact["positions"] >= 1
    default = measure()
    assert exact["mean_kld"] < default["mean_kld"] <= MOST_KLD, default
