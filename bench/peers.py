#!/usr/bin/env python3
"""Prompt and decoding speed beside llama.cpp, in turns on the same machine.

The peer is llama.cpp as PyPI's llama-cpp-python ships it, built natively with its own CMake files in a cache outside the
tree. It is measured with flash attention and weight repacking off and on, over a cache of the same element type as ours, and
the best figure counts. Kvasir and the peer take turns (A B A B), so that a machine whose speed drifts is fair to both; each
row gives the median of the ratios of the turns. Deep caches, which the peer fills slowly, are measured in one turn, with the
settings that were best on the same model before. Writes bench/results/DATE-COMMIT.json after every row; a run of all rows
also updates the table of the README.

    ./dev bench peers                     all rows: hours on a small machine, because the peer fills deep caches slowly
    ./dev bench peers --quick             four rows, two turns
    ./dev bench peers --rows smollm2,1b-prompt --turns 5
"""
from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
from dataclasses import dataclass

from harness import models, peer, places, results
from harness.places import CPUS, KVASIR, die, note, run

DEEP = 4000  # tokens in the cache from which on a row has one turn and few settings


@dataclass(frozen=True)
class Row:
    name: str
    model: str
    target: float  # the ratio that we want to reach
    prompt: int = 0
    generate: int = 0
    depth: int = 0
    kv: str = "f16"

    @property
    def what(self) -> str:
        text = f"prompt {self.prompt}" if self.prompt else f"generate {self.generate}"
        text += f" at depth {self.depth}" if self.depth else ""
        return text + (", 8-bit pages" if self.kv == "q8" else "")

    @property
    def repetitions(self) -> int:
        return 1 if self.depth or self.model.startswith("llama-8b") else 2


ROWS = [
    Row("smollm2-prompt", "smollm2", 6, prompt=512),
    Row("smollm2-generate", "smollm2", 1.8, generate=128),
    Row("smollm2-2048", "smollm2", 3.5, generate=64, depth=2048),
    Row("smollm2-8000", "smollm2", 6, generate=64, depth=8000),
    Row("smollm2-2048-q8", "smollm2", 4, generate=64, depth=2048, kv="q8"),
    Row("smollm2-8000-q8", "smollm2", 8, generate=64, depth=8000, kv="q8"),
    Row("gemma3-prompt", "gemma3-270m", 3, prompt=512),
    Row("gemma3-generate", "gemma3-270m", 1.6, generate=128),
    Row("1b-prompt", "llama-1b-q4_0", 2, prompt=512),
    Row("1b-generate", "llama-1b-q4_0", 1.5, generate=64),
    Row("1b-8192", "llama-1b-q4_0", 5, generate=32, depth=8192),
    Row("1b-8192-q8", "llama-1b-q4_0", 6, generate=32, depth=8192, kv="q8"),
    Row("8b-prompt", "llama-8b-q4_0", 2, prompt=128),
    Row("8b-generate", "llama-8b-q4_0", 1.4, generate=16),
]
QUICK = ["smollm2-prompt", "smollm2-generate", "gemma3-prompt", "gemma3-generate"]


def choose(words: str) -> list[Row]:
    """The rows whose names begin with one of the comma-separated words."""
    prefixes = [word.strip() for word in words.split(",") if word.strip()]
    for prefix in prefixes:
        if not any(row.name.startswith(prefix) for row in ROWS):
            die(f"no row begins with '{prefix}'; there are: {', '.join(row.name for row in ROWS)}")
    return [row for row in ROWS if any(row.name.startswith(prefix) for prefix in prefixes)]


def accepts_q8() -> bool:
    """Whether this build can keep 8-bit pages."""
    shown = subprocess.run([KVASIR, "bench", "-m", "none", "--kv", "q8"], capture_output=True, text=True, check=False)
    return shown.returncode != 2  # 2 is a wrong command line, 1 a model that is not there


def our_speed(model: pathlib.Path, row: Row, threads: int) -> tuple[dict, dict]:
    """The one row of kvasir bench, and its whole report. The context is what the row needs: memory is planned for it."""
    context = row.depth + row.prompt + row.generate
    out = run([KVASIR, "bench", "-m", model, "-p", row.prompt, "-n", row.generate, "-d", row.depth, "-t", threads,
               "-c", max(context, 512), "--kv", row.kv, "-r", 1 + row.repetitions, "--json"], places.BUILD_HINT)
    report = json.loads(out)
    return report["rows"][0], report


