"""Tests of tidy.py: what it takes from a compile command and from clang-tidy's output, and what makes it look again."""

import tempfile
import unittest
from pathlib import Path

from tidy import command_of, findings, stamp_of


class TidyTest(unittest.TestCase):
    def test_a_command_loses_its_outputs(self):
        entry = {"command": "c++ -DA='x y' -O2 -MD -MT a.o -MF a.d -o a.o -c /src/a.cc"}
        self.assertEqual(command_of(entry), ["c++", "-DA=x y", "-O2", "/src/a.cc"])

    def test_findings_keep_their_notes_and_nothing_else(self):
        output = ("3 warnings generated.\n"
                  "/src/a.h:1:2: error: bad name [x]\n   int Foo;\n/src/b.h:4:5: note: because\n"
                  "Suppressed 3 warnings (3 in non-user code).\n"
                  "/src/a.cc:7:1: warning: slow [y]\n"
                  "2 warnings treated as errors\n")
        self.assertEqual(findings(output), ["/src/a.h:1:2: error: bad name [x]\n   int Foo;\n/src/b.h:4:5: note: because",
                                            "/src/a.cc:7:1: warning: slow [y]"])

    def test_a_stamp_is_of_all_that_is_seen(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            entry = {"directory": folder, "arguments": ["c++", "-I.", "a.cc"]}
            seen = set()
            (root / "a.cc").write_text('#include "a.h"\n')
            for header in ("", "int x;", "int x; // NOLINT"):
                (root / "a.h").write_text(header)
                seen.add(stamp_of(entry, b"config"))
                self.assertIn(stamp_of(entry, b"config"), seen)
            seen.add(stamp_of(entry, b"other config"))
            seen.add(stamp_of({**entry, "arguments": ["c++", "-I.", "-DA", "a.cc"]}, b"config"))
            self.assertEqual(len(seen), 5)
            (root / "a.h").unlink()
            self.assertIsNone(stamp_of(entry, b"config"))


if __name__ == "__main__":
    unittest.main()
