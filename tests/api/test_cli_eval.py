"""eval tokens, eval ruler and eval evict, intervals and plots: what they print, what they write, what they refuse."""

import json
import re
import struct
import xml.etree.ElementTree as ElementTree

import pytest
from program import heavy


@pytest.fixture
def wikitext(data) -> str:
    return str(data / "text/wikitext2-test.txt")


def test_intervals_stand_around_their_values(kvasir, small_model, wikitext):
    call = ["eval", "kld", "-m", small_model, "-f", wikitext, "-c", "32", "--chunks", "12", "--json"]
    got = json.loads(kvasir.ok(*call))
    for name in ("mean_kld", "same_top", "ppl", "ppl_ratio"):
        assert got[f"{name}_low"] <= got[name] <= got[f"{name}_high"], name
    assert got["mean_kld_low"] < got["mean_kld_high"]
    assert got["ppl_ratio"] == pytest.approx(got["ppl"] / got["exact_ppl"])
    assert got["resamples"] == 2000
    again = json.loads(kvasir.ok(*call))
    assert {k: v for k, v in got.items() if "seconds" not in k} == {k: v for k, v in again.items() if "seconds" not in k}
    other = json.loads(kvasir.ok(*call, "--seed", "2"))
    assert other["mean_kld"] == got["mean_kld"] and other["ppl_low"] != got["ppl_low"]


def test_one_chunk_has_no_interval(kvasir, small_model, wikitext):
    got = json.loads(kvasir.ok("eval", "ppl", "-m", small_model, "-f", wikitext, "-c", "64", "--chunks", "1", "--json"))
    assert got["ppl_low"] is None and got["ppl_high"] is None
    text = kvasir.ok("eval", "ppl", "-m", small_model, "-f", wikitext, "-c", "64", "--chunks", "2")
    assert "[" in text and "bootstrap over chunks, 2000 resamples" in text


@pytest.mark.parametrize("kv", ["f32", "f16", "q8"])
def test_tokens_by_depth(kvasir, smollm2, wikitext, kv):
    got = json.loads(kvasir.ok("eval", "tokens", "-m", smollm2, "-f", wikitext, "-c", "128", "--chunks", "2",
                               "--buckets", "4", "--kv", kv, "--compute", "precise", "--json"))
    assert got["configuration"] == f"compute precise, cache {kv}"
    assert [(b["first"], b["last"]) for b in got["buckets"]] == [(0, 31), (32, 63), (64, 95), (96, 126)]
    assert got["tokens"] == sum(b["tokens"] for b in got["buckets"]) == 2 * 127
    for bucket in got["buckets"]:
        assert bucket["mean_kld_low"] <= bucket["mean_kld"] <= bucket["mean_kld_high"]
        assert bucket["same_top"] > 0.9
    assert (got["mean_kld"] > 1e-5) == (kv == "q8")  # 15-bit activations cost next to nothing, the q8 cache does


def test_tokens_table_and_plot(kvasir, small_model, wikitext, tmp_path):
    svg, png = tmp_path / "depth.svg", tmp_path / "depth.png"
    call = ["eval", "tokens", "-m", small_model, "-f", wikitext, "-c", "64", "--chunks", "2", "--kv", "q8"]
    text = kvasir.ok(*call, "--plot", str(svg))
    assert "depth" in text and "0 to 3" in text and "same top" in text
    picture = "".join(ElementTree.fromstring(svg.read_text()).itertext())
    for words in ("Divergence from exact mode by depth", "cache q8", "2 chunks of 64 tokens", "KL divergence (nats)"):
        assert words in picture
    kvasir.ok(*call, "--plot", str(png))
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png.read_bytes()[16:24]) == (1600, 880)


