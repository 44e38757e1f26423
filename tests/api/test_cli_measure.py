"""inspect, bench and eval: figures for people and for programs."""

import json
import math
import re

import pytest
from program import heavy


def test_inspect_a_model(kvasir, smollm2):
    text = kvasir.ok("inspect", smollm2)
    for expected in ("architecture  llama", "parameters    135 M", "chat template yes", "KV cache", "Memory for 8192 tokens"):
        assert expected in text, text
    assert "blk.0" not in text
    assert "blk.0.attn_q.weight" in kvasir.ok("inspect", smollm2, "--tensors")
    assert "tokenizer.ggml.tokens" in kvasir.ok("inspect", smollm2, "--metadata")


def test_the_plan_follows_the_options(kvasir, smollm2):
    plan = lambda *args: json.loads(kvasir.ok("inspect", smollm2, "--json", *args))["plan"]  # noqa: E731
    whole, half = plan(), plan("-c", "4096")
    assert whole["context_tokens"] == 8192 and half["context_tokens"] == 4096
    assert half["kv_bytes"] == whole["kv_bytes"] // 2
    assert plan("--kv", "f32")["kv_bytes"] == 2 * whole["kv_bytes"]
    assert plan("--compute", "exact")["kv_bytes"] == 2 * whole["kv_bytes"]
    assert whole["fits"]


def test_layers_with_windows_keep_their_windows(kvasir, gemma3):
    """What `run` reports behind 32,696 tokens (docs/choosing-a-cache.md): 3 layers hold them all, 15 only 576, 1024 bytes for each."""
    cache = json.loads(kvasir.ok("inspect", gemma3, "-c", "32696", "--kv", "f16", "--json"))["caches"][0]
    assert cache["kv"] == "f16" and cache["bytes"] == 1024 * (3 * 32704 + 15 * 576) == 109_314_048


def test_a_plan_that_does_not_fit(kvasir, smollm2):
    text = kvasir.ok("inspect", smollm2, "-c", "16000000", "--kv", "f32")
    assert "does not fit" in text or "cannot be run" in text
    assert not json.loads(kvasir.ok("inspect", smollm2, "-c", "16000000", "--json"))["plan"]["fits"]


def test_inspect_says_what_an_eviction_leaves(kvasir, smollm2):
    caches = lambda *args: json.loads(kvasir.ok("inspect", smollm2, "-c", "8192", "--json", *args))["caches"][0]  # noqa: E731
    share = caches("--kv", "q8,evict=expected,budget=25%")
    assert share["bits_per_element"] == 8.5 / 4 and share["kept_bits_per_element"] == 8.5 and share["kept_tokens"] == 2048
    assert share["bytes"] == pytest.approx(share["whole_bytes"] / 4, rel=0.05) and share["record_bytes"] == 30 * 9 * 64 * (2 * 64 + 3) * 4
    assert share["peak_bytes"] > share["whole_bytes"] + share["record_bytes"]
    tokens = caches("--kv", "q8,evict=snapkv", "--kv-budget", "64M")
    assert tokens["kv"] == "q8,evict=snapkv,budget=64M" and tokens["bytes"] < 64 << 20 and 4096 < tokens["kept_tokens"] < 6144
    text = kvasir.ok("inspect", smollm2, "-c", "8192", "--kv", "q8,evict=snapkv", "--kv-budget", "2048")
    assert "q8,evict=snapkv,budget=2048 keeps 2048 tokens per layer and head" in text and "2.12 bits per element" in text
    assert "--kv is 'q8'" in (said := kvasir.fails("inspect", smollm2, "--kv", "q8", "--kv-budget", "2048", code=2)) and "evict=snapkv" in said
    assert "--kv" in kvasir.fails("inspect", smollm2, "--kv-budget", "2048", code=2)


def test_inspect_json_has_tensors_and_metadata(kvasir, smollm2):
    got = json.loads(kvasir.ok("inspect", smollm2, "--json"))
    assert got["architecture"] == "llama" and got["layers"] == 30 and got["cannot_run"] is None
    assert {"name", "type", "shape", "bytes"} <= set(got["tensors"][0])
    assert got["metadata"]["general.architecture"]["value"].strip('"') == "llama"
    assert "tensors" not in json.loads(kvasir.ok("inspect", smollm2, "--json", "--metadata"))


def test_inspect_a_vocabulary(kvasir, data):
    text = kvasir.ok("inspect", str(data / "tokenizers/ggml-vocab-gpt-2.gguf"))
    assert "cannot be run" in text


