"""The engine against the numpy forward pass, on a small random model for every architecture, RoPE scaling and weight type.

Exact mode must reproduce the reference: what is left is f32 rounding. The default mode quantises activations to 8 bits; on random weights
that costs more than on trained ones. llama.cpp, which does the same, was measured on these very models: mean KLD at most 0.0058, same top
token in at least 94 %, a single loss off by at most 0.52. The bounds below are about twice that: they catch a broken kernel, not a small loss.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from specs import SPECS, Spec

EXACT_NLL_ERROR = 0.002
EXACT_SAME_TOP = 0.999
EXACT_MEAN_KLD = 1e-4  # the golden logits are rounded to f16
DEFAULT_NLL_ERROR = 1.0
DEFAULT_SAME_TOP = 0.90
DEFAULT_MEAN_KLD = 0.012

each_model = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)


def eval_golden(kvasir, folder, *options) -> dict:
    command = [str(kvasir), "eval", "golden", "-m", str(folder / "model.gguf"), "--golden", str(folder), *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}\nexit status {done.returncode}\n{done.stderr}"
    return json.loads(done.stdout)


def assert_all_compared(result: dict, spec: Spec) -> None:
    """An evaluation that compares nothing must not pass."""
    assert result["positions"] >= sum(spec.prompts) - len(spec.prompts)


@each_model
def test_exact_mode_is_the_reference(spec: Spec, kvasir, model_folder):
    result = eval_golden(kvasir, model_folder(spec), "--compute", "exact")
    assert_all_compared(result, spec)
    assert result["max_abs_nll_error"] <= EXACT_NLL_ERROR
    assert result["same_top"] >= EXACT_SAME_TOP
    assert result["mean_kld"] <= EXACT_MEAN_KLD


@each_model
def test_default_mode_is_close(spec: Spec, kvasir, model_folder):
    result = eval_golden(kvasir, model_folder(spec))
    assert_all_compared(result, spec)
    assert result["max_abs_nll_error"] <= DEFAULT_NLL_ERROR
    assert result["same_top"] >= DEFAULT_SAME_TOP
    assert result["mean_kld"] <= DEFAULT_MEAN_KLD
