"""Servers as processes: ours and the peer's, started with given options and stopped again."""
from __future__ import annotations

import contextlib
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from harness import peer
from harness.places import KVASIR, die

START_SECONDS = 120


@dataclass
class Running:
    port: int
    process: subprocess.Popen

    @property
    def resident_bytes(self) -> int:
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    @property
    def threads(self) -> int:
        return len(list(pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ours(model: pathlib.Path, threads: int, *options: object) -> list:
    return [KVASIR, "serve", "-m", model, "-t", threads, *options]


def theirs(program: pathlib.Path, model: pathlib.Path, threads: int, clients: int, context: int, setting: dict) -> list:
    """llama-server with a slot per client; `context` is what one request needs."""
    return [program, "-m", model, "-t", threads, "-tb", threads, "-np", clients, "-c", clients * context, "--no-webui",
            "-fa", "on" if setting["fa"] else "off", *([] if setting["repack"] else ["--no-repack"]),
            *(["--kv-unified"] if setting.get("unified") else [])]


def peer_program(given: pathlib.Path | None) -> pathlib.Path:
    return given or peer.build("llama-server")


@contextlib.contextmanager
def running(command: list):
    """Starts a server on a free port and waits until it is ready; its log is shown only if it fails."""
    port = free_port()
    with tempfile.TemporaryFile("w+") as log:
        words = [str(word) for word in command] + ["--port", str(port)]
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_ready(port, process, words, log)
            yield Running(port, process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(port: int, process: subprocess.Popen, words: list[str], log) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        time.sleep(0.1)
    log.seek(0)
    die(f"'{' '.join(words)}' did not get ready:\n{log.read()[-1500:]}")
