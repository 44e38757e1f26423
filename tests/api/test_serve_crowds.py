"""Many at once: streams that wait, clients that leave while they wait or are read, no descriptors left, and the memory that all of
it may take."""

import contextlib
import re
import resource
import socket
import threading
import time

import pytest
from program import SANITIZER, SLOWNESS, heavy
from serving import Server, post_bytes, read_all, resident_bytes, status_of, threads

TEXT = "/v1/completions"
LONG = {"prompt": "Once upon a time", "max_tokens": 1800, "ignore_eos": True, "temperature": 0}
STREAMS = 2000


def until(condition, seconds: float = 30):
    end = time.monotonic() + seconds * SLOWNESS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def descriptors(count: int):
    """As many for this process as it wants, if the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this process may open {hard} descriptors only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_open_streams_need_few_threads(serve):
    """Each has got its head and waits for its first token; one of them is computed."""
    server = serve("--ctx", "2048", "--max-running", "1", "--max-queue", str(STREAMS + 10), "--max-connections", str(STREAMS + 100))
    with descriptors(STREAMS + 200):
        first = server.connect()
        first.sendall(post_bytes(TEXT, {**LONG, "stream": True}))
        until(lambda: server.slots()["running"] == 1)
        before, before_threads = resident_bytes(server), threads(server)
        request = post_bytes(TEXT, {**LONG, "max_tokens": 1, "stream": True})
        streams = [server.connect() for _ in range(STREAMS)]
        for stream in streams:
            stream.sendall(request)
        for stream in streams:
            assert status_of(stream.recv(4096)) == 200
        assert server.metric("kvasir_requests_waiting") == STREAMS
        each = (resident_bytes(server) - before) / STREAMS
        assert threads(server) == before_threads < 16
        assert each < 64_000 or SANITIZER, f"{each:.0f} bytes a stream"
        start = time.monotonic()
        server.alive()
        assert time.monotonic() - start < SLOWNESS
        for stream in streams[:-1]:
            stream.close()
        until(lambda: server.metric("kvasir_requests_waiting") == 1)
        first.close()
        assert read_all_until_done(streams[-1]).count(b"data: ") >= 2, "who stayed is answered"
        streams[-1].close()
    server.idle()


def read_all_until_done(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return data


def test_who_leaves_the_queue_is_forgotten(serve):
    """And nobody else is: the answer that runs is the one that it would have been."""
    server = serve("--ctx", "2048", "--max-running", "1")
    body = {**LONG, "max_tokens": 200}
    alone = server.post(TEXT, body).json["choices"][0]["text"]
    texts = []
    runs = threading.Thread(target=lambda: texts.append(server.post(TEXT, body).json["choices"][0]["text"]))
    runs.start()
    until(lambda: server.slots()["running"] == 1)
    waiting = []
    for i in range(20):
        waiting.append(server.connect())
        waiting[-1].sendall(post_bytes(TEXT, {**LONG, "stream": i % 2 == 0}))
    until(lambda: server.slots()["waiting"] == 20)
    for connection in waiting[1:]:
        connection.close()
    until(lambda: server.slots()["waiting"] == 1, 2)
    assert server.metric("kvasir_requests_cancelled_total") == 19 and texts == []
    waiting[0].close()
    runs.join()
    assert texts == [alone]
    server.idle(2)


def test_who_leaves_while_the_prompt_is_read_is_forgotten(server):
    text = " ".join(f"word{i}" for i in range(450))
    for stream in (True, False):
        before = server.metric("kvasir_requests_cancelled_total")
        connection = server.connect()
        connection.sendall(post_bytes(TEXT, {"prompt": f"{stream} {text}", "max_tokens": 1, "stream": stream}))
        until(lambda: [r["phase"] for r in server.slots()["requests"]] == ["prompt"])
        connection.close()
        slots = server.idle(2)
        assert server.metric("kvasir_requests_cancelled_total") == before + 1
        assert slots["memory"]["kv"] == slots["memory"]["kv_cached"]


@pytest.mark.skipif(SANITIZER == "address", reason="UndefinedBehaviorSanitizer opens a pipe to look at an object, and takes no descriptors for no object")
def test_no_descriptors_left(serve, small_model):
    """Who is connected is served, who is not waits; nothing breaks, and afterwards all is as before."""
    server = serve(model=small_model, descriptors=64)
    health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as early:
        many = [server.connect() for _ in range(120)]
        for connection in many:
            connection.sendall(health)
        time.sleep(0.5)
        early.sendall(health)
        assert status_of(early.recv(4096)) == 200
        early.sendall(post_bytes(TEXT, {"prompt": "Hi", "max_tokens": 2}))
        assert status_of(early.recv(4096)) == 200
        many[-1].settimeout(0.3)
        with pytest.raises(TimeoutError):
            many[-1].recv(10)
        for connection in many[:80]:
            connection.close()
        many[-1].settimeout(10 * SLOWNESS)
        assert status_of(many[-1].recv(4096)) == 200, "who waited is served when others have left"
        for connection in many[80:]:
            connection.close()
    server.alive()
    assert server.post(TEXT, {"prompt": "Hi", "max_tokens": 2}).status == 200
    assert server.stop() == 0


@pytest.mark.skipif(SANITIZER != "", reason="a sanitizer keeps memory of its own")
@heavy
def test_memory_is_what_was_given(serve):
    """With the cache full, answers and embeddings under way, the process as a whole stays within --memory."""
    server = serve("--memory", "220M", "--ctx", "512")
    given = 220 << 20
    plan = server.slots()["memory"]
    assert plan["weights"] + plan["kv_budget"] < given
    failed = []

    def client(number: int):
        answer = server.post(TEXT, {"prompt": f"{number} wood" * 240, "max_tokens": 20, "ignore_eos": True})
        failed.extend([answer.body] if answer.status != 200 else [])
        if number % 4 == 0 and (vectors := server.post("/v1/embeddings", {"input": "tree house " * 150})).status != 200:
            failed.append(vectors.body)

    clients = [threading.Thread(target=client, args=[number]) for number in range(9)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert failed == []
    assert server.slots()["memory"]["kv"] > 0.8 * plan["kv_budget"], "the cache was filled"
    assert resident_bytes(server, peak=True) < given, f"{resident_bytes(server, peak=True) / 2**20:.0f} MiB"


def test_a_plan_that_cannot_work_names_the_numbers_and_what_would(kvasir, serve):
    said = kvasir.fails("serve", "-m", "smollm2", "--memory", "200M", "--ctx", "8192", "--port", "0")
    numbers = re.search(r"--memory is (\d+) MB, but weights, scratch and the program take (\d+) MB and one request of (\d+) tokens (\d+) MB; "
                        r"use --ctx (\d+) or --memory (\d+)M", said)
    assert numbers, said
    memory, fixed, tokens, request, ctx, enough = map(int, numbers.groups())
    assert memory == round((200 << 20) / 1e6) and tokens == 8192 and ctx < tokens and ctx % 64 == 0
    assert fixed < memory < fixed + request <= enough + 1
    for advice in (("--memory", "200M", "--ctx", str(ctx)), ("--memory", f"{enough}M", "--ctx", "8192")):
        serve(*advice).alive()
    too_small = kvasir.fails("serve", "-m", "smollm2", "--memory", "20M", "--ctx", "1024", "--port", "0")
    assert re.search(r"use --memory \d+M$", too_small) and "--ctx 0" not in too_small
