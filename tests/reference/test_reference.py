"""Is the reference itself right, and would it notice?

Four kinds of evidence: it reproduces stored logits of two real models; it obeys identities that follow from the mathematics and not from its
code; the models and files made from it are complete; and for every convention, doing it wrong changes the losses by far more than the
0.002 that the engine is allowed.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import forward
from forward import Model, RopeConfig, rotate, rotation, token_losses
from make_models import CLEAR_MARGIN, make, margins
from program import heavy
from random_blocks import ALL_TYPES, random_rows
from specs import SPECS, llama3_divisors

SPEC = {spec.name: spec for spec in SPECS}


def load_golden(folder):
    return json.loads((folder / "golden.json").read_text())


# --- Real models -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, golden, prompts", [
    ("smollm2", "smollm2-135m", ("short", "medium")), pytest.param("gemma3-270m", "gemma3-270m", ("short", "window"), marks=heavy)])
def test_reproduces_the_stored_logits_of_a_real_model(name, golden, prompts, real_model, shared_golden):
    model = Model(real_model(name), np.float32)
    for prompt in load_golden(shared_golden / golden)["prompts"]:
        if prompt["name"] not in prompts:
            continue
        stored = np.fromfile(shared_golden / golden / f"{prompt['name']}.logits.f16", "<f2").reshape(-1, prompt["vocab"])
        every = prompt["name"] == "short"  # the head at every position of a long prompt would take gigabytes
        positions = np.array(prompt["positions"])
        logits = model.forward(prompt["tokens"], rows=slice(None) if every else positions)
        if every:
            np.testing.assert_allclose(token_losses(logits, prompt["tokens"]), prompt["nll"], atol=5e-4)
            logits = logits[positions]
        np.testing.assert_allclose(logits, stored.astype(np.float32), atol=0.02)
        assert logits.argmax(axis=-1).tolist() == [prompt["argmax"][p] for p in positions]


# --- Rotation: identities ----------------------------------------------------------------------------------------------------------------

PLAIN = RopeConfig(dims=64, base=10000.0, original_context=1024)
YARN = replace(PLAIN, kind="yarn", factor=8.0)


def test_yarn_leaves_fast_pairs_alone_and_interpolates_slow_ones():
    """The paper's own criterion: how often a pair turns within the original context."""
    plain, _ = rotation(PLAIN)
    scaled, _ = rotation(YARN)
    turns = plain * YARN.original_context / (2 * math.pi)
    index = np.arange(len(plain))
    fast, slow = index[turns > YARN.beta_fast], index[turns < YARN.beta_slow]
    assert 0 < len(fast) and 0 < len(slow) and len(fast) + len(slow) < len(plain)
    # The borders are rounded outwards to whole pairs, so the outermost pair on each side may already belong to the blend.
    np.testing.assert_allclose(scaled[fast[:-1]], plain[fast[:-1]], rtol=1e-12)
    np.testing.assert_allclose(scaled[slow[1:]], plain[slow[1:]] / 8.0, rtol=1e-12)
    assert np.all(np.diff(scaled / plain) <= 0.0), "the share of interpolation grows with the wavelength"


def test_yarn_scales_scores_by_the_square_of_its_magnitude():
    _, magnitude = rotation(YARN)
    assert magnitude == pytest.approx(0.1 * math.log(8.0) + 1.0)
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 1, 1, 64))
    position = np.array([37])
    frequency, _ = rotation(YARN)
    scored = np.vdot(rotate(q, position, frequency, magnitude, True), rotate(k, position, frequency, magnitude, True))
    assert scored == pytest.approx(np.vdot(q, k) * magnitude**2), "at equal positions the rotation cancels"


def test_yarn_without_extension_is_plain():
    frequency, magnitude = rotation(replace(YARN, factor=1.0))
    np.testing.assert_allclose(frequency, rotation(PLAIN)[0], rtol=1e-12)
    assert magnitude == 1.0


