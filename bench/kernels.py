#!/usr/bin/env python3
"""Micro-benchmarks of the rooms (*_bench.cc, Google Benchmark), as shares of this machine's limits.

Each program is run as it is; its own table is shown, then one line per case with its share of the limit that binds it, and all
of it is written to bench/results/DATE-COMMIT-kernels.json. Options after -- go to the programs.

    ./dev bench kernels                                   everything
    ./dev bench kernels --rooms kernels --filter Gemv     some of it
"""
from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

from harness import results
from harness.places import ROOT, die, note

PROGRAMS = pathlib.Path(os.environ.get("KVASIR_BENCHES") or ROOT / "build/bench/bench")
OF_LIMIT = {"%read": "memory", "%int8": "int8", "%fma": "fma"}  # counters that are a share of a limit
RATES = ("GB/s", "GMAC/s", "GFLOPS", "Gelement/s")


def programs(rooms: str | None) -> list[pathlib.Path]:
    """The benchmark programs, of all rooms or of the comma-separated ones."""
    found = {path.name[len("kvasir_"):-len("_bench")]: path for path in sorted(PROGRAMS.glob("kvasir_*_bench"))}
    if not found:
        die(f"there are no benchmark programs in {PROGRAMS}; build them with: ./dev build bench")
    wanted = rooms.split(",") if rooms else list(found)
    for room in wanted:
        if room not in found:
            die(f"the room '{room}' has no benchmarks; these have: {', '.join(found)}")
    return [found[room] for room in wanted]


def run_program(program: pathlib.Path, options: list[str]) -> list[dict]:
    """Runs one program with its table on the terminal; returns its cases."""
    note(f"==> {program.name}")
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [str(program), f"--benchmark_out={out.name}", "--benchmark_out_format=json", *options]
        if (status := subprocess.run(command, check=False).returncode) != 0:
            die(f"'{' '.join(command)}' ended with status {status}")
        text = out.read()
    if not text.strip():
        return []  # nothing matched the filter
    return [case_of(program, entry) for entry in json.loads(text)["benchmarks"]]


def case_of(program: pathlib.Path, entry: dict) -> dict:
    case = {"program": program.name, "case": entry["name"]}
    if "error_message" in entry:
        return case | {"error": entry["error_message"]}
    case |= {"time": entry["real_time"], "unit": entry["time_unit"]}
    case |= {rate: entry[rate] for rate in RATES if rate in entry}
    for counter, bound in OF_LIMIT.items():
        if counter in entry:
            case |= {"percent_of_limit": entry[counter], "bound": bound}
    return case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", help="only these rooms, separated by commas")
    parser.add_argument("--filter", help="a regular expression for the cases")
    parser.add_argument("options", nargs="*", help="after --: options of Google Benchmark")
    options = parser.parse_args()
    extra = [f"--benchmark_filter={options.filter}"] if options.filter else []
    cases = []
    for program in programs(options.rooms):
        cases += run_program(program, extra + options.options)
    if not cases:
        die("no case was run: does the filter match anything?")
    limited = [case for case in cases if "percent_of_limit" in case]
    print(f"\n{'case':56} {'of the limit':>13}")
    for case in limited:
        rate = next((f"{case[name]:.1f} {name}" for name in RATES if name in case), "")
        print(f"{case['case']:56} {case['percent_of_limit']:>8.0f} % {case['bound']:7} {rate}")
    path = results.write(results.describe() | {"isa": os.environ.get("KVASIR_ISA", "best"), "cases": cases}, "-kernels")
    note(f"written to {path}")


if __name__ == "__main__":
    main()