def test_inspect_an_encoder(kvasir, minilm):
    text = kvasir.ok("inspect", minilm)
    for expected in ("architecture  bert", "parameters    22.7 M, stored as F32", "layers        6 of width 384", "pooling       mean, then to length 1",
                     "longest text  256 tokens", "kvasir embed"):
        assert expected in text, text
    assert "Memory for" not in text and "cannot be run" not in text
    assert "encoder.layer.0.attention.self.query.weight" in kvasir.ok("inspect", minilm, "--tensors")
    got = json.loads(kvasir.ok("inspect", minilm, "--json"))
    assert got["encoder"] == {"pooling": "mean", "normalised": True, "max_tokens": 256} and got["plan"] is None
    assert got["parameters"] == sum(math.prod(tensor["shape"]) for tensor in got["tensors"])
    assert sum(tensor["bytes"] for tensor in got["tensors"]) < got["file_bytes"]


def test_a_model_that_is_not_there(kvasir, smollm2):
    message = kvasir.fails("inspect", "smolm2")
    assert "there is no model 'smolm2'; did you mean 'smollm2'?" in message and "./dev models" in message
    assert "did you mean" not in kvasir.fails("inspect", "something-else") and "smollm2" in kvasir.fails("inspect", "something-else")
    assert "did you mean 'smollm2'?" in kvasir.fails("run", "-m", "smollm.gguf", "-p", "x")
    assert "did you mean" not in kvasir.fails("run", "-m", "folder/smolm2", "-p", "x")


def test_inspect_the_processor(kvasir):
    text = kvasir.ok("inspect", "--cpu")
    assert "GB/s" in text and "TOPS" in text and "GFLOPS" in text
    got = json.loads(kvasir.ok("inspect", "--cpu", "--json", "-t", "1"))
    assert got["limits"]["threads"] == 1 and got["limits"]["int8_tops"] > 0
    assert got["cpu"]["chosen_isa"] in got["cpu"]["supported_isa"]


def test_bench(kvasir, smollm2):
    done = kvasir("bench", "-m", smollm2, "-p", "16,32", "-n", "4", "-d", "0,64", "-r", "1", "--json")
    got = json.loads(done.stdout)
    assert done.stderr == b""
    assert [(r["prompt"], r["generate"], r["depth"]) for r in got["rows"]] == [
        (16, 0, 0), (32, 0, 0), (0, 4, 0), (16, 0, 64), (32, 0, 64), (0, 4, 64)]
    assert all(r["tokens_per_second"] > 0 and r["percent_of_limit"] > 0 for r in got["rows"])
    assert got["limits"]["read_gb_per_second"] > 0
    table = kvasir.ok("bench", "-m", smollm2, "-p", "16", "-n", "0", "-r", "1")
    assert re.search(r"prompt 16 +[\d.]+ .* \d+%  (memory|int8|fma)\n", table)
    assert "context" in kvasir.fails("bench", "-m", smollm2, "-d", "9000", "--json")


def test_perplexity(kvasir, smollm2, data):
    text = str(data / "text/wikitext2-test.txt")
    got = json.loads(kvasir.ok("eval", "ppl", "-m", smollm2, "-f", text, "-c", "128", "--chunks", "2", "--json"))
    assert got["chunks"] == 2 and got["context"] == 128 and got["tokens"] > 100
    assert 5 < got["ppl"] < 100
    assert kvasir.ok("eval", "ppl", "-m", smollm2, "-f", text, "-c", "64", "--chunks", "1").startswith("perplexity ")


def test_divergence(kvasir, smollm2, data):
    got = json.loads(kvasir.ok("eval", "kld", "-m", smollm2, "-f", str(data / "text/wikitext2-test.txt"), "-c", "64",
                               "--chunks", "2", "--json"))
    assert 0 < got["mean_kld"] < 0.05 and got["same_top"] > 0.9
    assert got["median_kld"] <= got["p99_kld"] <= got["max_kld"]
    assert got["ppl"] == pytest.approx(got["exact_ppl"], rel=0.05)


@heavy
def test_golden(kvasir, smollm2, data):
    got = json.loads(kvasir.ok("eval", "golden", "-m", smollm2, "--golden", str(data / "golden/smollm2-135m"),
                               "--compute", "exact", "--json"))
    assert got["same_top"] == 1 and got["max_abs_nll_error"] <= 0.002 and got["positions"] > 0
    assert set(got) >= {"mean_kld", "max_kld", "same_top", "max_abs_nll_error", "positions"}


def test_texts_that_cannot_be_evaluated(kvasir, smollm2, tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("too short")
    assert kvasir.fails("eval", "ppl", "-m", smollm2, "-f", str(short))
    assert "none.txt" in kvasir.fails("eval", "ppl", "-m", smollm2, "-f", "none.txt")
    assert kvasir.fails("eval", "golden", "-m", smollm2, "--golden", str(tmp_path))


def test_ctrl_c_ends_an_evaluation(terminal, smollm2, data):
    screen = terminal("eval", "ppl", "-m", smollm2, "-f", str(data / "text/wikitext2-test.txt"), "-c", "256")
    screen.expect(r"chunk \d+ of \d+ · perplexity [\d.]+")
    screen.send("\x03")
    screen.expect("kvasir: the evaluation was cancelled")
    assert screen.wait() == 130
