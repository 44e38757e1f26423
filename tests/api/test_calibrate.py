"""kvasir calibrate: what it writes, who reads it, and what is refused."""

import json

from program import ROOT


def text() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))


def test_a_calibration_is_found_and_changes_the_codes(kvasir, smollm2, tmp_path):
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


def test_a_calibration_of_another_model_is_refused(kvasir, smollm2, small_model, tmp_path):
    (tmp_path / "text.txt").write_text(text())
    calibrate = ["calibrate", "-f", tmp_path / "text.txt", "-c", "256", "--chunks", "1", "--json", "-m"]
    smol = json.loads(kvasir.ok(*calibrate, smollm2))["path"]
    other = json.loads(kvasir.ok(*calibrate, small_model))["path"]
    with open(smol, "wb") as file:
        file.write(open(other, "rb").read())
    message = kvasir.fails("run", "-m", smollm2, "-p", "x", "--kv", "ch4", code=1)
    assert "it belongs to another model; 'kvasir calibrate' makes a new one" in message
    with open(smol, "wb") as file:
        file.write(open(other, "rb").read()[:2000])
    assert "cannot be used" in kvasir.fails("run", "-m", smollm2, "-p", "x", "--kv", "ch4", code=1)
