#!/usr/bin/env python3
"""How time grows: per generated token with the depth, of a prompt with its length, and from cold start to the first token.

Three fits, each beside what the machine allows:
  token    seconds(depth) = a + b * depth. The slope b can be no less than the bytes of keys and values of one token over the
           read bandwidth.
  prompt   seconds(n) = a + b * n + c * n^2. The weights cost b * n, attention alone costs c * n^2: no less than its
           multiply-adds, two per feature for each of the n/2 tokens that are visible on average, over the f32 peak.
           (For models whose every layer sees all tokens; sliding windows make it smaller.)
  start    from the start of the process until the first token of a 10-token prompt is written, the file in the page cache.
Prints tables for docs/performance.md and writes bench/results/DATE-COMMIT-scaling.json.

    ./dev bench scaling [--model smollm2] [--kv f16]
"""
from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import numpy as np

from harness import models, results
from harness.places import BUILD_HINT, CPUS, KVASIR, die, note, run

PROMPT = "Once upon a time there was a small dog that"  # ten tokens in most vocabularies


def bench(model: pathlib.Path, options: argparse.Namespace, prompts: str, generate: int, depths: str) -> dict:
    """The report of kvasir bench."""
    longest = max(int(n) for text in (prompts, depths) for n in text.split(",")) + generate
    return json.loads(run([KVASIR, "bench", "-m", model, "-p", prompts, "-n", generate, "-d", depths, "-t", options.threads,
                           "-c", max(longest, 512), "--kv", options.kv, "-r", options.repetitions, "--json"], BUILD_HINT))


def seconds_per_token(row: dict) -> float:
    """Of the fastest repetition: neighbours on a shared machine only ever make one slower."""
    return 1 / row["max_tokens_per_second"]


def shape_of(model: pathlib.Path, options: argparse.Namespace) -> dict:
    """The model's shape and memory plan, as kvasir inspect reports them."""
    return json.loads(run([KVASIR, "inspect", model, "--kv", options.kv, "--json"], BUILD_HINT))


def token_scaling(model: pathlib.Path, shape: dict, options: argparse.Namespace) -> dict:
    depths = [int(depth) for depth in options.depths.split(",")]
    report = bench(model, options, "0", options.generate, options.depths)
    seconds = [seconds_per_token(row) for row in report["rows"]]
    middle = [depth + options.generate / 2 for depth in depths]  # depth grows while tokens are generated
    slope, start = np.polyfit(middle, seconds, 1)
    error = max(abs(start + slope * depth - value) / value for depth, value in zip(middle, seconds))
    kv_bytes = shape["plan"]["kv_bytes_per_token"]
    least = kv_bytes / (report["rows"][-1]["read_gb_per_second"] * 1e9)  # the deepest: both weights and cache
    return {"depths": depths, "seconds": seconds, "start": start, "slope": slope, "kv_bytes_per_token": kv_bytes,
            "least_slope": least, "percent_of_limit": 100 * least / slope, "largest_error": error,
            "limits": report["limits"]}


def prompt_scaling(model: pathlib.Path, shape: dict, options: argparse.Namespace) -> dict:
    lengths = [int(n) for n in options.prompts.split(",")]
    report = bench(model, options, options.prompts, 0, "0")
    seconds = [n * seconds_per_token(row) for n, row in zip(lengths, report["rows"])]
    # Least squares of the relative error, so that short prompts count as much as long ones; no coefficient is negative
    # in truth, and noise must not make one so.
    powers = np.array([[1, n, n * n] for n in lengths], dtype=float) / np.array(seconds)[:, None]
    a, b, c = non_negative_fit(powers, np.ones(len(lengths)))
    error = max(abs(a + b * n + c * n * n - value) / value for n, value in zip(lengths, seconds))
    flops = 2 * 2 * shape["layers"] * shape["heads"] * shape["head_dim"] / 2  # scores and sums over n/2 tokens
    least = flops / (report["limits"]["fma_gflops"] * 1e9)
    return {"lengths": lengths, "seconds": seconds, "a": a, "b": b, "c": c, "attention_flops": flops, "least_c": least,
            "percent_of_limit": 100 * least / c if c > 0 else None, "largest_error": error, "limits": report["limits"]}


def non_negative_fit(matrix: np.ndarray, wanted: np.ndarray) -> list[float]:
    """Least squares over non-negative coefficients: the best of the fits over every choice of columns that has none below
    zero. Three columns make eight choices."""
    best, best_error = [0.0] * matrix.shape[1], float("inf")
    for choice in range(1, 2 ** matrix.shape[1]):
        columns = [j for j in range(matrix.shape[1]) if choice >> j & 1]
        fit, *_ = np.linalg.lstsq(matrix[:, columns], wanted, rcond=None)
        error = float(np.sum((matrix[:, columns] @ fit - wanted) ** 2))
        if (fit >= 0).all() and error < best_error:
            best = [0.0] * matrix.shape[1]
            for j, value in zip(columns, fit):
                best[j] = float(value)
            best_error = error
    return best


