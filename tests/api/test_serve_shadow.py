"""--shadow-check: what a compressed cache costs on the requests that come, as a metric."""

import re

COMPLETIONS = "/v1/completions"
DISTANCE = "kvasir_shadow_attention_distance"
TEXT = " ".join(f"Item {i} on the list of things to remember is a {thing}." for i, thing in enumerate(["box", "bell", "kite", "spoon"] * 8))


def distances(server) -> tuple[int, float]:
    """How many comparisons there were, and their mean."""
    text = server.get("/metrics").body.decode()
    count, total = (float(re.search(rf"^{DISTANCE}_{name}{{.*}} (\S+)$", text, re.MULTILINE)[1]) for name in ("count", "sum"))
    return int(count), total / count if count else 0.0


def ask(server, **more) -> dict:
    return server.post(COMPLETIONS, {"prompt": TEXT, "max_tokens": 40, "temperature": 0, "ignore_eos": True, **more}).json


def test_one_in_two_requests_is_compared(serve):
    server = serve("--shadow-check", "2", "--ctx", "2048", "--kv", "f16")
    first = ask(server)
    assert server.metric("kvasir_shadow_requests_total") == 1
    count, f16 = distances(server)
    assert count > 0 and 0 < f16 < 0.01
    second = ask(server)
    assert server.metric("kvasir_shadow_requests_total") == 1 and distances(server)[0] == count
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert second["choices"][0]["text"] == first["choices"][0]["text"]
    third = ask(server, cache_explain=True)
    assert third["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert third["cache"][0]["ended_because"] == "shadow check"
    assert third["choices"][0]["text"] == first["choices"][0]["text"]
    assert distances(server)[0] > count


def test_a_cache_of_fewer_bits_shows(serve):
    means = []
    for kv in ("q8", "kivi2,recent=64"):
        server = serve("--shadow-check", "1", "--ctx", "2048", "--kv", kv)
        ask(server)
        means.append(distances(server)[1])
    assert 0 < means[0] < means[1]


def test_without_the_option_nothing_is_compared(server):
    ask(server)
    assert server.metric("kvasir_shadow_requests_total") == 0
    assert distances(server) == (0, 0.0)
