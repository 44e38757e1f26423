#!/usr/bin/env python3
"""How well JSON Schema is kept: prints the table of docs/structured-output.md.

Every case of tests/cases/json_schema/cases.json has a schema, instances that satisfy it and instances that do not; PyPI
jsonschema is the judge of both. For each the table counts the valid instances that our grammar accepts (written compact,
and with a blank after commas and colons), the invalid ones that it refuses, and the random documents (walks through the
token masks of smollm2's vocabulary) that validate.

usage: structured_output_table.py KVASIR [--model MODEL] [--samples N] [--check]
  --check compares the table with the one in docs/structured-output.md instead of printing it
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "tests/cases/json_schema/cases.json"
DOCS = ROOT / "docs/structured-output.md"
SEPARATORS = [(",", ":"), (", ", ": ")]
BEGIN, END = "<!-- table begin -->\n", "<!-- table end -->\n"


def validator(schema):
    cls = jsonschema.Draft202012Validator
    cls.check_schema(schema)
    return cls(schema, format_checker=cls.FORMAT_CHECKER)


def texts_of(instance) -> list[str]:
    """The spellings that the grammar should know."""
    return [json.dumps(instance, ensure_ascii=False, separators=separators) for separators in SEPARATORS]


def ask(kvasir: str, model: str, cases: list[dict], samples: int) -> list[dict]:
    """What `kvasir grammar --cases` says to each."""
    lines = [json.dumps({"schema": case["schema"], "samples": samples,
                         "texts": [text for value in case["valid"] + case["invalid"] for text in texts_of(value)]})
             for case in cases]
    done = subprocess.run([kvasir, "grammar", "--cases", "-m", model], input="\n".join(lines) + "\n", capture_output=True,
                          text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases), done.stderr
    return answers


def judge(case: dict, answer: dict) -> dict:
    """Counts of one case, and what went wrong in words."""
    assert "error" not in answer, (case["schema"], answer)
    valid = validator(case["schema"])
    for value, expected in [(v, True) for v in case["valid"]] + [(v, False) for v in case["invalid"]]:
        assert valid.is_valid(value) == expected, ("the case itself is wrong", case["schema"], value)
    accepted, split = answer["matches"], len(SEPARATORS) * len(case["valid"])
    ended = [text for text in answer["samples"] if text is not None]
    broken = [text for text in ended if not valid.is_valid(json.loads(text))]
    return {"accepted": sum(accepted[:split]), "valid": split, "refused": accepted[split:].count(False),
            "invalid": len(accepted) - split, "validated": len(ended) - len(broken), "ended": len(ended),
            "samples": len(answer["samples"]), "broken": broken}


def table(results: list[tuple[str, dict]]) -> str:
    rows = defaultdict(lambda: defaultdict(int))
    for keyword, result in results:
        for row in (rows[keyword], rows["all"]):
            row["cases"] += 1
            for name in ("accepted", "valid", "refused", "invalid", "validated", "ended"):
                row[name] += result[name]
    rows["all"] = rows.pop("all")
    out = ["| keyword | schemas | valid accepted | invalid refused | random documents that validate |", "|---|---|---|---|---|"]
    for keyword, row in rows.items():
        share = "all" if row["validated"] == row["ended"] else f"{row['validated']} of {row['ended']}"
        out.append(f"| {keyword} | {row['cases']} | {row['accepted']} of {row['valid']} | {row['refused']} of {row['invalid']} | {share} |")
    return "\n".join(out) + "\n"


def published() -> str:
    text = DOCS.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN):text.index(END)].strip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kvasir")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    answers = ask(args.kvasir, args.model, cases, args.samples)
    fresh = table([(case["keyword"], judge(case, answer)) for case, answer in zip(cases, answers, strict=True)])
    if not args.check:
        print(fresh, end="")
        return 0
    if fresh != published():
        print(f"the table of {DOCS.relative_to(ROOT)} is not what is measured:\n{fresh}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
