"""Eviction on a real model: every policy with every kind of cache, and whether what was asked for is still found."""

import json

import pytest

POLICIES = ["streaming", "recent", "random", "h2o", "tova", "snapkv", "pyramidkv", "adakv", "knorm", "keydiff", "expected"]
CODECS = ["f16", "q8", "nuq4,recent=64", "q4,recent=64", "kivi2,recent=64"]
PLACES = ["lighthouse", "bridge", "tower", "castle", "garden", "harbour"]


def haystack(needle_at: int, place: str = "lighthouse", number: int = 7316) -> str:
    """About 300 tokens, with the needle behind so many sentences, and the question."""
    things = ["grass", "sky", "sea", "sand", "moss", "corn", "clay", "snow"]
    colours = ["green", "blue", "grey", "yellow", "dark", "gold", "red", "white"]
    sentences = [f"In field {i} the {things[i % 8]} is {colours[i % 8]} and nobody walks there." for i in range(19)]
    sentences.insert(needle_at, f"The secret number of the {place} is {number}.")
    return " ".join(sentences) + f" \nWhat is the secret number of the {place}?"


def answer(kvasir, model: str, kv: str, prompt: str, tokens: int = 24) -> dict:
    return json.loads(kvasir.ok("run", "--json", "-m", model, "--kv", kv, "-p", prompt, "--greedy", "-n", str(tokens)))


@pytest.mark.parametrize("codec", CODECS)
def test_every_policy_frees_memory_of_every_cache(kvasir, smollm2, codec):
    prompt = haystack(9)
    whole = answer(kvasir, smollm2, codec, prompt, tokens=2)  # so few that all answers end in the same page
    assert 280 <= whole["prompt_tokens"] <= 400
    for policy in POLICIES:
        got = answer(kvasir, smollm2, f"{codec},evict={policy},budget=75%", prompt, tokens=2)
        assert got["kv"].endswith(f"evict={policy},budget=75%") and got["text"], policy
        assert got["kv_bytes"] < whole["kv_bytes"], policy


def found(kvasir, model: str, kv: str) -> int:
    """Of six needles at all depths."""
    count = 0
    for k, place in enumerate(PLACES):
        number = 1000 + (k * 2713 + 317) % 9000
        count += str(number) in answer(kvasir, model, kv, haystack((k * 2 + 1) * 19 // 13, place, number))["text"]
    return count


def test_some_policies_find_more_than_chance(kvasir, smollm2):
    """SnapKV, H2O and their relatives do not on a model of this size with a question of one line: docs/eviction.md."""
    by_chance = found(kvasir, smollm2, "f16,evict=random,budget=75%")
    for policy in ["tova", "keydiff", "knorm"]:
        assert found(kvasir, smollm2, f"f16,evict={policy},budget=75%") > by_chance, policy


def test_a_wrong_policy_is_refused(kvasir, smollm2):
    message = kvasir.fails("run", "-m", smollm2, "-p", "x", "--kv", "f16,evict=lru,budget=50%", code=2)
    assert "names no policy: there are streaming, recent, random, h2o" in message