def test_a_small_model_finds_a_needle_more_often_than_not(kvasir, smollm2, tmp_path):
    svg = tmp_path / "ruler.svg"
    call = ["eval", "ruler", "-m", smollm2, "--context", "400", "--tasks", "niah_single", "--samples", "3", "--json"]
    got = json.loads(kvasir.ok(*call, "--plot", str(svg)))
    assert got["chat_template"] and got["context"] == 400 and got["samples"] == 3
    assert [t["task"] for t in got["tasks"]] == ["niah_single_1", "niah_single_2", "niah_single_3"]
    numbers = got["tasks"][:2]
    assert sum(t["score"] for t in numbers) / 2 > 0.5
    for task in got["tasks"]:
        assert task["score_low"] <= task["score"] <= task["score_high"]
        for sample in task["samples"]:
            assert 0 < sample["context_tokens"] < sample["prompt_tokens"] <= 400 - 128
            if sample["score"] == 1:  # then there is nothing more to say
                last = max(sample["answer"].lower().index(f["text"].lower()) + len(f["text"]) for f in sample["expected"])
                assert len(sample["answer"]) <= last + 4
            assert all((fact["text"].lower() in sample["answer"].lower()) == fact["found"] for fact in sample["expected"])
    alone = [name if name != "niah_single" else "niah_single_2" for name in call]
    assert json.loads(kvasir.ok(*alone))["tasks"] == [got["tasks"][1]]  # whatever else is asked
    picture = "".join(ElementTree.fromstring(svg.read_text()).itertext())
    for words in ("RULER at 400 tokens", "niah_single_3", "mean", "expected strings found"):
        assert words in picture
    assert "..." not in picture  # nothing had to be shortened


def test_where_the_question_stands_makes_no_difference_to_a_whole_cache(kvasir, smollm2):
    call = ["eval", "ruler", "-m", smollm2, "-c", "400", "--tasks", "niah_single_1", "--samples", "2", "--json"]
    unaware, aware = (json.loads(kvasir.ok(*call, *more)) for more in ([], ["--query-aware"]))
    assert aware["query_aware"] and not unaware["query_aware"]
    assert aware["tasks"] == unaware["tasks"]