def settings_of(row: Row, done: list[dict]) -> list[dict]:
    """The peer's settings that a row tries: all, or behind a deep cache those that earlier rows of the model leave. Whether
    weights are repacked matters alike at any depth, flash attention only where there is a cache."""
    settings = peer.variants(row.kv)
    if row.depth < DEEP:
        return settings
    for earlier in done:
        if earlier["model"] != row.model:
            continue
        best = max(earlier["peer_settings"], key=lambda tried: max(tried["tokens_per_second"], default=0))
        settings = [s for s in settings if s["repack"] == best["repack"]] or settings
        if earlier["depth"] > 0 and earlier["kv"] == row.kv:
            settings = [s for s in settings if s["fa"] == best["fa"]] or settings
    return settings


def measure(row: Row, program: pathlib.Path, threads: int, turns: int, done: list[dict]) -> tuple[dict, dict]:
    """All turns of one row; `done` are the rows before it."""
    model = models.path_of(row.model)
    turns = 1 if row.depth >= DEEP else turns
    tried = {json.dumps(variant): [] for variant in settings_of(row, done)}
    kept = list(tried)
    ours, theirs, percent = [], [], []
    for turn in range(turns):
        mine, report = our_speed(model, row, threads)
        speeds = {key: peer.speed(program, model, row, threads, row.repetitions, json.loads(key)) for key in kept}
        for key, speed in speeds.items():
            tried[key].append(speed)
        best = max(speeds.values())
        kept = [key for key in kept if speeds[key] >= peer.KEEP_WITHIN * best] if turn == 0 else kept
        ours.append(mine["tokens_per_second"])
        percent.append(mine["percent_of_limit"])
        theirs.append(best)
        note(f"{row.name}, turn {turn + 1} of {turns}: {results.figure(ours[-1])} to {results.figure(best)} tokens/s = "
             f"{ours[-1] / best:.2f} (wanted {row.target}), {percent[-1]:.0f} % of the limit")
    ratios = [a / b for a, b in zip(ours, theirs)]
    ratio = {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)}
    settings = [{**json.loads(key), "tokens_per_second": speeds} for key, speeds in tried.items()]
    return {"row": row.name, "model": row.model, "what": row.what, "depth": row.depth, "kv": row.kv, "target": row.target,
            "kvasir": ours, "llama.cpp": theirs, "ratio": ratio, "percent_of_limit": percent, "bound": mine["bound"],
            "peak_resident_bytes": report["peak_resident_bytes"], "peer_settings": settings}, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", help="only rows whose names begin with one of these, separated by commas; --list shows them")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}, two turns")
    parser.add_argument("--turns", type=int, help="default 3")
    parser.add_argument("-t", "--threads", type=int, default=CPUS, help=f"default {CPUS}")
    parser.add_argument("--peer", type=pathlib.Path, help="a llama-bench to measure instead of the one from PyPI")
    parser.add_argument("--readme", action="store_true", help="put the table into the README even if it is not of all rows")
    options = parser.parse_args()
    rows = choose(options.rows) if options.rows else choose(",".join(QUICK)) if options.quick else ROWS
    if options.list:
        for row in rows:
            print(f"{row.name:18} {row.model:14} {row.what:38} wanted {row.target}x")
        return
    turns = options.turns or (2 if options.quick else 3)
    if turns < 1 or options.threads < 1:
        parser.error("--turns and --threads must be at least 1")
    if options.peer and not options.peer.exists():
        parser.error(f"--peer {options.peer} is not there")
    if any(row.kv == "q8" for row in rows) and not accepts_q8():
        note("SKIPPED: this build has no 8-bit pages (--kv q8): " + ", ".join(row.name for row in rows if row.kv == "q8"))
        rows = [row for row in rows if row.kv != "q8"]
    if not rows:
        return
    program = options.peer or peer.build()
    result = results.describe() | {"threads": options.threads, "peer": str(options.peer or peer.NAME), "rows": []}
    for row in rows:
        figures, report = measure(row, program, options.threads, turns, result["rows"])
        result["rows"].append(figures | {"limits": report["limits"]})
        result["isa"] = report["isa"]
        path = results.write(result)
    text = results.table(result["rows"])
    print(text)
    note(f"written to {path}")
    if options.readme or not (options.rows or options.quick):
        results.update_readme(text)


if __name__ == "__main__":
    main()
