"""Who may ask, for how much, and what others learn of it: names in Host, keys, their places in the queue and priorities."""

import json
import signal
import time

import pytest
from program import assert_no_report
from serving import Server, post_bytes

TEXT = "/v1/completions"
LONG = {"prompt": "One, two, three,", "max_tokens": 1500, "ignore_eos": True, "temperature": 0}
ALICE, BOB = "alice-secret-1", "bob-secret-22"


def bearer(key: str) -> dict:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def small(tmp_path, small_model):
    """Starts servers of the small model, which end with the test."""
    started = []

    def start(*args, **kwargs) -> Server:
        started.append(Server(tmp_path, *args, model=small_model, **kwargs))
        return started[-1]

    yield start
    for server in started:
        server.stop(signal.SIGKILL)
        assert_no_report(server.log)


@pytest.fixture
def keys(tmp_path) -> str:
    file = tmp_path / "keys.txt"
    file.write_text(f"alice {ALICE} priority=10\nbob {BOB}\n")
    return str(file)


def statuses(server: Server, *hosts: str, **headers) -> list[int]:
    return [server.get("/v1/models", Host=host, **headers).status for host in hosts]


def test_no_page_gets_in_by_a_name_of_its_own(small):
    """DNS rebinding: the page's own name leads here, so Host and Origin agree. Also in a container, which listens at 0.0.0.0."""
    server = small("--host", "0.0.0.0")
    evil = f"evil.example:{server.port}"
    assert statuses(server, evil, "kvasir", "127.0.0.1.evil.example", Origin=f"http://{evil}") == [403] * 3
    assert statuses(server, evil, "kvasir") == [403, 403]
    own = ["localhost", f"LOCALHOST:{server.port}", f"127.0.0.1:{server.port}", "10.1.2.3:80", "[fe80::1]:80"]
    assert statuses(server, *own) == [200] * 5
    assert "--allowed-host" in server.get("/health", Host="kvasir").error["message"]


def test_names_that_were_given_are_kept_to(small, keys):
    server = small("--host", "0.0.0.0", "--allowed-host", "kvasir")
    assert statuses(server, "kvasir:8080", "KVASIR", "10.1.2.3", "evil.example", "kvasir.evil.example") == [200, 200, 200, 403, 403]
    with_keys = small("--host", "0.0.0.0", "--allowed-host", "kvasir", "--api-key-file", keys)
    assert statuses(with_keys, "kvasir:8080", "10.1.2.3", "evil.example", **bearer(BOB)) == [200, 200, 403]
    assert statuses(small("--host", "0.0.0.0", "--api-key-file", keys), "any.example", **bearer(BOB)) == [200], "a key protects it"


def test_a_server_that_is_open_to_everybody_says_so(small, keys):
    server = small("--host", "0.0.0.0", "--log", "json")
    assert server.log.count("WARNING") >= 3 and "--api-key-file" in server.log
    ready = next(json.loads(line) for line in server.log.splitlines() if line.startswith('{"time"'))
    assert ready["event"] == "ready" and "warning" in ready
    for args in ([], ["--host", "0.0.0.0", "--api-key-file", keys]):
        log = small(*args).log
        assert "WARNING" not in log and "warning" not in log


def test_a_key_asks_for_the_priority_that_it_has(small, keys):
    server = small("--api-key-file", keys)

    def ask(key: str, priority: int):
        return server.post(TEXT, {"prompt": "a", "max_tokens": 1, "priority": priority}, **bearer(key))

    for key, most in ((ALICE, 10), (BOB, 0)):
        assert [ask(key, value).status for value in (most, 0, -1_000_000)] == [200] * 3
        for value in (most + 1, 1_000_000):
            answer = ask(key, value)
            assert answer.status == 400 and answer.error["param"] == "priority"
            assert f"priority is {value}" in answer.error["message"] and f"{most} at most" in answer.error["message"]
    assert small().post(TEXT, {"prompt": "a", "max_tokens": 1, "priority": 1_000_000}).status == 200, "without keys anybody may"


