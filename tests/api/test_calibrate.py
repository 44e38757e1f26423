"""kvasir calibrate: what it writes, who reads it, and what is refused."""

import json

from program import ROOT


def text() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))


def test_a_calibration_is_found_and_changes_the_codes(kvasir, smollm2, small_model, tmp_path):
    (tmp_path / "text.txt").write_text(text())
    question = ["run", "--json", "-q", "-m", smollm2, "--kv", "ch2,recent=0", "-p", text()[:1600], "--greedy", "-n", "12", "--raw"]
    before = json.loads(kvasir.ok(*question))["text"]
    report = json.loads(kvasir.ok("calibrate", "-m", smollm2, "-f", tmp_path / "text.txt", "-c", "256", "--chunks", "1",
                                  "--json"))
    assert report["tokens"] == 256 and report["bytes"] > 1e6
    assert "calibration/smollm2-" in report["path"] and report["path"].endswith(".gguf")
    assert json.loads(kvasir.ok(*question))["text"] != before
    # It is a file that can be looked at.
    assert "kvasir.calibration.model" in kvasir.ok("inspect", "--metadata", report["path"])
    # Bits by layer need what was not measured.
    message = kvasir.fails("run", "-m", smollm2, "-p", "x", "--kv", "auto:3bits", code=1)
    assert "run 'kvasir calibrate' for this model first, with --layers" in message
    # One of another model is refused, and so is half of one.
    other = json.loads(kvasir.ok("calibrate", "-m", small_model, "-f", tmp_path / "text.txt", "-c", "256", "--chunks", "1", "--json"))
    for size, expected in ((-1, "it belongs to another model; 'kvasir calibrate' makes a new one"), (2000, "cannot be used")):
        with open(report["path"], "wb") as file:
            file.write(open(other["path"], "rb").read(size))
        assert expected in kvasir.fails("run", "-m", smollm2, "-p", "x", "--kv", "ch4", code=1)


def test_codecs_can_be_taken_apart(kvasir, small_model, tmp_path):
    """Words of docs/kvquant.md: each changes what a cache costs, and those that need measured text say so without it."""
    (tmp_path / "text.txt").write_text(text())
    specs = ["k=tok3,v=nuq3,recent=0", "nuq3,recent=0", "nuq3,outliers=0,recent=0", "nuq3,recent=0,rope=after", "nuq3,recent=0,qnorm=on",
             "nuq3,recent=0,ranges=static", "nuq3,recent=0,levels=even", "nuq3,recent=0,weights=even"]
    measure = ["eval", "kld", "-m", small_model, "-f", tmp_path / "text.txt", "-c", "512", "--chunks", "1", "--compute", "exact", "--json"]
    message = kvasir.fails(*measure, "--kv", "nuq3,ranges=static", code=1)
    assert "needs a calibration: run 'kvasir calibrate' for this model" in message
    kvasir.ok("calibrate", "-m", small_model, "-f", tmp_path / "text.txt", "-c", "256", "--chunks", "1")
    rows = json.loads(kvasir.ok(*measure, *(word for spec in specs for word in ("--kv", spec))))["configurations"]
    assert [row["kv"] for row in rows] == specs
    losses = [row["mean_kld"] for row in rows]
    assert min(losses) > 0 and len(set(losses)) == len(specs)
    # KVQuant's ordering where it is clear: by a tenth and more, even of random weights.
    by_token, whole, no_outliers, static = losses[0], losses[1], losses[2], losses[5]
    assert 1.05 * whole < min(by_token, no_outliers, static), losses


def test_what_lacks_a_calibration_says_so_once(kvasir, small_model, tmp_path):
    (tmp_path / "text.txt").write_text(text())
    calls = [["run", "-q", "-m", small_model, "-p", "x", "-n", "1", "--raw"], ["bench", "-m", small_model, "-p", "8", "-n", "0", "-r", "1"],
             ["eval", "ppl", "-m", small_model, "-f", tmp_path / "text.txt", "-c", "64", "--chunks", "1"],
             ["eval", "kld", "-m", small_model, "-f", tmp_path / "text.txt", "-c", "64", "--chunks", "1", "--kv", "q8"]]

    def notes(kv: str) -> list[int]:
        return [kvasir(*call, "--kv", kv).stderr.decode().count(f"'kvasir calibrate -m {small_model} -f TEXT'") for call in calls]

    assert notes("nuq3") == [1] * len(calls)
    assert notes("nuq3,levels=even") == notes("q4") == [0] * len(calls)
    assert "cache nuq3: without a calibration of this model" in kvasir.ok("inspect", small_model, "--kv", "nuq3")
    assert json.loads(kvasir.ok("inspect", small_model, "--kv", "nuq3", "--json"))["caches"][0]["lacks_calibration"]
    kvasir.ok("calibrate", "-m", small_model, "-f", tmp_path / "text.txt", "-c", "256", "--chunks", "1")
    assert notes("nuq3") == [0] * len(calls)
    assert "without a calibration" not in kvasir.ok("inspect", small_model, "--kv", "nuq3")