def test_yarn_without_extrapolation_is_linear():
    frequency, magnitude = rotation(replace(YARN, ext_factor=0.0))
    linear, _ = rotation(replace(PLAIN, factor=8.0))
    np.testing.assert_allclose(frequency, linear, rtol=1e-12)
    assert magnitude == 1.0


def test_linear_scaling_moves_a_position_to_its_fraction():
    x = np.random.default_rng(0).standard_normal((1, 2, 64))
    scaled = rotate(x, np.array([40]), *rotation(replace(PLAIN, factor=4.0)), False)
    plain = rotate(x, np.array([10]), *rotation(PLAIN), False)
    np.testing.assert_allclose(scaled, plain, rtol=1e-12)


def test_equal_divisors_are_linear_scaling():
    divided, _ = rotation(replace(PLAIN, kind="longrope"), np.full(32, 4.0))
    np.testing.assert_allclose(divided, rotation(replace(PLAIN, factor=4.0))[0], rtol=1e-12)


def test_scaling_type_none_ignores_the_factor():
    np.testing.assert_array_equal(rotation(replace(PLAIN, kind="none", factor=4.0))[0], rotation(PLAIN)[0])


def test_llama3_divisors_follow_the_wavelength():
    divisors = np.array(llama3_divisors(64, 500000.0, 8.0, 1.0, 4.0, 8192))
    wavelength = 2 * math.pi * 500000.0 ** (2.0 * np.arange(32) / 64)
    np.testing.assert_array_equal(divisors[wavelength < 8192 / 4.0], 1.0)
    np.testing.assert_allclose(divisors[wavelength > 8192 / 1.0], 8.0)
    between = divisors[(wavelength >= 8192 / 4.0) & (wavelength <= 8192)]
    assert len(between) and np.all((between > 1.0) & (between < 8.0)) and np.all(np.diff(divisors) >= 0.0)


def test_both_pairings_agree_after_permuting_the_head():
    x = np.random.default_rng(0).standard_normal((5, 3, 64))
    positions, (frequency, magnitude) = np.arange(5) * 11, rotation(PLAIN)
    interleave = np.arange(64).reshape(2, 32).T.ravel()  # i, i+32, i+1, i+33, ...
    halves = rotate(x, positions, frequency, magnitude, True)[..., interleave]
    np.testing.assert_array_equal(rotate(x[..., interleave], positions, frequency, magnitude, False), halves)


@pytest.mark.parametrize("neox_pairs", [True, False])
def test_scores_depend_on_the_distance_only(neox_pairs):
    q, k = np.random.default_rng(0).standard_normal((2, 1, 1, 64))
    turn = rotation(YARN)
    scores = [np.vdot(rotate(q, np.array([9 + at]), *turn, neox_pairs), rotate(k, np.array([at]), *turn, neox_pairs)) for at in (0, 100, 3000)]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-9)


def test_partial_rotation_leaves_the_tail():
    x = np.random.default_rng(0).standard_normal((3, 1, 80))
    turned = rotate(x, np.arange(3) + 5, *rotation(YARN), True)
    np.testing.assert_array_equal(turned[..., 64:], x[..., 64:])
    assert np.all(turned[..., :64] != x[..., :64])


# --- Attention and layers: identities ----------------------------------------------------------------------------------------------------


def test_shared_heads_equal_repeated_heads():
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((20, 6, 32)), rng.standard_normal((20, 2, 32)), rng.standard_normal((20, 2, 32))
    mask = forward.visible(np.arange(20), 0)
    grouped = forward.attention(q, k, v, 0.2, 0.0, mask)
    repeated = forward.attention(q, k.repeat(3, axis=1), v.repeat(3, axis=1), 0.2, 0.0, mask)
    np.testing.assert_array_equal(grouped, repeated)


def test_a_large_soft_cap_is_none():
    x = np.linspace(-4.0, 4.0, 9)
    np.testing.assert_allclose(forward.soft_cap(x, 1e4), x, rtol=1e-6)
    assert np.abs(forward.soft_cap(x * 100, 5.0)).max() <= 5.0


