"""Tests of check_sizes.py and check_docs.py on small trees with one fault each."""

import tempfile
import unittest
from pathlib import Path

import check_docs
import check_sizes


class TreeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def sizes(self, name: str, text: str) -> list[str]:
        return check_sizes.check(self.root, [self.write(name, text)])

    def test_size(self):
        self.assertEqual(self.sizes("src/a/a.cc", "x\n" * 800), [])
        self.assertIn("801 lines", self.sizes("src/a/a.cc", "x\n" * 801)[0])
        self.assertEqual(self.sizes("src/a/a.cc", "// size-waiver: generated table\n" + "x\n" * 900), [])
        self.assertEqual(len(self.sizes("src/a/a.cc", "// size-waiver: \n" + "x\n" * 900)), 1)

    def test_names(self):
        for bad in ("src/utils.h", "src/common/a.cc", "src/string_helpers.cc", "tools/misc.py"):
            self.assertEqual(len(self.sizes(bad, "")), 1, bad)
        for good in ("src/commonmark.cc", "src/utility_meter.h"):
            self.assertEqual(self.sizes(good, ""), [], good)

    def test_links(self):
        self.write("docs/b.md", "# The way of a token\n")
        page = self.write("docs/a.md", "[x](b.md) [y](b.md#the-way-of-a-token) [z](https://e.org) `[n](o)`\n")
        self.assertEqual(check_docs.check_links(self.root, page), [])
        page = self.write("docs/a.md", "[x](c.md) [y](b.md#the-way)\n")
        self.assertEqual(len(check_docs.check_links(self.root, page)), 2)

    def test_rooms(self):
        room = self.root / "src/base"
        self.assertIn("missing", check_docs.check_room(self.root, room)[0])
        self.write("src/base/README.md", "# base\n## Purpose\n## Key types (read in this order)\n## Invariants\n")
        self.assertEqual(len(check_docs.check_room(self.root, room)), 1)


if __name__ == "__main__":
    unittest.main()
