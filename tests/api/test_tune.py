"""kvasir tune, the receipts it leaves, who reads them, and several caches against one pass of exact mode."""

import json
import os
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from serving import Server


@pytest.fixture
def wikitext(data) -> str:
    return str(data / "text/wikitext2-test.txt")


@pytest.fixture
def small(small_model, tmp_path) -> str:
    """A model under a name of its own, beside which a receipt disturbs nobody. What is measured of it does not matter."""
    folder = tmp_path / "models"
    folder.mkdir()
    os.symlink(small_model, folder / "own.gguf")
    return str(folder / "own.gguf")


def tune(model: str, text: str, *more: str) -> list[str]:
    return ["tune", "-m", model, "--text", text, "--context", "256", "--chunks", "2", *more]


def kv_of(kvasir, model: str, *more: str) -> tuple[str, str]:
    """Which cache `run` uses, its open format left out, and what it says on standard error."""
    done = kvasir("run", "-m", model, "-p", "Hi", "-n", "1", "--json", *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["kv"].split(",")[0], done.stderr.decode()


def served(home: Path, model: str, *more: str) -> str:
    """What a server writes from its start to its end."""
    server = Server(home, *more, model=model)
    assert server.stop() == 0, server.log
    return server.log


def test_what_is_chosen_is_kept_and_read(kvasir, small, wikitext, tmp_path):
    caches = ["--context", "512", "--kv", "f16", "--kv", "q8", "--kv", "ch3"]
    svg = tmp_path / "frontier.svg"
    report = json.loads(kvasir.ok(*tune(small, wikitext, *caches, "--max-kld", "1", "--json", "--plot", str(svg))))
    assert report["chosen"] == "ch3" and report["chunks"] == 2 and not report["interrupted"]
    rows = {row["kv"]: row for row in report["rows"]}
    assert list(rows) == ["f16", "q8", "ch3"]
    assert rows["f16"]["bits_per_element"] == 16 and rows["q8"]["bits_per_element"] == 8.5
    assert rows["f16"]["bytes"] > rows["q8"]["bytes"] > rows["ch3"]["bytes"]
    assert rows["f16"]["mean_kld"] < rows["q8"]["mean_kld"] < rows["ch3"]["mean_kld"]
    for row in rows.values():
        assert row["fate"] == "measured" and row["chunks"] == 2 and row["on_frontier"]
        assert row["mean_kld_low"] <= row["mean_kld"] <= row["mean_kld_high"] <= 1
        assert row["bytes"] <= row["peak_bytes"]
        assert 0 < row["min_tokens_per_second"] <= row["tokens_per_second"] <= row["max_tokens_per_second"]
    picture = "".join(ElementTree.fromstring(svg.read_text()).itertext())
    for words in ("What a cache costs", "bits per element", "KL divergence", "tokens per second", "ch3", "q8"):
        assert words in picture

    path = Path(small).with_suffix(".kvasir.toml")
    assert report["receipt"] == str(path)
    receipt = tomllib.loads(path.read_text())
    assert receipt["schema"] == 1 and receipt["kv"] == "ch3" and receipt["context"] == 512
    assert re.fullmatch("[0-9a-f]{32}", receipt["model_hash"]) and receipt["calibration_hash"] == ""
    for name in ("mean_kld", "mean_kld_low", "mean_kld_high", "bytes", "peak_bytes", "tokens_per_gib"):
        assert receipt["measured"][name] == pytest.approx(rows["ch3"][name]), name
    assert receipt["measured"]["decode_tokens_per_second"] == rows["ch3"]["tokens_per_second"]
    assert receipt["measured"]["f16_decode_tokens_per_second"] == rows["f16"]["tokens_per_second"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", receipt["made"]["date"])
    assert "--max-kld 1 --kv f16 --kv q8 --kv ch3" in receipt["made"]["command"]

    kv, note = kv_of(kvasir, small)
    assert kv == "ch3"
    chosen, lacks = note.splitlines()
    assert str(path) in chosen and "--kv f16 or --no-receipt" in chosen and "without a calibration" in lacks
    for more, expected in ((["--no-receipt"], "f16"), (["--kv", "f16"], "f16"), (["--compute", "exact"], "f32")):
        kv, note = kv_of(kvasir, small, *more)
        assert kv == expected and "receipt" not in note, more
    assert "cache ch3, chosen by kvasir tune" in kvasir.ok("inspect", small)
    inspected = json.loads(kvasir.ok("inspect", small, "--json"))
    assert inspected["receipt"] == {"path": str(path), "kv": "ch3"}
    assert [cache["kv"] for cache in inspected["caches"]] == ["ch3", "f16", "q8"]
    assert json.loads(kvasir.ok("inspect", small, "--json", "--no-receipt"))["receipt"] is None
    chat = kvasir("chat", "-m", small, "-n", "1", stdin="Hi\n")
    assert "cache ch3, chosen by kvasir tune" in chat.stderr.decode()
    bench = kvasir("bench", "-m", small, "-p", "8", "-n", "0", "-r", "1")
    assert "cache ch3, chosen by kvasir tune" in bench.stderr.decode()
    # An evaluation is of what it is told.
    depth = json.loads(kvasir.ok("eval", "tokens", "-m", small, "-f", wikitext, "-c", "32", "--chunks", "1", "--json"))
    assert depth["configuration"].endswith("cache f16")

    log = served(tmp_path, small)
    assert "cache ch3, chosen by kvasir tune" in log
    assert re.search(rf'event=ready .*kv="ch3,open=f16" receipt={re.escape(str(path))}', log)
    log = served(tmp_path, small, "--no-receipt")
    assert "chosen by kvasir tune" not in log and re.search("event=ready .*kv=f16", log)

    # What cannot be used is named, and is not used.
    good = path.read_text()
    for spoilt, why in ((good.replace(receipt["model_hash"], "0"), "belongs to another model"),
                        (good.replace("schema = 1", "schema = 9"), "is of schema 9"),
                        (good[:100] + "\n[", "cannot be used, line"), ("\0", "cannot be used, line")):
        path.write_text(spoilt)
        kv, note = kv_of(kvasir, small)
        assert kv == "f16"
        assert note.startswith(f"kvasir: the receipt {path} ") and why in note and "--no-receipt" in note, note


def test_the_lowest_loss_within_so_many_bytes(kvasir, small, wikitext, tmp_path):
    sizes = {cache["kv"]: cache["peak_bytes"]
             for cache in json.loads(kvasir.ok("inspect", small, "-c", "512", "--json"))["caches"]}
    own = tmp_path / "own.toml"
    text = kvasir.ok(*tune(small, wikitext, "--kv", "f16", "--kv", "q8", "--kv", "ch2", "--kv-bytes", str(sizes["q8"]),
                           "--context", "512", "-o", str(own)))
    lines = text.splitlines()
    assert re.search(r"^  f16 .* needs 786 kB$", lines[1]), text
    assert any(line.startswith("> q8 ") for line in lines)
    assert "q8: the lowest mean KLD of those that hold 512 tokens in 418 kB" in text
    assert f"  kvasir run -m {small} --kv q8" in lines and f"Receipt: {own}" in lines
    assert tomllib.loads(own.read_text())["kv"] == "q8"
    assert not Path(small).with_suffix(".kvasir.toml").exists()
    message = kvasir.fails(*tune(small, wikitext, "--kv", "f16", "--kv-bytes", "1K"))
    assert "none of the 1 caches holds 256 tokens in 1024 bytes; the smallest, f16, needs" in message


def test_a_receipt_that_cannot_be_written_costs_no_table(kvasir, small, wikitext, tmp_path):
    (tmp_path / "file").write_text("")
    receipt = tmp_path / "file" / "receipt.toml"
    done = kvasir(*tune(small, wikitext, "--kv", "q8", "--max-kld", "100", "--output", str(receipt)))
    assert done.returncode == 1
    assert re.search(r"\bq8 +8\.50 ", done.stdout.decode()), done.stdout
    assert str(receipt.parent) in done.stderr.decode() and "Receipt:" not in done.stdout.decode()


def test_what_is_too_lossy_is_chosen_by_nobody(kvasir, small, wikitext):
    done = kvasir(*tune(small, wikitext, "--kv", "ch2", "--max-kld", "0.0000001"))
    assert done.returncode == 1
    assert "no cache has a mean KLD of at most 1e-07" in done.stderr.decode() and "ch2 comes nearest" in done.stderr.decode()
    assert b"ch2" in done.stdout
    assert not Path(small).with_suffix(".kvasir.toml").exists()


def test_it_says_what_it_will_cost_and_what_it_lacks(kvasir, small, wikitext):
    done = kvasir("tune", "-m", small, "-f", wikitext, "-c", "256", "--chunks", "2", "--max-kld", "100", "--evict", "knorm",
                  "--no-receipt", "--json")
    assert done.returncode == 0, done.stderr
    notes = done.stderr.decode()
    assert "There is no calibration of this model" in notes and "--calibrate TEXT" in notes
    assert re.search(r"12 caches on 2 chunks of 256 tokens, beside exact mode: about [\d.]+ (s|min) if none is given up", notes)
    report = json.loads(done.stdout)
    assert report["receipt"] is None and report["chosen"]
    assert not Path(small).with_suffix(".kvasir.toml").exists()
    rows = {row["kv"]: row for row in report["rows"]}
    assert list(rows)[0] == "f16" and list(rows)[-1] == "ch4,evict=knorm,budget=25%"
    assert rows["q8,evict=knorm,budget=50%"]["bytes"] <= rows["q8"]["bytes"]
    assert all(row["fate"] == "measured" and row["chunks"] == 2 for row in rows.values())


def test_ctrl_c_keeps_whole_chunks(terminal, small, wikitext):
    screen = terminal("tune", "-m", small, "-f", wikitext, "-c", "1024", "--chunks", "60", "--max-kld", "1", "--kv", "f16",
                      "--kv", "q8")
    screen.expect(r"chunk 4 of 60 · 2 caches")
    screen.send("\x03")
    kept = screen.expect(r"(\d+) chunks of 1024 tokens \(interrupted\)")
    assert 3 <= int(kept[1]) < 60
    screen.expect("q8: the fewest bytes")
    assert screen.wait() == 130


@pytest.mark.parametrize("args, expected", [
    ([], "give --max-kld X or --kv-bytes SIZE"),
    (["--max-kld", "0"], "--max-kld is '0', but it must be above 0"),
    (["--max-kld", "1", "--kv-bytes", "1G"], "excludes"),
    (["--kv-bytes", "many"], "--kv-bytes is 'many'"),
    (["--max-kld", "1", "--chunks", "1"], "at least 2"),
    (["--max-kld", "1", "--evict", "lru"], "--evict is 'lru': 'evict=lru' in the cache specification names no policy"),
    (["--max-kld", "1", "--kv", "q9"], "--kv is 'q9'"),
    (["--max-kld", "1", "--plot", "x.pdf"], ".svg or .png"),
])
def test_wrong_calls(kvasir, args, expected):
    assert expected in kvasir.fails("tune", "-m", "x", "-f", "x", *args, code=2)


def test_several_caches_against_one_exact_pass(kvasir, small_model, wikitext, tmp_path):
    call = ["eval", "kld", "-m", small_model, "-f", wikitext, "-c", "256", "--chunks", "2", "--compute", "precise"]
    svg = tmp_path / "caches.svg"
    got = json.loads(kvasir.ok(*call, "--kv", "q8", "--kv", "ch4", "--kv", "f16", "--json", "--plot", str(svg)))
    alone = json.loads(kvasir.ok(*call, "--kv", "ch4", "--json"))
    assert "configurations" not in alone and "kv" not in alone
    assert [entry["kv"] for entry in got["configurations"]] == ["q8", "ch4", "f16"]
    assert [entry["bits_per_element"] for entry in got["configurations"]] == pytest.approx([8.5, 4.5, 16], abs=0.01)

    def figures(entry: dict) -> dict:
        return {k: v for k, v in entry.items() if "seconds" not in k and k not in ("kv", "bits_per_element", "configurations")}

    assert figures(got["configurations"][1]) == figures(alone)
    assert figures(got) == figures(got["configurations"][0])
    assert set(got) == set(alone) | {"configurations"}
    picture = "".join(ElementTree.fromstring(svg.read_text()).itertext())
    for words in ("Divergence from exact mode by cache", "ch4", "q8", "f16", "2 chunks of 256 tokens"):
        assert words in picture
    table = kvasir.ok(*call, "--kv", "q8", "--kv", "ch4").splitlines()
    assert re.match(r"--kv +bits +mean KLD", table[0])
    assert re.match(r"q8 +8\.50 +[\d.e-]+ \[", table[1]) and re.match(r"ch4 +4\.5", table[2])


def test_one_cache_has_a_plot_too(kvasir, small_model, wikitext, tmp_path):
    call = ["-m", small_model, "-f", wikitext, "-c", "64", "--chunks", "2", "--kv", "q8"]
    svg, png = tmp_path / "q8.svg", tmp_path / "ppl.png"
    assert "same top token" in kvasir.ok("eval", "kld", *call, "--plot", str(svg))
    picture = "".join(ElementTree.fromstring(svg.read_text()).itertext())
    for words in ("Divergence from exact mode by cache", "q8", "2 chunks of 64 tokens · bars: 95 % bootstrap intervals"):
        assert words in picture
    ppl = json.loads(kvasir.ok("eval", "ppl", *call, "--json", "--plot", str(svg)))
    picture = "".join(ElementTree.fromstring(svg.read_text()).itertext())
    for words in ("Perplexity: ", f"{ppl['ppl']:.4f} [", "--kv q8", "2 chunks of 64 tokens · band", "chunks so far"):
        assert words in picture
    kvasir.ok("eval", "ppl", *call, "--plot", str(png))
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "the folder" in kvasir.fails("eval", "ppl", "-m", "x", "-f", wikitext, "--plot", str(tmp_path / "none/x.svg"))