def test_a_later_token_changes_nothing_before_it(model_folder):
    model = Model(model_folder(SPEC["gemma3-listed-pattern"]) / "model.gguf")
    tokens = np.arange(270, 300)
    changed = tokens.copy()
    changed[20] = 265
    before, after = model.forward(tokens), model.forward(changed)
    np.testing.assert_allclose(after[:20], before[:20], atol=1e-12)
    assert np.all(np.abs(after[20:] - before[20:]).max(axis=-1) > 1e-3)


def test_windows_of_all_layers_bound_how_far_a_token_reaches(model_folder):
    """L local layers of window W: a token is felt by the L*(W-1) tokens after it, and by no other."""
    model = Model(model_folder(SPEC["gemma3-listed-pattern"]) / "model.gguf")
    model.config = replace(model.config, is_local=(True,) * model.config.layers)
    reach = model.config.layers * (model.config.window - 1)
    tokens = 260 + np.arange(reach + 10) % 40
    changed = tokens.copy()
    changed[0] = 301
    difference = np.abs(model.forward(tokens) - model.forward(changed)).max(axis=-1)
    assert difference[reach] > 0.0 and np.all(difference[reach + 1 :] == 0.0)


# --- The models and their golden files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_TYPES, ids=lambda kind: kind.name)
def test_random_rows_have_the_wanted_spread(kind):
    import gguf

    rows = random_rows(np.random.default_rng(5), kind, 64, 512, 0.05)
    values = gguf.quants.dequantize(rows, kind)
    assert values.shape == (64, 512)
    assert values.std() == pytest.approx(0.05, rel=0.15) and abs(values.mean()) < 0.003


def test_every_weight_type_occurs():
    used = {name for spec in SPECS for name in spec.types}
    assert used == {kind.name for kind in ALL_TYPES}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_golden_files_are_complete(spec, model_folder):
    folder = model_folder(spec)
    prompts = load_golden(folder)["prompts"]
    assert [len(p["tokens"]) for p in prompts] == list(spec.prompts)
    for prompt in prompts:
        logits = np.fromfile(folder / f"{prompt['name']}.logits.f16", "<f2").astype(np.float64).reshape(-1, spec.vocab)
        assert len(logits) == len(prompt["positions"]) == len(prompt["argmax"]) == len(prompt["nll"]) + 1 == len(prompt["tokens"])
        assert 1.0 <= logits.std() <= 4.0
        assert margins(logits).min() > 0.0 and margins(logits).min() > CLEAR_MARGIN / 10
        assert logits.argmax(axis=-1).tolist() == prompt["argmax"]
        np.testing.assert_allclose(token_losses(logits, prompt["tokens"]), prompt["nll"], atol=0.01)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    spec = SPEC["phi3-longrope-long"]
    first, second = (make(spec, tmp_path / name) for name in ("a", "b"))
    assert sorted(f.name for f in first.iterdir()) == sorted(f.name for f in second.iterdir())
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name


# --- Would it be noticed? ----------------------------------------------------------------------------------------------------------------


def config(**changes):
    def mistake(model: Model) -> None:
        model.config = replace(model.config, **changes)

    return mistake


def rope(**changes):
    def mistake(model: Model) -> None:
        model.config = replace(model.config, rope=replace(model.config.rope, **changes))

    return mistake


def without(*parts: str):
    def mistake(model: Model) -> None:
        for name in [n for n in model._stored if any(part in n for part in parts)]:
            del model._stored[name]

    return mistake


def swapped(first: str, second: str):
    def mistake(model: Model) -> None:
        stored = model._stored
        stored[first], stored[second] = stored[second], stored[first]

    return mistake


