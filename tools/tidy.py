#!/usr/bin/env python3
"""Runs clang-tidy on files of a build folder, and prints each finding once.

usage: tidy.py [-j JOBS] BUILD FILE...

A file that was clean is not looked at again until something changes: its preprocessed text, comments included (they hold
NOLINT), its compile command, the configuration or clang-tidy itself. Preprocessing takes a tenth of the time that
checking does. Ends with status 1 where there are findings.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TIDY = "clang-tidy-19"
PLAIN = ["-std=c++23", "-Iinclude", "-D__cpp_concepts=202002L"]  # where the build does not say how a file is compiled
FINDING = re.compile(r"^(/[^:]+:\d+:\d+): (?:error|warning): ")
NO_FINDING = re.compile(r"^\d+ warnings? (?:generated|treated)|^Suppressed |^Use -header-filter|^(?:\d+ warnings? and )?\d+ errors? generated")


def command_of(entry: dict) -> list[str]:
    """How a file is compiled, without what says where the result goes."""
    words = entry.get("arguments") or shlex.split(entry["command"])
    kept, skip = [], False
    for word in words:
        if skip or word == "-c":
            skip = False
        elif word in ("-o", "-MF", "-MT", "-MQ"):
            skip = True
        elif word not in ("-MD", "-MMD"):
            kept.append(word)
    return kept


def stamp_of(entry: dict, config: bytes) -> str | None:
    """A name for all that clang-tidy will see; None where the file does not even preprocess."""
    command = command_of(entry)
    text = subprocess.run([*command, "-E", "-CC"], cwd=entry["directory"], capture_output=True, check=False)
    if text.returncode != 0:
        return None
    return hashlib.sha256(b"\0".join([config, shlex.join(command).encode(), text.stdout])).hexdigest()


def findings(output: str) -> list[str]:
    """The findings of one run, each with its notes."""
    found: list[list[str]] = []
    for line in output.splitlines():
        if FINDING.match(line):
            found.append([line])
        elif NO_FINDING.match(line):
            continue
        elif found:
            found[-1].append(line)
    return ["\n".join(lines) for lines in found]


class Linter:
    def __init__(self, build: Path):
        self.build = build.resolve()
        self.stamps = self.build / "tidy-stamps"
        self.stamps.mkdir(exist_ok=True)
        version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
        self.config = version + Path(".clang-tidy").read_bytes()
        entries = json.loads((self.build / "compile_commands.json").read_text())
        self.entries = {Path(entry["directory"], entry["file"]).resolve(): entry for entry in entries}

    def check(self, file: Path) -> tuple[bool, list[str]]:
        """Whether the file was looked at, and what was found."""
        entry = self.entries.get(file.resolve())
        how = ["-p", self.build]
        if entry is None:  # an example, which is a project of its own
            entry = {"directory": Path.cwd(), "arguments": ["clang++-19", *PLAIN, str(file)]}
            how = ["--", *PLAIN]
        stamp = stamp_of(entry, self.config)
        if stamp and (self.stamps / stamp).exists():
            return False, []
        result = subprocess.run([TIDY, "--quiet", file, *how], capture_output=True, text=True, check=False)
        found = findings(result.stdout + result.stderr)
        if result.returncode != 0 and not found:
            found = [f"{file}: {TIDY} ended with status {result.returncode}: {result.stderr.strip()[-2000:]}"]
        if not found and stamp:
            (self.stamps / stamp).touch()
        return True, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", "--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("build", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    linter = Linter(options.build)
    shown: set[str] = set()  # a fault in a header is reported once, not once per file that includes it
    looked_at = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for looked, found in pool.map(linter.check, options.files):
            looked_at += looked
            for finding in found:
                if finding not in shown:
                    shown.add(finding)
                    print(finding.replace(f"{Path.cwd()}/", ""), flush=True)
    print(f"{looked_at} of {len(options.files)} files looked at, the others are as they were; {len(shown)} findings", file=sys.stderr)
    sys.exit(1 if shown else 0)


if __name__ == "__main__":
    main()
