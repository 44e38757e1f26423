#!/usr/bin/env python3
"""Checks the documentation against the tree: every relative link of every Markdown file leads to a file (and to a
heading, where it names one), and every room has a README.md with the four headings that readers look for.

usage: check_docs.py [ROOT]
"""

import re
import sys
from pathlib import Path

from check_sizes import tracked

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADINGS = ["Purpose", "Key types", "Invariants", "How to test it"]


def anchors(text: str) -> set[str]:
    """The names under which GitHub offers the headings of a Markdown text."""
    names = set()
    for heading in re.findall(r"^#+\s+(.*?)\s*$", FENCE.sub("", text), re.MULTILINE):
        names.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return names


def check_links(root: Path, path: Path) -> list[str]:
    problems = []
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))):
        if re.match(r"[a-z]+:", target):
            continue
        file_name, _, anchor = target.partition("#")
        file = (path.parent / file_name).resolve() if file_name else path
        if not file.exists():
            problems.append(f"{path.relative_to(root)}: the link to {target} leads nowhere")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
            problems.append(f"{path.relative_to(root)}: {file_name or 'this file'} has no heading #{anchor}")
    return problems


def check_room(root: Path, room: Path) -> list[str]:
    readme = room / "README.md"
    name = readme.relative_to(root)
    if not readme.exists():
        return [f"{name} is missing; its headings are: {', '.join(HEADINGS)}"]
    found = re.findall(r"^(?:##\s+|\*\*)(.*)$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    return [f"{name}: no heading (## or bold) begins with '{heading}'" for heading in HEADINGS
            if not any(line.startswith(heading) for line in found)]


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
    problems = []
    for path in tracked(root):
        if path.suffix == ".md":
            problems += check_links(root, path)
    for cmake in sorted((root / "src").glob("*/CMakeLists.txt")):
        problems += check_room(root, cmake.parent)
    print("\n".join(problems) if problems else "every link leads somewhere, every room introduces itself")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
