#!/usr/bin/env python3
"""Checks every #include of src/ and include/ against the arrows of tools/layers.toml.

A layering that is only documented does not last, so each edge that is not allowed fails the test run with its
file and line. Checked: rooms include only the rooms they may; a seam (one header of a room that others may see)
does not bring the rest of its room along; the public headers include only the standard library and each other; the DEPS
in a room's CMakeLists.txt are among its arrows; the arrows themselves point down.

usage: check_layers.py [ROOT]
"""

import re
import sys
import tomllib
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
MODULE_DEPS = re.compile(r"kvasir_module\(\s*(\w+)\b[^)]*?\bDEPS\s+((?:[a-z_]+\s*)+)")


class Layers:
    def __init__(self, root: Path):
        self.root = root
        table = tomllib.loads((root / "tools/layers.toml").read_text(encoding="utf-8"))
        self.rooms = {room: set(allowed) for room, allowed in table["rooms"].items()}
        self.public_any = set(table["public"]["any_room"])
        self.public_whole = set(table["public"]["whole_api"])
        self.seams = {entry for allowed in self.rooms.values() for entry in allowed if "/" in entry}
        self.problems: list[str] = []

    def check(self) -> list[str]:
        self._check_table()
        for room in sorted(path.name for path in (self.root / "src").iterdir() if path.is_dir()):
            if room not in self.rooms:
                self.problems.append(f"src/{room}: this room is not in tools/layers.toml; give it a line there")
                continue
            for path in sorted((self.root / "src" / room).rglob("*")):
                if path.suffix in (".h", ".cc", ".cu"):
                    self._check_file(room, path)
            self._check_deps(room)
        for path in sorted((self.root / "include/kvasir").rglob("*.h")):
            self._check_public(path)
        return self.problems

    def _check_table(self) -> None:
        lower: set[str] = set()
        for room, allowed in self.rooms.items():
            for target in sorted({entry.split("/")[0] for entry in allowed}):
                if target not in lower:
                    self.problems.append(f"tools/layers.toml: {room} -> {target} does not point down; "
                                         f"{target} must be a room listed before {room}")
            lower.add(room)

    def _includes(self, path: Path):
        name = path.relative_to(self.root)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if match := INCLUDE.match(line):
                yield f"{name}:{number}", match.group(1), match.group(2)

    def _check_file(self, room: str, path: Path) -> None:
        seam = f"{room}/{path.relative_to(self.root / 'src' / room)}"
        for place, quoted, angled in self._includes(path):
            if quoted is None:
                if angled.split("/")[0] in {"kvasir", *self.rooms} and "/" in angled:
                    self.problems.append(f'{place}: our own headers are included with quotes: #include "{angled}"')
                continue
            target = quoted.split("/")[0]
            if target == "kvasir":
                self._check_use_of_public(room, quoted, place)
            elif target not in self.rooms or "/" not in quoted:
                self.problems.append(f'{place}: "{quoted}" names no room; write the path from src/, for example '
                                     f'"{room}/{Path(quoted).name}"')
            elif seam in self.seams and target == room and quoted not in self.seams:
                users = [user for user, allowed in self.rooms.items() if seam in allowed]
                self.problems.append(f'{place}: {seam} is the door of {room} for {", ".join(users)}, so it may not bring '
                                     f'"{quoted}" along; it may include lower rooms only: {self._list(self.rooms[room])}')
            elif target != room and target not in self.rooms[room] and quoted not in self.rooms[room]:
                self.problems.append(f'{place}: {room} -> {target} (by "{quoted}") is not allowed; '
                                     f"{room} may include: {self._list(self.rooms[room])}")

    def _check_use_of_public(self, room: str, quoted: str, place: str) -> None:
        header = quoted.removeprefix("kvasir/")
        if room not in self.public_whole and header not in self.public_any:
            self.problems.append(f'{place}: {room} -> "{quoted}" is not allowed; below the engine only these public '
                                 f"headers are: {self._list(self.public_any)}")

    def _check_deps(self, room: str) -> None:
        path = self.root / "src" / room / "CMakeLists.txt"
        match = MODULE_DEPS.search(path.read_text(encoding="utf-8")) if path.exists() else None
        reached = {entry.split("/")[0] for entry in self.rooms[room]}  # what lies behind a seam must be linked too
        for dep in match.group(2).split() if match else []:
            # A program sees the rooms only through include/kvasir, and links what is behind it.
            if dep in self.rooms and dep not in reached and room not in self.public_whole:
                self.problems.append(f"src/{room}/CMakeLists.txt: DEPS {dep} is not allowed; "
                                     f"{room} may link: {self._list(reached)}")

    def _check_public(self, path: Path) -> None:
        for place, quoted, angled in self._includes(path):
            if quoted is not None and not quoted.startswith("kvasir/"):
                self.problems.append(f'{place}: a public header may not include "{quoted}": only the standard library and kvasir/*')
            if angled is not None and re.search(r"[./]", angled):
                self.problems.append(f"{place}: a public header may not include <{angled}>: only the standard library and kvasir/*")

    @staticmethod
    def _list(names: set[str]) -> str:
        return ", ".join(sorted(names)) or "nothing"


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
    problems = Layers(root).check()
    for problem in problems:
        print(problem)
    print(f"{len(problems)} edges are wrong; the arrows are in tools/layers.toml" if problems else "every include points down")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