def cold_start(model: pathlib.Path, options: argparse.Namespace) -> dict:
    """Seconds until the first byte of the answer arrives, and the peak memory, of several fresh processes."""
    with model.open("rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass
    seconds, peak = [], 0
    command = [KVASIR, "run", "-m", model, "--raw", "-p", PROMPT, "-n", "2", "-q", "-c", "512", "-t", str(options.threads)]
    for _ in range(options.starts):
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            first = os.read(process.stdout.fileno(), 1)
            seconds.append(time.monotonic() - begin)
            process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0 or not first:
                die(f"'{' '.join(map(str, command))}' ended with status {process.returncode}: "
                    f"{process.stderr.read().decode()[-500:]}")
        peak = max(peak, usage.ru_maxrss * 1024)
    size = model.stat().st_size
    return {"seconds": seconds, "best": min(seconds), "median": statistics.median(seconds), "file_bytes": size,
            "peak_resident_bytes": peak, "peak_over_file": peak / size}


def report_text(name: str, kv: str, token: dict, prompt: dict, start: dict) -> str:
    lines = [f"{name}, {kv} pages", "", "| depth | ms per token | fit |", "|---|---|---|"]
    for depth, value in zip(token["depths"], token["seconds"]):
        lines.append(f"| {depth} | {1e3 * value:.2f} | {1e3 * (token['start'] + token['slope'] * depth):.2f} |")
    lines += ["", f"A token: {1e3 * token['start']:.2f} ms + {1e9 * token['slope']:.0f} ns for each token before it; reading its "
              f"{token['kv_bytes_per_token']:.0f} bytes takes {1e9 * token['least_slope']:.0f} ns at least "
              f"({token['percent_of_limit']:.0f} % of the limit). Largest error of the fit: {100 * token['largest_error']:.0f} %.",
              "", "| prompt | seconds | tokens/s | fit, seconds |", "|---|---|---|---|"]
    for n, value in zip(prompt["lengths"], prompt["seconds"]):
        fit = prompt["a"] + prompt["b"] * n + prompt["c"] * n * n
        lines.append(f"| {n} | {value:.3f} | {n / value:.0f} | {fit:.3f} |")
    share = f"{prompt['percent_of_limit']:.0f} %" if prompt["percent_of_limit"] else "no measurable share"
    lines += ["", f"A prompt of n tokens: {prompt['a']:.3f} s + {1e6 * prompt['b']:.0f} us * n + {1e9 * prompt['c']:.1f} ns * n^2; "
              f"attention's multiply-adds alone take {1e9 * prompt['least_c']:.1f} ns * n^2 at the f32 peak ({share}). Largest "
              f"error of the fit: {100 * prompt['largest_error']:.0f} %.",
              "", f"Cold start to the first token: {start['best']:.2f} s at best, {start['median']:.2f} s in the median of "
              f"{len(start['seconds'])}; peak memory {start['peak_resident_bytes'] / 1e6:.0f} MB = "
              f"{start['peak_over_file']:.2f} x the file."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="an installed model, or llama-1b-q4_0, llama-8b-q4_0")
    parser.add_argument("--kv", default="f16", choices=["f32", "f16", "q8"])
    parser.add_argument("--depths", default="0,1000,2000,4000,6000,8000")
    parser.add_argument("--prompts", default="500,1000,2000,4000,8000")
    parser.add_argument("--generate", type=int, default=32, help="tokens generated at each depth (default 32)")
    parser.add_argument("--starts", type=int, default=7, help="fresh processes that are started (default 7)")
    parser.add_argument("-r", "--repetitions", type=int, default=3)
    parser.add_argument("-t", "--threads", type=int, default=CPUS)
    options = parser.parse_args()
    model = models.path_of(options.model)
    shape = shape_of(model, options)
    note("cold start")
    start = cold_start(model, options)
    note("time per generated token against depth")
    token = token_scaling(model, shape, options)
    note("prompt time against length")
    prompt = prompt_scaling(model, shape, options)
    print(report_text(options.model, options.kv, token, prompt, start))
    path = results.write(results.describe() | {"model": options.model, "kv": options.kv, "threads": options.threads,
                                               "token": token, "prompt": prompt, "start": start}, f"-scaling-{options.model}")
    note(f"written to {path}")


if __name__ == "__main__":
    main()