def gate_after_up(model: Model) -> None:
    for layer in range(model.config.layers):
        name = f"blk.{layer}.ffn_up.weight"
        model._loaded[name] = np.roll(model.tensor(name), len(model.tensor(name)) // 2, axis=0)


def scaled_local_layers(model: Model) -> None:
    model.layer_rotation = lambda layer, context: rotation(replace(model.config.rope, base=10000.0 if model.config.is_local[layer] else model.config.rope.base))


MISTAKES = [
    ("llama-plain", "pairs of the other kind", config(neox_pairs=True)),
    ("llama-biases", "no query bias", without("attn_q.bias")),
    ("llama-biases", "no output bias", without("attn_output.bias")),
    ("llama-biases", "no feed-forward bias", without("ffn_down.bias")),
    ("llama-rope-freqs", "no divisors", without("rope_freqs")),
    ("llama-linear", "no scaling", rope(factor=1.0)),
    ("llama-linear-old-key", "old key unread", rope(factor=1.0)),
    ("llama-unscaled-by-type-none", "scaled all the same", rope(kind="linear")),
    ("llama-yarn", "linear instead", rope(kind="linear")),
    ("llama-yarn", "magnitude twice", rope(attn_factor=1.0 + 0.1 * math.log(4.0))),
    ("llama-yarn", "magnitude missing", rope(attn_factor=1.0 / (1.0 + 0.1 * math.log(4.0)))),
    ("llama-yarn", "original context from the model's context", rope(original_context=4096)),
    ("llama-yarn", "another ramp", rope(beta_fast=16.0)),
    ("llama-yarn-attn-factor", "attn_factor unread", rope(attn_factor=1.0)),
    ("mistral-head-80-one-kv", "scale by E/H", config(attn_scale=1.0 / math.sqrt(160 // 3))),
    ("qwen2", "no biases", without(".bias")),
    ("qwen2", "pairs of the other kind", config(neox_pairs=False)),
    ("qwen2-yarn", "linear instead", rope(kind="linear")),
    ("qwen3", "no QK norm", without("attn_q_norm", "attn_k_norm")),
    ("qwen3", "scale by E/H", config(attn_scale=1.0 / math.sqrt(32))),
    ("gemma3-default-pattern", "window one too wide", config(window=17)),
    ("gemma3-default-pattern", "window one too narrow", config(window=15)),
    ("gemma3-default-pattern", "global layer first", config(is_local=(False, *(True,) * 5, False))),
    ("gemma3-default-pattern", "no global layer", config(is_local=(True,) * 7)),
    ("gemma3-default-pattern", "global base everywhere", config(local_base=1e6)),
    ("gemma3-default-pattern", "no post norms", without("post_attention_norm")),
    ("gemma3-linear-global", "scaling forgotten", rope(factor=1.0)),
    ("gemma3-linear-global", "scaling on local layers too", scaled_local_layers),
    ("gemma3-listed-pattern", "list unread", config(is_local=(True,) * 4)),
    ("gemma3-listed-pattern", "local base unread", config(local_base=10000.0)),
    ("gemma3-final-soft-cap", "cap unread", config(final_soft_cap=0.0)),
    ("gemma3-attention-soft-cap", "cap unread", config(attn_soft_cap=0.0)),
    ("phi3-plain", "gate after up", gate_after_up),
    ("phi3-longrope-short", "the long list", swapped("rope_factors_short.weight", "rope_factors_long.weight")),
    ("phi3-longrope-long", "the short list", swapped("rope_factors_short.weight", "rope_factors_long.weight")),
    ("phi3-longrope-long", "attn_factor unread", rope(attn_factor=1.0)),
    ("phi3-longrope-partial-rotation", "exponent over the head size", rope(base=10000.0 ** (36 / 48))),
]


@pytest.mark.parametrize("name, what, mistake", MISTAKES, ids=[f"{name}-{what.replace(' ', '-')}" for name, what, _ in MISTAKES])
def test_a_mistake_shows_in_the_losses(name, what, mistake, model_folder):
    folder = model_folder(SPEC[name])
    prompt = load_golden(folder)["prompts"][-1]
    model = Model(folder / "model.gguf")
    mistake(model)
    error = np.abs(token_losses(model.forward(prompt["tokens"]), prompt["tokens"]) - prompt["nll"]).max()
    assert error > 0.05, f"{what} would cost only {error:.4f}"
