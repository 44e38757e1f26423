"""What the engine promises of its quality, on wikitext2-test: figures that docs/quality.md shows, with their bounds.

Of the eight chunks of each divergence fewer are measured here, for the sake of time. The perplexities of the reference are those of an independent forward pass in f32 over the same four chunks; the bounds of
the divergence are below what the best other engines show on this text."""

import json

import pytest

PERPLEXITY = {"smollm2": 23.270, "gemma3-270m": 13.871}
# Chunks, mean KLD at most, share of the same most likely token at least.
DIVERGENCE = {"smollm2": (3, 0.0025, 0.97), "gemma3-270m": (1, 0.0030, 0.975)}


@pytest.fixture
def evaluate(kvasir, data, smollm2, gemma3):
    text = str(data / "text/wikitext2-test.txt")
    return lambda what, model, chunks: json.loads(
        kvasir.ok("eval", what, "-m", model, "-f", text, "-c", "512", "--chunks", str(chunks), "--json"))


@pytest.mark.parametrize("model", PERPLEXITY)
def test_perplexity_is_that_of_the_reference(evaluate, model):
    got = evaluate("ppl", model, 4)
    assert got["chunks"] == 4
    assert got["ppl"] == pytest.approx(PERPLEXITY[model], rel=0.003)


@pytest.mark.parametrize("model", DIVERGENCE)
def test_the_default_is_near_exact_mode(evaluate, model):
    chunks, most_kld, least_same_top = DIVERGENCE[model]
    got = evaluate("kld", model, chunks)
    assert got["chunks"] == chunks
    assert 0 < got["mean_kld"] <= most_kld, got
    assert got["same_top"] >= least_same_top, got
