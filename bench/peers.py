#!/usr/bin/env python3
"""Prompt and decoding speed beside llama.cpp, in turns on the same machine.

The peer is llama.cpp as PyPI's llama-cpp-python==0.3.36 ships it, built natively with its own CMake files in a cache outside
the tree. It is measured with flash attention off and on, and the better figure counts. Kvasir and the peer take turns
(A B A B), so that a machine whose speed drifts is fair to both; each row gives the median of the ratios of the turns.
Writes bench/results/DATE-COMMIT.json and prints the table.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tarfile

PEER = "llama-cpp-python==0.3.36"
ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "kvasir"
MODELS = pathlib.Path(os.environ.get("KVASIR_MODELS", CACHE / "models"))
CPUS = len(os.sched_getaffinity(0))


def run(command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{result.stderr[-2000:]}")
    return result.stdout


def build_peer():
    """Builds llama-bench in the cache if it is not there yet, and returns its path."""
    home = CACHE / "peers"
    source = home / "llama_cpp_python-0.3.36" / "vendor" / "llama.cpp"
    program = source / "build" / "bin" / "llama-bench"
    if program.exists():
        return program
    home.mkdir(parents=True, exist_ok=True)
    print(f"building {PEER} in {home}: this takes some minutes", file=sys.stderr)
    run([sys.executable, "-m", "pip", "install", "-q", "scikit-build-core", "flit-core"])
    run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "llama-cpp-python",
         "--no-build-isolation", "-d", home, PEER])
    with tarfile.open(home / "llama_cpp_python-0.3.36.tar.gz") as archive:
        archive.extractall(home, filter="data")
    run(["cmake", "-B", "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF",
         "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_SERVER=OFF"], cwd=source)
    run(["ninja", "-C", "build", "llama-bench"], cwd=source)
    return program


def kvasir_speeds(model, prompt, generate, depth, threads):
    out = run([os.environ.get("KVASIR_BIN", ROOT / "build/release/bin/kvasir"), "bench", "-m", model, "-p", prompt,
               "-n", generate, "-d", depth, "-t", threads, "-r", 2, "--json"])
    report = json.loads(out)
    speeds = {"prompt" if row["prompt"] else "generate": row for row in report["rows"]}
    return speeds, report


def peer_speeds(program, model, prompt, generate, depth, threads):
    best = {}
    for flash in (0, 1):
        out = run([program, "-m", model, "-p", prompt, "-n", generate, "-d", depth, "-t", threads, "-r", 2, "-fa", flash,
                   "-o", "json"])
        for row in json.loads(out):
            kind = "prompt" if row["n_prompt"] else "generate"
            best[kind] = max(best.get(kind, 0), row["avg_ts"])
    return best


def measure(program, name, prompt, generate, depth, threads, turns):
    model = MODELS / f"{name}.gguf"
    rows = {}
    for turn in range(turns):
        ours, report = kvasir_speeds(model, prompt, generate, depth, threads)
        theirs = peer_speeds(program, model, prompt, generate, depth, threads)
        for kind, speed in theirs.items():
            row = rows.setdefault(kind, {"kvasir": [], "llama.cpp": [], "percent_of_limit": [], "bound": ours[kind]["bound"]})
            row["kvasir"].append(ours[kind]["tokens_per_second"])
            row["percent_of_limit"].append(ours[kind]["percent_of_limit"])
            row["llama.cpp"].append(speed)
        print(f"{name} depth {depth}: turn {turn + 1} of {turns}", file=sys.stderr)
    for kind, row in rows.items():
        ratios = [a / b for a, b in zip(row["kvasir"], row["llama.cpp"])]
        row.update(model=name, what=f"{kind} {prompt if kind == 'prompt' else generate}", depth=depth,
                   ratio={"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)})
    return list(rows.values()), report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="smollm2,gemma3-270m")
    parser.add_argument("--depths", default="0")
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--generate", type=int, default=128)
    parser.add_argument("-t", "--threads", type=int, default=CPUS)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    program = build_peer()
    rows = []
    limits = {}
    for name in options.models.split(","):
        for depth in map(int, options.depths.split(",")):
            some, report = measure(program, name, options.prompt, options.generate, depth, options.threads, options.turns)
            rows += some
            limits = report["limits"] | {"isa": report["isa"]}
    commit = run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT).strip()
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    result = {"date": datetime.date.today().isoformat(), "commit": commit, "cpu": cpu, "threads": options.threads,
              "peer": PEER, "limits": limits, "rows": rows}
    path = ROOT / "bench" / "results" / f"{result['date']}-{commit}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print("| model | what | Kvasir, tokens/s | llama.cpp, tokens/s | ratio (min - max) | of this machine's limit |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        what = row["what"] + (f" at depth {row['depth']}" if row["depth"] else "")
        print(f"| {row['model']} | {what} | {statistics.median(row['kvasir']):.0f} | "
              f"{statistics.median(row['llama.cpp']):.0f} | {row['ratio']['median']:.2f} ({row['ratio']['min']:.2f} - "
              f"{row['ratio']['max']:.2f}) | {statistics.median(row['percent_of_limit']):.0f} % ({row['bound']}) |")
    print(f"\nwritten to {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
