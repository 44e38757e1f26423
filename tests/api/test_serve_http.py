"""HTTP itself: routes, methods, limits, keep-alive, time-outs, who may ask."""

import json
import re
import socket
import time

import pytest
from serving import post_bytes, read_all, status_of

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


def get_bytes(path: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: localhost", *headers, "", ""]).encode()


def read_response(stream) -> tuple[int, dict, bytes]:
    """One response with a length, from a socket's file."""
    status = int(stream.readline().split()[1])
    headers = {}
    while (line := stream.readline().strip()):
        name, value = line.decode().split(": ", 1)
        headers[name] = value
    return status, headers, stream.read(int(headers.get("content-length", 0)))


def test_health_and_unknown_paths(server):
    assert server.get("/health").json == {"status": "ok"}
    for path in ("/nothing", "/web", "/web/", "/web/index.html", "/web/../openapi.json", "/health/", "//health", "/HEALTH", "/v1/models/", "/%68ealth", "/v1/../health"):
        answer = server.get(path)
        assert answer.status == 404, path
        assert answer.error["type"] == "not_found_error"


def test_methods(server):
    answer = server.request("PUT", "/health")
    assert answer.status == 405 and "GET" in answer.headers["allow"]
    assert server.get("/v1/chat/completions").status == 405
    assert server.request("BREW", "/tokenize").status == 405
    head = server.request("HEAD", "/v1/models")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 10
    options = server.request("OPTIONS", "/v1/models")
    assert options.status == 204 and "access-control-allow-origin" not in options.headers


def test_the_body_must_be_announced_as_json(server):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        answer = server.request("POST", "/tokenize", b'{"prompt": "x"}', {"Content-Type": kind})
        assert answer.status == 415, kind
    answer = server.request("POST", "/tokenize", b'{"prompt": "x"}', {"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status == 200


def test_request_ids(server):
    assert re.fullmatch(r"req-[0-9a-f]{16}", server.get("/health").headers["x-request-id"])
    assert server.get("/health", **{"X-Request-Id": "mine-1.2_3"}).headers["x-request-id"] == "mine-1.2_3"
    assert server.get("/health", **{"X-Request-Id": "a b"}).headers["x-request-id"].startswith("req-")


def test_a_connection_serves_many_requests(server):
    with server.connect() as connection, connection.makefile("rb") as stream:
        for _ in range(3):
            connection.sendall(get_bytes("/health"))
            assert read_response(stream)[0] == 200
        connection.sendall(post_bytes("/tokenize", {"prompt": 1}))
        assert read_response(stream)[0] == 400, "an error does not end the connection"
        connection.sendall(get_bytes("/health") * 3)  # pipelined
        assert [read_response(stream)[0] for _ in range(3)] == [200] * 3
        connection.sendall(get_bytes("/health", "Connection: close"))
        assert read_response(stream)[1]["connection"] == "close" and stream.read() == b""


def test_requests_sent_ahead_of_a_stream_wait_for_their_turn(server):
    body = {**CHAT, "stream": True, "max_tokens": 5}
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall(post_bytes("/v1/chat/completions", body) + get_bytes("/health", "Connection: close"))
        data = stream.read()
    assert data.count(b"HTTP/1.1 200") == 2 and data.index(b"[DONE]") < data.index(b'"status":"ok"')


def test_http_1_0(server):
    response = server.raw(get_bytes("/health", version="1.0"))
    assert status_of(response) == 200 and b"connection: close" in response
    body = json.dumps({**CHAT, "stream": True}).encode()
    stream = server.raw(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                        % len(body) + body)
    assert b"transfer-encoding" not in stream and stream.endswith(b"data: [DONE]\n\n")


def test_expect_100_continue(server):
    data = json.dumps({"prompt": "Hello"}).encode()
    with server.connect() as connection:
        connection.sendall(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(data))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(data)
        assert status_of(read_all(connection)) == 200


def test_chunked_bodies(server):
    head = (b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n")
    response = server.raw(head + b'7\r\n{"promp\r\n9\r\nt": "Hi"}\r\n0\r\n\r\n')
    assert status_of(response) == 200
    endless = head + (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 40  # 2.6 MB, more than the server's limit
    assert status_of(server.raw(endless)) == 413
    server.alive()


def test_limits(server):
    assert status_of(server.raw(post_bytes("/tokenize", b"x" * 2_200_000))) == 413
    announced = b"POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    assert status_of(server.raw(announced.replace(b"Host: a", b"Host: localhost"))) == 413
    assert status_of(server.raw(get_bytes("/health", "X-Big: " + "a" * 70_000))) == 431
    assert status_of(server.raw(get_bytes("/health", *["X-Many: 1"] * 10_000))) == 431
    assert status_of(server.raw(get_bytes("/health?" + "a" * 70_000))) == 431
    server.alive()


@pytest.mark.parametrize("data", [
    b"\r\n\r\n\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, b"GET\r\n\r\n", b"GET /health\r\n\r\n",
    b"GET /health HTTP/9.9\r\n\r\n", b"GET /health HTTP/1.1\r\nno colon\r\n\r\n", b"\xff" * 500,
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
], ids=range(12))
def test_what_is_no_http_is_refused(server, data):
    response = server.raw(data, half_close=True)
    assert response == b"" or status_of(response) in (400, 405, 505), response[:200]
    server.alive()


def test_slow_clients_are_cut_off(serve):
    server = serve("--header-timeout", "0.5", "--body-timeout", "0.5", "--idle-timeout", "1")
    for beginning in (b"GET /health HT", b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      b"Content-Length: 100\r\n\r\n{"):
        with server.connect() as connection:
            connection.sendall(beginning)
            start = time.monotonic()
            assert status_of(read_all(connection)) == 408
            assert time.monotonic() - start < 10
    with server.connect() as connection:
        assert read_all(connection) == b"", "an idle connection is closed without a word"
    server.alive()


def test_more_connections_than_allowed_wait(serve):
    server = serve("--max-connections", "3")
    idle = [server.connect() for _ in range(3)]
    late = server.connect()
    late.sendall(get_bytes("/health", "Connection: close"))
    late.settimeout(0.5)
    with pytest.raises(TimeoutError):
        late.recv(10)
    idle[0].close()
    late.settimeout(10)
    assert status_of(read_all(late)) == 200
    for connection in [*idle, late]:
        connection.close()


def test_pages_of_other_sites_are_kept_out(server):
    own = f"http://localhost:{server.port}"
    assert server.get("/v1/models", Host=f"localhost:{server.port}", Origin=own).status == 200
    assert server.get("/v1/models", Origin="https://evil.example").status == 403
    assert server.get("/v1/models", Origin="null").status == 403
    assert server.get("/v1/models", Host="evil.example").status == 403  # DNS rebinding
    assert server.get("/v1/models", Host="localhost.evil.example").status == 403
    assert server.get("/v1/models", Host="127.0.0.1.evil.example").status == 403
    assert server.get("/v1/models", Host="[::1]:80").status == 200
    refused = server.get("/v1/models", Origin="https://evil.example")
    assert "access-control-allow-origin" not in refused.headers


def test_cors_for_sites_that_are_named(serve):
    server = serve("--cors-origin", "https://chat.example", "--allowed-host", "kvasir.test")
    answer = server.get("/v1/models", Origin="https://chat.example")
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == "https://chat.example"
    preflight = server.request("OPTIONS", "/v1/chat/completions", headers={"Origin": "https://chat.example"})
    assert preflight.status == 204 and "content-type" in preflight.headers["access-control-allow-headers"]
    wanted = "authorization,content-type,x-stainless-os,anthropic-dangerous-direct-browser-access"
    asked = server.request("OPTIONS", "/v1/messages", headers={"Origin": "https://chat.example", "Access-Control-Request-Headers": wanted})
    assert asked.status == 204 and asked.headers["access-control-allow-headers"] == wanted
    assert server.get("/v1/models", Origin="https://other.example").status == 403
    assert server.get("/v1/models", Host="kvasir.test").status == 200


def test_api_keys(serve, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("# who may ask\nalice  alice-secret-1\nbob-secret-22\n")
    server = serve("--api-key-file", str(keys))
    good = {"Authorization": "Bearer alice-secret-1"}
    assert server.get("/health").status == 200
    for path in ("/v1/models", "/metrics", "/slots", "/tokenizer_info", "/cache", "/openapi.json", "/nothing", "/health/",
                 "//health", "//", "/web/none.js", "/web/../slots"):
        for headers in ({}, {"Authorization": "Bearer alice-secret-2"}, {"Authorization": "Bearer "},
                        {"Authorization": "alice-secret-1"}, {"Authorization": "Bearer alice-secret-1 "},
                        {"X-Api-Key": "alice-secret-11"}):
            answer = server.get(path, **headers)
            expected = 200 if headers.get("Authorization", "").strip() == "Bearer alice-secret-1" else 401
            assert answer.status in ((200, 404) if expected == 200 else (401,)), (path, headers)
    assert server.post("/v1/chat/completions", CHAT).error["code"] == "invalid_api_key"
    assert server.post("/v1/chat/completions", CHAT, **good).status == 200
    assert server.get("/v1/models", **{"X-Api-Key": "bob-secret-22"}).status == 200
    assert server.get("/v1/models", Authorization="Basic eDpib2Itc2VjcmV0LTIy").status == 200  # x:bob-secret-22
    assert "key=alice" in server.log and "secret" not in server.log


def test_the_page_needs_no_key_and_its_files_are_known_to_the_browser(serve, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("alice-secret-1\n")
    server = serve("--api-key-file", str(keys))
    page = server.get("/")
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    files = set(re.findall(rb'(?:src|href)="(/web/[^"]+)"', page.body))
    assert len(files) > 4
    for file in files:
        answer = server.get(file.decode())
        assert answer.status == 200 and answer.headers["x-content-type-options"] == "nosniff"
        again = server.get(file.decode(), **{"If-None-Match": answer.headers["etag"]})
        assert again.status == 304 and again.body == b"" and "content-length" not in again.headers
    head = server.request("HEAD", "/web/main.js")
    assert head.status == 200 and int(head.headers["content-length"]) > 1000
    assert server.get("/", Host="evil.example").status == 403


def test_the_cache_is_a_tree(server):
    text = "A lighthouse keeper counts the waves of the night. " * 20
    for end in ("One.", "Two.", "Three."):
        server.post("/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": text + end * 60}]})
    tree = server.get("/cache").json
    ids = [segment["id"] for segment in tree["segments"]]
    assert len(ids) == len(set(ids)) and 0 not in ids
    for i, segment in enumerate(tree["segments"]):
        assert segment["tokens"] % tree["block_tokens"] == 0 and segment["bytes"] > 0 and segment["requests"] == []
        if segment["parent"]:
            parent = tree["segments"][ids.index(segment["parent"], 0, i)]
            assert segment["first_token"] == parent["first_token"] + parent["tokens"]
    children = [segment["parent"] for segment in tree["segments"]]
    assert any(children.count(id) >= 3 for id in ids), "the three texts share their beginning"
    assert sum(s["bytes"] for s in tree["segments"]) + tree["left_out"]["bytes"] == server.idle()["memory"]["kv"]


def test_the_log_holds_nothing_that_users_wrote(serve):
    server = serve("--log", "json")
    server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "my-private-words"}], "max_tokens": 1},
                **{"X-Request-Id": 'x"} evil', "User-Agent": "agent-words"})
    server.get("/path-words?query-words")
    until = time.monotonic() + 10  # a request is logged once its answer is written, which the client has by then
    while server.log.count('"request"') < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == ["ready", "request", "request", "signal", "stopped"]
    assert lines[1]["route"] == "/v1/chat/completions" and lines[1]["generated_tokens"] == "1"
    assert "-words" not in server.log and "evil" not in server.log


def test_ipv6(serve):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert serve("--host", "::1").get("/health").status == 200
