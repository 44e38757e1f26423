"""Eviction on a real model: every policy with every kind of cache, and whether what was asked for is still found."""

import json

import pytest

POLICIES = ["streaming", "recent", "random", "h2o", "tova", "snapkv", "pyramidkv", "adakv", "knorm", "keydiff", "expected"]
CODECS = ["f16", "q8", "nuq4,recent=64", "q4,recent=64", "kivi2,recent=64"]
NEEDLE = "The secret number of the lighthouse is 7316."
QUESTION = "What is the secret number of the lighthouse?"


def haystack(needle_at: int) -> str:
    """About 300 tokens, with the needle behind so many sentences."""
    things = ["grass", "sky", "sea", "sand", "moss", "corn", "clay", "snow"]
    colours = ["green", "blue", "grey", "yellow", "dark", "gold", "red", "white"]
    sentences = [f"In field {i} the {things[i % 8]} is {colours[i % 8]} and nobody walks there." for i in range(19)]
    sentences.insert(needle_at, NEEDLE)
    return " ".join(sentences) + "\n" + QUESTION


def answer(kvasir, model: str, kv: str, prompt: str, *args) -> dict:
    return json.loads(kvasir.ok("run", "--json", "-m", model, "--kv", kv, "-p", prompt, "--greedy", "-n", "24", *args))


@pytest.mark.parametrize("codec", CODECS)
def test_every_policy_frees_memory_of_every_cache(kvasir, smollm2, codec):
    prompt = haystack(9)
    whole = answer(kvasir, smollm2, codec, prompt)
    assert 280 <= whole["prompt_tokens"] <= 400
    for policy in POLICIES:
        got = answer(kvasir, smollm2, f"{codec},evict={policy},budget=75%", prompt)
        assert got["kv"].endswith(f"evict={policy},budget=75%") and got["text"], policy
        assert got["kv_bytes"] < whole["kv_bytes"], policy
        all_of_it = answer(kvasir, smollm2, f"{codec},evict={policy},budget=100%", prompt)
        assert all_of_it["text"] == whole["text"] and all_of_it["kv_bytes"] == whole["kv_bytes"], policy


def test_a_wrong_policy_is_refused(kvasir, smollm2):
    message = kvasir.fails("run", "-m", smollm2, "-p", "x", "--kv", "f16,evict=lru,budget=50%", code=2)
    assert "names no policy: there are streaming, recent, random, h2o" in message
