"""Results: files under bench/results, and the README's table between its markers."""
from __future__ import annotations

import datetime
import json
import pathlib
import statistics

from harness.places import CPUS, ROOT, die, note, run

README = ROOT / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def describe() -> dict:
    """What every result file begins with."""
    commit = run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT).strip()
    changed = bool(run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT).strip())
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"date": datetime.date.today().isoformat(), "commit": commit, "changed": changed, "cpu": cpu, "cpus": CPUS}


def write(result: dict, suffix: str = "") -> pathlib.Path:
    """Writes bench/results/DATE-COMMIT[SUFFIX].json; returns its path."""
    path = ROOT / "bench" / "results" / f"{result['date']}-{result['commit']}{suffix}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def table(rows: list[dict]) -> str:
    """The table of the README."""
    lines = ["| model | what | Kvasir, tokens/s | llama.cpp, tokens/s | ratio (min - max) | of this machine's limit |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = row["ratio"]
        lines.append(f"| {row['model']} | {row['what']} | {figure(statistics.median(row['kvasir']))} | "
                     f"{figure(statistics.median(row['llama.cpp']))} | {ratio['median']:.2f} ({ratio['min']:.2f} - "
                     f"{ratio['max']:.2f}) | {statistics.median(row['percent_of_limit']):.0f} % ({row['bound']}) |")
    return "\n".join(lines)


def update_readme(text: str, readme: pathlib.Path = README) -> None:
    """Puts `text` between the markers."""
    page = readme.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        die(f"{readme.name} must hold {BEGIN} and {END} once each, around its table")
    head, rest = page.split(BEGIN)
    readme.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    note(f"{readme.name}: table updated")