def test_one_key_cannot_lock_the_others_out(serve, keys):
    """And what each sees of the other."""
    server = serve("--max-running", "1", "--max-queue", "4", "--ctx", "2048", "--api-key-file", keys)

    def stream(key: str, name: str):
        connection = server.connect()
        connection.sendall(post_bytes(TEXT, {**LONG, "stream": True}, f"Authorization: Bearer {key}", f"X-Request-Id: {name}"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        return connection

    open_streams = [stream(ALICE, "a-0")]
    end = time.monotonic() + 30
    while server.get("/slots", **bearer(ALICE)).json["running"] == 0:
        assert time.monotonic() < end
    open_streams += [stream(ALICE, f"a-{i}") for i in (1, 2, 3)]
    for _ in range(2):
        refused = server.post(TEXT, LONG, **bearer(ALICE))
        assert refused.status == 429 and refused.error["code"] == "queue_full"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    open_streams.append(stream(BOB, "b-0"))

    for key, name, own in ((ALICE, "alice", ["a-0", "a-1", "a-2", "a-3"]), (BOB, "bob", ["b-0"])):
        requests = server.get("/slots", **bearer(key)).json["requests"]
        assert len(requests) == 5 and sorted(r["request"] for r in requests if r["request"]) == own
        for request in requests:
            assert request["key"] == (name if request["request"] else None)

    assert server.post(TEXT, LONG, **bearer(BOB)).status == 429, "now the queue is full for all"
    never = server.post(TEXT, {**LONG, "n": 5, "max_tokens": 1}, **bearer(BOB))
    assert never.status == 400, "more answers than one key has places is not to be repeated"
    for connection in open_streams:
        connection.close()


def test_the_log_says_who_and_why(small, keys):
    server = small("--log", "json", "--api-key-file", keys)

    def logged(path: str, body: dict | None, key: str = BOB) -> tuple:
        """What the log's line of this request says. It is written once the answer is, which the client has by then."""
        before = server.log.count('"event":"request"')
        server.request("POST" if body else "GET", path, body, bearer(key))
        until = time.monotonic() + 10
        while server.log.count('"event":"request"') == before and time.monotonic() < until:
            time.sleep(0.01)
        line = json.loads([line for line in server.log.splitlines() if '"event":"request"' in line][-1])
        assert line["peer"] == "127.0.0.1" and line.get("key") == {BOB: "bob"}.get(key)
        return line["status"], line.get("error"), line.get("param")

    assert logged(TEXT, {"prompt": "a", "max_tokens": 1}) == ("200", None, None)
    assert logged(TEXT, {"prompt": "a", "temprature": 1}) == ("400", "unknown_parameter", "temprature")
    assert logged(TEXT, {"prompt": "a", "my secret-words": 1}) == ("400", "unknown_parameter", None)
    assert logged(TEXT, {"prompt": "a", "top_p": "secret-words"}) == ("400", "invalid_request_error", "top_p")
    assert logged(TEXT, {"prompt": "secret-words " * 500, "max_tokens": 4000}) == ("400", "context_length_exceeded", None)
    assert logged("/v1/models/secret-words", None) == ("404", "model_not_found", None)
    assert logged("/v1/models", None, "wrong-secret-words") == ("401", "invalid_api_key", None)
    # A form whose rules lie too deep in each other is noticed in the middle of a stream, whose status has been sent.
    parenthesis = server.post("/tokenize", {"content": "("}, **bearer(BOB)).json["tokens"][-1]
    deep = {"prompt": "a", "grammar": 'root ::= "(" root ")" | "x"', "logit_bias": {str(parenthesis): 100}, "temperature": 0,
            "max_tokens": 1020, "stream": True}
    assert logged(TEXT, deep) == ("200", "invalid_request_error", None)
    assert "words" not in server.log
