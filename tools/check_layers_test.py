"""Tests of check_layers.py: it must see every kind of wrong edge, and only those."""

import tempfile
import unittest
from pathlib import Path

from check_layers import Layers

TABLE = """
[rooms]
base = []
cache = ["base"]
ops = ["base", "cache/view.h"]
engine = ["base", "cache", "ops"]
cli = ["base"]
[public]
any_room = ["result.h"]
whole_api = ["engine", "cli"]
"""


class LayersTest(unittest.TestCase):
    def problems(self, files: dict[str, str], table: str = TABLE) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in {"tools/layers.toml": table, "src/base/a.h": "", **files}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return Layers(root).check()

    def assert_one(self, files: dict[str, str], *parts: str, table: str = TABLE):
        problems = self.problems(files, table)
        self.assertEqual(len(problems), 1, problems)
        for part in parts:
            self.assertIn(part, problems[0])

    def test_allowed_edges_pass(self):
        self.assertEqual(self.problems({
            "src/base/b.cc": '#include "base/a.h"\n#include "kvasir/result.h"\n#include <vector>\n',
            "src/cache/CMakeLists.txt": "kvasir_module(cache DEPS base LIBS fmt::fmt)\n",
            "src/cache/view.h": '#include "base/a.h"\n',
            "src/ops/o.cc": '#include "cache/view.h"\n',
            "src/engine/e.cc": '#include "cache/pool.h"\n#include "kvasir/engine.h"\n',
            "src/cli/c.cc": '#include "cli/d.h"\n#include "kvasir/engine.h"\n',
            "include/kvasir/engine.h": '#include <string>\n#include "kvasir/result.h"\n',
        }), [])

    def test_upward_edge_names_place_edge_and_allowed_list(self):
        self.assert_one({"src/cache/p.h": '#include "base/a.h"\n  #  include "engine/e.h"\n'},
                        "src/cache/p.h:2", "cache -> engine", "may include: base")

    def test_tests_are_held_to_the_same_arrows(self):
        self.assert_one({"src/base/a_test.cc": '#include "ops/o.h"\n'}, "base -> ops")

    def test_only_the_seam_is_open(self):
        self.assert_one({"src/ops/o.cc": '#include "cache/pool.h"\n'}, "ops -> cache", "cache/view.h")

    def test_seam_may_not_bring_its_room_along(self):
        self.assert_one({"src/cache/view.h": '#include "cache/pool.h"\n'}, "the door of cache for ops")

    def test_cli_has_no_private_door(self):
        self.assert_one({"src/cli/c.cc": '#include "engine/e.h"\n'}, "cli -> engine")

    def test_lower_rooms_do_not_see_the_engine_api(self):
        self.assert_one({"src/ops/o.cc": '#include "kvasir/engine.h"\n'}, "result.h")

    def test_public_headers_see_no_rooms_and_no_packages(self):
        self.assert_one({"include/kvasir/e.h": '#include "base/a.h"\n'}, "include/kvasir/e.h:1")
        self.assert_one({"include/kvasir/e.h": "#include <fmt/format.h>\n"}, "<fmt/format.h>")

    def test_paths_start_at_src(self):
        self.assert_one({"src/base/b.cc": '#include "a.h"\n'}, '"base/a.h"')
        self.assert_one({"src/base/b.cc": "#include <base/a.h>\n"}, "with quotes")

    def test_cmake_deps_are_arrows_too(self):
        self.assert_one({"src/cache/CMakeLists.txt": "kvasir_module(cache DEPS base ops LIBS x)\n"}, "DEPS ops")

    def test_new_room_needs_a_line(self):
        self.assert_one({"src/attic/a.h": ""}, "src/attic")

    def test_table_that_points_up_is_refused(self):
        self.assert_one({}, "base -> ops", table=TABLE.replace("base = []", 'base = ["ops"]'))


if __name__ == "__main__":
    unittest.main()
