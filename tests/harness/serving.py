"""`kvasir serve` as a process, and ways to talk to it below the level of a client library."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from program import BINARY, MODELS, SLOWNESS, assert_no_report, installed

START_TIMEOUT = 120 * SLOWNESS
ANSWER_TIMEOUT = 120 * SLOWNESS
JSON = "application/json"


class Answer:
    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> dict:
        """The error object, with the four members that OpenAI's has."""
        error = self.json["error"]
        assert {"message", "type", "param", "code"} <= set(error), error
        assert error["code"] is None or isinstance(error["code"], str)
        return error


class Server:
    """Started with a free port; `ready=False` does not wait for the model; `trust` is a certificate for HTTPS; `descriptors` are
    what the process may open at most."""

    def __init__(self, home: Path, *args: str, model: str = "smollm2", ready: bool = True, env: dict | None = None,
                 trust: Path | None = None, descriptors: int = 0):
        self.log = ""
        self.tls = ssl.create_default_context(cafile=str(trust)) if trust else None
        limits = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        self.process = subprocess.Popen(
            [*limits, BINARY, "serve", "-m", model, "--port", "0", *args], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "HOME": str(home), "KVASIR_MODELS": str(MODELS), "LC_ALL": "C.UTF-8", **(env or {})})
        self.ready = threading.Event()
        self.url = ""
        threading.Thread(target=self._read, daemon=True).start()
        if ready:
            assert self.ready.wait(START_TIMEOUT), self.log
            assert self.url, self.log

    def _read(self):
        for line in self.process.stderr:
            self.log += line
            found = re.search(r"^Serving .* at (https?://\S+)", line)
            if found:
                self.url = found[1]
            if line.startswith("    -d") or "Authorization" in line:  # the last line of the announcement
                self.ready.set()
        self.ready.set()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def request(self, method: str, path: str, body=None, headers: dict | None = None) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {**({"Content-Type": JSON} if data is not None else {}),
                                                                 **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT, context=self.tls) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def get(self, path: str, **headers) -> Answer:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body, **headers) -> Answer:
        return self.request("POST", path, body, headers)

    def refuses(self, path: str, body, status: int = 400, param: str | None = None) -> dict:
        answer = self.post(path, body)
        assert answer.status == status, (answer.status, answer.body)
        if param is not None:
            assert answer.error["param"] == param, answer.error
        return answer.error

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30 * SLOWNESS)
        return self.tls.wrap_socket(connection, server_hostname="127.0.0.1") if self.tls else connection

    def raw(self, data: bytes, half_close: bool = False) -> bytes:
        """Everything that comes back for these bytes until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def slots(self) -> dict:
        return self.get("/slots").json

    def idle(self, timeout: float = 30) -> dict:
        """Waits until nothing is computed."""
        end = time.monotonic() + timeout * SLOWNESS
        while True:
            slots = self.slots()
            if slots["running"] == 0 and slots["waiting"] == 0:
                return slots
            assert time.monotonic() < end, slots
            time.sleep(0.02)

    def metric(self, name: str) -> float:
        text = self.get("/metrics").body.decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{re.escape(name)}[{{ ]", line))

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout * SLOWNESS)

    def alive(self):
        assert self.process.poll() is None, self.log
        assert self.get("/health").status == 200


def present(model: str) -> str:
    """A file, or the name of an installed model; without it the test is skipped."""
    return model if Path(model).is_file() else installed(model)


@contextlib.contextmanager
def running(home: Path, *args: str, model: str = "smollm2"):
    """A server for many tests, each of which leaves it as it was; it has to end in order."""
    server = Server(home, *args, model=present(model))
    yield server
    assert server.stop() == 0, server.log
    assert_no_report(server.log)


@pytest.fixture
def serve(tmp_path):
    """Starts servers that end with the test."""
    started = []

    def start(*args, **kwargs) -> Server:
        present(kwargs.get("model", "smollm2"))
        started.append(Server(tmp_path, *args, **kwargs))
        return started[-1]

    yield start
    for server in started:
        server.stop(signal.SIGKILL)
    for server in started:
        assert_no_report(server.log)


def read_all(connection: socket.socket) -> bytes:
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def post_bytes(path: str, body: dict | bytes, *headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {JSON}", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def resident_bytes(server: Server, peak: bool = False) -> int:
    """What the process holds in memory now, or at most so far."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"^{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB$", text, re.MULTILINE)[1]) * 1024


def threads(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def status_of(response: bytes) -> int:
    match = re.match(rb"HTTP/1\.1 (\d+) ", response)
    assert match, response[:200]
    return int(match[1])


def events_of(body: bytes) -> list:
    """The data of server-sent events; the last of a complete stream is "[DONE]"."""
    found = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    return [data if data == "[DONE]" else json.loads(data) for data in found]
