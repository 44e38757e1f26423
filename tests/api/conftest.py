"""The real program, as a user runs it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from make_models import Builder
from program import BINARY, DATA, MODELS, SLOWNESS, assert_no_report, installed
from serving import ANSWER_TIMEOUT, running, serve  # noqa: F401 (serve is a fixture)
from specs import Spec

TIMEOUT = 300 * SLOWNESS
SCREEN_TIMEOUT = 60 * SLOWNESS  # for one thing to appear on a terminal


class Kvasir:
    """Runs the program in an environment of its own: no history, no colours, no terminal."""

    def __init__(self, home: Path):
        self.home = home
        self.env = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"),
                    "KVASIR_MODELS": str(MODELS), "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        self.env.pop("NO_COLOR", None)

    def __call__(self, *args, stdin: bytes | str = b"", env: dict | None = None, **kwargs) -> subprocess.CompletedProcess:
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run([BINARY, *args], input=stdin, capture_output=True, timeout=TIMEOUT,
                              env={**self.env, **(env or {})}, **kwargs)
        assert_no_report(done.stderr.decode(errors="replace"))
        return done

    def ok(self, *args, **kwargs) -> str:
        done = self(*args, **kwargs)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def fails(self, *args, code: int = 1, **kwargs) -> str:
        """The one line of an error."""
        done = self(*args, **kwargs)
        message = done.stderr.decode(errors="replace")
        assert done.returncode == code, message
        assert message.startswith("kvasir: ") and message.count("\n") == 1, message
        assert done.stdout == b""
        return message.strip()

    def terminal(self, *args, columns: int = 100, **env) -> "Terminal":
        return Terminal([str(BINARY), *args], {**self.env, **env}, columns)


class Terminal:
    """A program on a terminal of its own, and everything that it has written there."""

    def __init__(self, command: list[str], env: dict, columns: int = 100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # A new pseudo-terminal has no size at all; the program shall see one from its first moment on.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            os.execve(command[0], command, env)
        self.output = ""
        self.seen = 0  # how far `expect` has read
        self.code = None

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the program has closed the terminal
            return False
        self.output += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern: str, timeout: float = SCREEN_TIMEOUT) -> re.Match:
        """Waits until `pattern` appears after what was matched before."""
        end = time.monotonic() + timeout
        alive = True
        while True:
            found = re.compile(pattern, re.DOTALL).search(self.output, self.seen)
            if found:
                self.seen = found.end()
                return found
            assert alive and time.monotonic() < end, f"{pattern!r} did not appear in {self.output[self.seen:]!r}"
            alive = self._read(0.1)

    def text(self, start: int = 0) -> str:
        """What was written from `start` on, without colours and without lines that were overwritten."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.output[start:]).replace("\r\n", "\n")
        return re.sub(r"[^\n\r]*\r(?!\n)", "", plain)

    def send(self, text: str):
        os.write(self.fd, text.encode())

    def type(self, text: str):
        """Sends keys to the line editor, once it reads them: what comes while it takes the terminal over may be lost."""
        end = time.monotonic() + 5 * SLOWNESS
        while termios.tcgetattr(self.fd)[3] & termios.ICANON and time.monotonic() < end:
            self._read(0.01)
        self.send(text)

    def line(self, text: str):
        self.type(text + "\r")

    def wait(self, timeout: float = SCREEN_TIMEOUT) -> int:
        """The exit code, or minus the signal."""
        end = time.monotonic() + timeout
        while self.code is None:
            self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end, f"still running: {self.output!r}"
        return self.code

    def ends_or_shows(self, text: str, timeout: float = SCREEN_TIMEOUT) -> bool:
        """Waits until the program ends (true) or `text` is on the screen."""
        end = time.monotonic() + timeout
        while text not in self.output:
            if not self._read(0.05):
                return True
            assert time.monotonic() < end, f"neither has ended nor shows {text!r}: {self.output!r}"
        return False

    def close(self):
        if self.code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        os.close(self.fd)
        assert_no_report(self.output)


@pytest.fixture
def kvasir(tmp_path) -> Kvasir:
    assert BINARY.exists(), f"{BINARY} is not built"
    return Kvasir(tmp_path)


@pytest.fixture
def terminal(kvasir):
    opened = []

    def start(*args, **env) -> Terminal:
        opened.append(kvasir.terminal(*args, **env))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture(scope="session")
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"the shared data are not at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that leave it as it was."""
    with running(tmp_path_factory.mktemp("home"), "--ctx", "2048", "--max-body", "2M") as started:
        yield started


@pytest.fixture(scope="session")
def client(server):
    import openai
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=ANSWER_TIMEOUT)


@pytest.fixture(scope="session")
def smollm2() -> str:
    return installed("smollm2")


@pytest.fixture(scope="session")
def gemma3() -> str:
    return installed("gemma3-270m")


@pytest.fixture(scope="session")
def minilm() -> str:
    return installed("minilm")


SMALL_EOS = 306  # the token with which the small model ends an answer


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> str:
    """Random weights, for what does not depend on whether a model makes sense: it loads and answers in milliseconds. It has
    three layers and two KV heads of 64, a context of 1024 tokens, and about as many tokens as a text has characters."""
    path = tmp_path_factory.mktemp("model") / "small.gguf"
    spec = Spec("small", "llama", embd=128, heads=4, kv_heads=2, head_size=64, ffn=224, layers=3, context=1024, types=("Q8_0",))
    Builder(spec, path, as_f32=False).build()
    return str(path)
