"""docs/eviction.md, "Write your own policy": its pieces of code go into a copy of the sources that it names, and what comes of it is
compiled, linked with the libraries of the build at hand, and passes its tests."""

import json
import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import pytest
from program import BINARY, ROOT, SANITIZER, SLOWNESS

BUILD = BINARY.parents[1]
SECTION = (ROOT / "docs/eviction.md").read_text().split("## Write your own policy")[1].split("\n## ")[0]
# What each piece is put before in the file that stands nearest before it; a file without a line here is a new one.
PLACES = {
    "src/kvcache/eviction_policies.h": "\n}  // namespace kvasir::kvcache",
    "src/kvcache/eviction_policies.cc": "\n  };\n  return kPolicies;",
    "src/kvcache/eviction_policy_test.cc": "\n}  // namespace\n}  // namespace kvasir::kvcache",
}


def pieces() -> list[tuple[str, str]]:
    """The files and what the page puts into each."""
    found = []
    for block in re.finditer(r"^ *```cpp\n(.*?)^ *```", SECTION, re.MULTILINE | re.DOTALL):
        files = re.findall(r"`(src/[\w/]+\.(?:cc|h))`", SECTION[:block.start()])
        found.append((files[-1], textwrap.dedent(block[1])))
    return found


def compile_command() -> list[str]:
    """How the build compiles the test that the tutorial adds to."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if entry["file"] == str(ROOT / "src/kvcache/eviction_policy_test.cc"):
            return shlex.split(entry["command"])
    raise AssertionError("the build does not know eviction_policy_test.cc")


def link_command() -> list[str]:
    """How it links the program of that test, without the objects."""
    lines = subprocess.run(["ninja", "-C", str(BUILD), "-t", "commands", "kvasir_kvcache_test"], capture_output=True, text=True, check=True)
    words = shlex.split(lines.stdout.splitlines()[-1])
    words = words[words.index("&&") + 1:] if words[0] == ":" else words
    words = words[:words.index("&&")] if "&&" in words else words
    return [word for word in words if not word.endswith(".o")]


def replaced(words: list[str], **values: str) -> list[str]:
    """The words with other values behind these options."""
    result = list(words)
    for option, value in values.items():
        result[result.index(f"-{option}") + 1] = value
    return result


def run(words: list[str]):
    done = subprocess.run(words, cwd=BUILD, capture_output=True, text=True, timeout=300 * SLOWNESS, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def apply(folder: Path):
    """Copies what the tutorial changes into `folder`, and changes it."""
    for file, code in pieces():
        copy = folder / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file not in PLACES:
            assert not (ROOT / file).exists(), f"{file} is there already: the tutorial needs another example"
            copy.write_text(code)
            continue
        text = (ROOT / file).read_text()
        assert text.count(PLACES[file]) == 1, f"{file} no longer has the place where the tutorial adds to it"
        copy.write_text(text.replace(PLACES[file], "\n" + code.rstrip("\n") + PLACES[file]))


def test_the_policy_of_the_tutorial_passes_its_test(tmp_path):
    if SANITIZER:
        pytest.skip("one build is enough")
    if not (BUILD / "src/kvcache/kvasir_kvcache_test").exists():
        pytest.skip(f"{BUILD} has no tests")
    apply(tmp_path)
    sources = sorted((tmp_path / "src").rglob("*.cc"))
    assert [path.name for path in sources] == ["evict_vnorm.cc", "eviction_policies.cc", "eviction_policy_test.cc"]
    objects = []
    for source in sources:
        objects.append(str(source.with_suffix(".o")))
        words = replaced(compile_command(), o=objects[-1], c=str(source))
        first = next(i for i, word in enumerate(words) if word.startswith("-I"))
        run([*words[:first], f"-I{tmp_path}/src", *words[first:], "-O0"])  # the copied header is found first
    program = str(tmp_path / "policy_test")
    words = replaced(link_command(), o=program)
    libraries = words.index(program) + 1
    run([*words[:libraries], *objects, *words[libraries:]])
    output = run([program, "--gtest_filter=EvictionPolicyTest.*"])
    assert "[       OK ] EvictionPolicyTest.ValueNormTakesTheNormOfTheValue" in output
    assert "[       OK ] EvictionPolicyTest.NamesAreFoundAndListed" in output
