#!/usr/bin/env python3
"""Checks the sizes and names of the source files.

A file of more than 800 lines must say why in its first ten lines: `size-waiver: REASON`. And no file is called
utils, helpers, common or misc: such a name tells a reader nothing and collects whatever has no home.

usage: check_sizes.py [ROOT]
"""

import re
import subprocess
import sys
from pathlib import Path

LIMIT = 800
CODE = {".h", ".cc", ".cu", ".py", ".sh", ".js", ".cmake"}
FORBIDDEN = re.compile(r"(^|[_-])(utils?|helpers?|common|misc)([_-]|$)")


def check(root: Path, files: list[Path]) -> list[str]:
    problems = []
    for path in files:
        if path.suffix not in CODE:
            continue
        name = path.relative_to(root)
        for part in (*name.parent.parts, path.stem):
            if FORBIDDEN.search(part.lower()):
                problems.append(f"{name}: '{part}' says nothing about what is inside; name it after that")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) > LIMIT and not any(re.search(r"size-waiver: \S", line) for line in lines[:10]):
            problems.append(f"{name}: {len(lines)} lines are more than {LIMIT}; split it, or write 'size-waiver: REASON' at its top")
    return problems


def tracked(root: Path) -> list[Path]:
    """The files under version control; in an unpacked archive, all files outside build/."""
    listing = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=root, check=False,
                             capture_output=True, text=True)
    if listing.returncode != 0:
        return [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in ("build", ".git")]
    return [root / name for name in listing.stdout.split("\0") if name and (root / name).is_file()]


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
    problems = check(root, tracked(root))
    print("\n".join(problems) if problems else "every file has a name and a size to be proud of")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