def test_ruler_on_plain_text_with_a_haystack_of_ones_own(kvasir, smollm2, tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("The committee met on Monday. Nobody came! Was it too early?")
    call = ["eval", "ruler", "-m", smollm2, "-c", "400", "--tasks", "niah_single_2", "--samples", "2", "--kv", "q8"]
    text = kvasir.ok(*call, "-f", str(own), "--raw")
    assert "niah_single_2" in text and "plain text" in text and "cache q8" in text and "score %" in text
    assert "mean" not in text  # of one task


@heavy
def test_policies_beside_each_other(kvasir, smollm2, wikitext, tmp_path):
    svg = tmp_path / "evict.svg"
    call = ["eval", "evict", "-m", smollm2, "-f", wikitext, "-c", "512", "--chunks", "2", "--samples", "2", "--tasks", "niah_single_1"]
    got = json.loads(kvasir.ok(*call, "--policies", "streaming,recent,tova", "--budgets", "50%,70%", "--plot", str(svg), "--json"))
    assert [(r["policy"], r["budget"]) for r in got["rows"]] == [(p, b) for b in ("50%", "70%") for p in ("streaming", "recent", "tova")]
    assert got["context"] == 512 and got["solved"] == ["niah_single_1"]
    assert got["whole"]["score"] == got["whole"]["solved_score"] > 0.4
    by = {(r["policy"], r["budget"]): r for r in got["rows"]}
    for row in got["rows"]:
        assert row["mean_kld_low"] <= row["mean_kld"] <= row["mean_kld_high"] and row["tokens"] == 2 * 127
        assert row["ruler"]["tasks"]["niah_single_1"] == row["ruler"]["score"] <= 1
        assert 0.4 < row["held"] < 1
    # Without its first tokens the model has nowhere to leave the attention that it does not need.
    assert by["recent", "50%"]["mean_kld"] > 5 * by["streaming", "50%"]["mean_kld"] > 0
    assert by["tova", "70%"]["held"] > by["tova", "50%"]["held"]
    assert by["tova", "50%"]["held_tokens"] == 0.5 and by["tova", "70%"]["held_tokens"] == pytest.approx(0.7, abs=0.002)
    # What a cache finds alongside others it finds alone.
    alone = json.loads(kvasir.ok("eval", "ruler", "-m", smollm2, "-c", "512", "--samples", "2", "--tasks", "niah_single_1", "--kv",
                                 "f16,evict=tova,budget=50%", "--json"))
    assert alone["score"] == by["tova", "50%"]["ruler"]["score"]
    picture = "".join(ElementTree.fromstring(svg.read_text()).itertext())
    for words in ("What eviction costs at 512 tokens", "mean KLD, 50% kept", "mean KLD, 70% kept", "streaming", "found of what is asked for"):
        assert words in picture


def test_policies_without_questions(kvasir, small_model, wikitext):
    call = ["eval", "evict", "-m", small_model, "-f", wikitext, "-c", "512", "--chunks", "2", "--samples", "0"]
    text = kvasir.ok(*call, "--budgets", "192", "--policies", "random,knorm")
    assert "random" in text and "knorm" in text and "192" in text and "RULER" not in text and "bootstrap over chunks" in text
    assert re.search(r"^random +192 +50 % ", text, re.MULTILINE) and "held: tokens of the text" in text
    seeded = json.loads(kvasir.ok(*call, "--budgets", "192", "--policies", "random,knorm", "--seed", "7", "--json"))["rows"]
    assert [row["kv"] for row in seeded] == ["auto,evict=random,budget=192,seed=7", "auto,evict=knorm,budget=192"]
    assert "lru" in kvasir.fails(*call, "--policies", "lru")
    assert "--kv is 'f16,evict=tova,budget=50%'" in kvasir.fails(*call, "--kv", "f16,evict=tova,budget=50%")


@pytest.mark.parametrize("args, expected", [
    (["ruler", "-m", "x", "--tasks", "squad"], "--tasks is 'squad', but 'squad' is no task; the tasks are niah_single_1"),
    (["ruler", "-m", "x", "--tasks", ""], "no task"),
    (["ruler", "-m", "x", "--samples", "0"], "--samples is '0'"),
    (["ruler", "-m", "x", "--context", "10"], "--ctx is '10', but it must be a whole number from 64"),
    (["ruler", "-m", "x", "--seed", "-1"], "--seed is '-1'"),
    (["ruler", "-m", "x", "--plot", "scores.pdf"], "--plot is 'scores.pdf', but it must be a file name that ends in .svg or .png"),
    (["tokens", "-m", "x"], "--file is required"),
    (["evict", "-m", "x"], "--file is required"),
    (["evict", "-m", "x", "-f", "x", "--policies", "tova,,knorm"], "--policies is 'tova,,knorm'"),
    (["evict", "-m", "x", "-f", "x", "--plot", "x"], ".svg or .png"),
    (["tokens", "-m", "x", "-f", "x", "--buckets", "0"], "--buckets is '0'"),
    (["tokens", "-m", "x", "-f", "x", "--plot", "x"], ".svg or .png"),
    (["ppl", "-m", "x", "-f", "x", "--seed", "one"], "--seed is 'one'"),
])
def test_wrong_calls(kvasir, args, expected):
    assert expected in kvasir.fails("eval", *args, code=2)


def test_what_cannot_be_evaluated(kvasir, smollm2, wikitext, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    assert "none.txt" in kvasir.fails("eval", "ruler", "-m", smollm2, "-f", "none.txt")
    assert "is empty" in kvasir.fails("eval", "ruler", "-m", smollm2, "-f", str(empty))
    assert "cwe does not fit a context of 256 tokens: it needs at least" in kvasir.fails(
        "eval", "ruler", "-m", smollm2, "-c", "256", "--tasks", "cwe")
    assert "no-such-model" in kvasir.fails("eval", "ruler", "-m", "no-such-model")
    for measure in (["tokens", "-f", wikitext], ["ruler"]):
        message = kvasir.fails("eval", *measure, "-m", "no-such-model", "--plot", str(tmp_path / "none/scores.svg"))
        assert "scores.svg cannot be written: the folder" in message  # before anything long begins


def test_ctrl_c_ends_ruler(terminal, smollm2):
    screen = terminal("eval", "ruler", "-m", smollm2, "-c", "512", "--samples", "50", "--tasks", "niah_single_1")
    screen.expect(r"sample \d+ of 50 · mean score [\d.]+")
    screen.send("\x03")
    screen.expect("kvasir: the evaluation was cancelled")
    assert screen.wait() == 130
