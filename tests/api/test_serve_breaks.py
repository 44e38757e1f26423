"""Streams that end otherwise than by their last token: errors on the way, a server that stops, clients that do not read; and
what keeps a quiet stream open."""

import json
import signal
import socket
import time

import anthropic
import openai
import pytest
from program import SANITIZER, SLOWNESS
from serving import ANSWER_TIMEOUT, events_of, post_bytes, read_all, resident_bytes, status_of

CHAT, TEXT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
QUESTION = [{"role": "user", "content": "Count from one to a thousand."}]
LONG = {"messages": QUESTION, "max_tokens": 1500, "ignore_eos": True, "temperature": 0}
# A form that is forced for its first letters, and behind them can be read in 600 ways, which is more than are followed: what
# only the answer's course can show.
FORCED = "The quick brown fox jumps over the lazy dog and runs away into the dark wood. "
TANGLED = (f'root ::= "{FORCED}" (' + " | ".join(f'r{i} "{i}"' for i in range(600)) + ")\n"
           + "\n".join(f'r{i} ::= "a" "{i}"? "b"' for i in range(600)))


def broken(path: str) -> dict:
    """A request of that route whose answer fails in its middle."""
    limit = "max_output_tokens" if path == RESPONSES else "max_tokens"
    prompt = {TEXT: {"prompt": "A fox."}, RESPONSES: {"input": "A fox."}}.get(path, {"messages": QUESTION})
    return {**prompt, limit: 200, "grammar": TANGLED, "temperature": 0}


def named_events(body: bytes) -> list[tuple[str, dict]]:
    found, name = [], ""
    for line in body.decode().split("\n"):
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: {"):
            found.append((name, json.loads(line[6:])))
            name = ""
    return found


@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_an_error_in_mid_stream_is_the_last_event(server, path):
    answer = server.post(path, {**broken(path), "stream": True, "stream_options": {"include_usage": True}})
    assert answer.status == 200
    events = events_of(answer.body)
    text = "".join(e["choices"][0].get("text") or e["choices"][0].get("delta", {}).get("content") or "" for e in events[:-1])
    assert text.startswith("The quick brown fox") and FORCED.startswith(text)
    assert set(events[-1]) == {"error"} and set(events[-1]["error"]) >= {"message", "type", "param", "code"}
    assert "too ambiguous" in events[-1]["error"]["message"] and events[-1]["error"]["type"] == "invalid_request_error"
    assert all(e["choices"][0]["finish_reason"] is None for e in events[:-1])
    assert b"[DONE]" not in answer.body
    assert "too ambiguous" in server.refuses(path, broken(path))["message"], "a whole answer is refused"
    server.idle()


def test_a_response_that_breaks_has_failed(server):
    events = named_events(server.post(RESPONSES, {**broken(RESPONSES), "stream": True}).body)
    assert [name for name, _ in events] == [event["type"] for _, event in events]
    assert [event["sequence_number"] for _, event in events] == list(range(len(events)))
    kinds = [name for name, _ in events]
    assert "response.output_text.delta" in kinds and kinds[-1] == "response.failed"
    assert not {"response.completed", "response.incomplete", "response.output_item.done"} & set(kinds)
    last = events[-1][1]["response"]
    assert last["status"] == "failed" and "too ambiguous" in last["error"]["message"]


def test_a_message_that_breaks_ends_with_an_error_event(server):
    events = named_events(server.post(MESSAGES, {**broken(MESSAGES), "stream": True}).body)
    kinds = [name for name, _ in events]
    assert kinds[0] == "message_start" and "content_block_delta" in kinds and kinds[-1] == "error"
    assert not {"message_delta", "message_stop", "content_block_stop"} & set(kinds)
    assert events[-1][1] == {"type": "error", "error": {"type": "invalid_request_error",
                                                        "message": events[-1][1]["error"]["message"]}}
    assert "too ambiguous" in events[-1][1]["error"]["message"]


def test_the_clients_raise_it(server, client):
    ask = {"model": "smollm2", "messages": QUESTION, "max_tokens": 200, "extra_body": {"grammar": TANGLED, "temperature": 0}}
    seen = ""
    with pytest.raises(openai.APIError, match="too ambiguous"):
        for chunk in client.chat.completions.create(stream=True, **ask):
            seen += chunk.choices[0].delta.content or ""
    assert seen.startswith("The quick")
    claude = anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=ANSWER_TIMEOUT)
    with pytest.raises(anthropic.APIError, match="too ambiguous"):
        list(claude.messages.create(stream=True, **ask))


def test_a_deadline_is_no_error(server):
    """The text until then is the answer, in streams too."""
    body = {**LONG, "stream": True, "timeout_ms": 500}
    assert events_of(server.post(CHAT, body).body)[-2]["choices"][0]["finish_reason"] == "timeout"
    assert named_events(server.post(MESSAGES, body).body)[-2][1]["delta"]["stop_reason"] == "timeout"
    assert events_of(server.post(CHAT, body).body)[-1] == "[DONE]"
    body = {"input": "Count.", "max_output_tokens": 1500, "ignore_eos": True, "stream": True, "timeout_ms": 500}
    name, last = named_events(server.post(RESPONSES, body).body)[-1]
    assert name == "response.incomplete" and last["response"]["incomplete_details"] == {"reason": "timeout"}


def begun(server, path: str, body: dict) -> socket.socket:
    connection = server.connect()
    connection.sendall(post_bytes(path, body))
    return connection


def stop_while_answering(server, *signals: int) -> dict[str, bytes]:
    """What four clients get, who are being answered (one of them not as a stream), when the server stops at once."""
    responses = {"input": "Count.", "max_output_tokens": 1500, "ignore_eos": True, "stream": True}
    asked = {"chat": (CHAT, {**LONG, "stream": True}), "responses": (RESPONSES, responses),
             "messages": (MESSAGES, {**LONG, "stream": True}), "whole": (CHAT, LONG)}
    open_ones = {name: begun(server, *request) for name, request in asked.items()}
    end = time.monotonic() + 30 * SLOWNESS
    while sum(r["phase"] == "generating" for r in server.slots()["requests"]) < len(asked):
        assert time.monotonic() < end
    start = time.monotonic()
    for number in signals:
        server.process.send_signal(number)
        time.sleep(0.3)
    got = {name: read_all(connection) for name, connection in open_ones.items()}
    assert server.process.wait(20 * SLOWNESS) == 0
    assert time.monotonic() - start < 10 * SLOWNESS
    return got


def assert_told(got: dict[str, bytes]):
    for name in ("chat", "responses", "messages"):
        assert got[name].endswith(b"\r\n0\r\n\r\n"), "the stream has an end, and is no cut connection"
        assert b"the server stopped before this answer was complete" in got[name] and b"[DONE]" not in got[name]
    assert events_of(got["chat"])[-1]["error"]["code"] == "cancelled"
    assert named_events(got["responses"])[-1][0] == "response.failed"
    assert named_events(got["messages"])[-1][0] == "error"
    assert status_of(got["whole"]) == 503 and b"retry-after: " in got["whole"]


def test_a_second_signal_ends_streams_with_an_error(serve):
    assert_told(stop_while_answering(serve("--ctx", "2048"), signal.SIGTERM, signal.SIGTERM))


def test_so_does_the_end_of_the_time_to_drain(serve):
    assert_told(stop_while_answering(serve("--ctx", "2048", "--drain-timeout", "0.4"), signal.SIGTERM))


def test_a_client_that_does_not_read_cannot_delay_the_end(serve, small_model):
    server = serve("--drain-timeout", "0.2", model=small_model)
    with deaf(server, {**EVERYTHING, "n": 8}):
        wait_until_stuck(server)
        start = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - start < 8 * SLOWNESS


# Token by token 20 alternatives: about 1.5 kB of JSON for each, more than the buffers of a connection take.
EVERYTHING = {"prompt": "Count", "max_tokens": 900, "ignore_eos": True, "temperature": 1.0, "seed": 1, "logprobs": 20, "stream": True}


def deaf(server, body: dict) -> socket.socket:
    """A client that sends a request and reads nothing, and whose system takes little for it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(post_bytes(TEXT, body))
    return connection


def wait_until_stuck(server):
    """Until all is generated and only the client is waited for."""
    end = time.monotonic() + 60 * SLOWNESS
    while server.metric("kvasir_generated_tokens_total") == 0 or server.slots()["running"] > 0:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_a_client_does_not_read_is_bounded_and_given_up(serve, small_model):
    """Its answer goes on to the end that max_tokens sets, is kept for it in a compact form, and is dropped when the client has
    taken nothing for --write-timeout."""
    server = serve("--write-timeout", "1.5", "--max-running", "64", model=small_model)
    server.post(TEXT, {**EVERYTHING, "n": 16, "stream": False, "max_tokens": 300})  # memory that the work itself takes
    before, left = resident_bytes(server), server.metric("kvasir_clients_left_total")
    generated = server.metric("kvasir_generated_tokens_total")
    clients = [deaf(server, {**EVERYTHING, "n": 8}) for _ in range(2)]
    end, most = time.monotonic() + 60 * SLOWNESS, 0
    while server.metric("kvasir_clients_left_total") < left + 2:
        most = max(most, resident_bytes(server))
        assert time.monotonic() < end
        time.sleep(0.05)
    assert server.metric("kvasir_generated_tokens_total") <= generated + 2 * 8 * 900
    if not SANITIZER:  # they keep what was freed
        assert most - before < 100e6, f"{(most - before) / 1e6:.0f} MB for two clients that do not read"
    server.idle()
    server.alive()
    for client in clients:
        assert b"[DONE]" not in read_all(client)
        client.close()


def test_a_quiet_stream_shows_signs_of_life(serve):
    """Comments that clients pass over, and Anthropic's own event, at the interval that was set."""
    server = serve("--ctx", "2048", "--max-running", "1", "--ping-interval", "0.2")
    with begun(server, CHAT, {**LONG, "stream": True}):
        while server.slots()["running"] == 0:
            pass
        quiet = {path: begun(server, path, {"messages": QUESTION, "max_tokens": 2, "stream": True}) for path in (CHAT, MESSAGES)}
        time.sleep(1.1 * SLOWNESS)
    chat, message = (read_until_done(connection) for connection in quiet.values())
    assert 3 <= chat.count(b"\n: the answer is on its way\n\n") < 20 * SLOWNESS
    assert events_of(chat)[-1] == "[DONE]" and all(isinstance(e, dict) for e in events_of(chat)[:-1])
    assert 4 <= message.count(b'event: ping\ndata: {"type":"ping"}\n\n') < 20 * SLOWNESS


def read_until_done(connection: socket.socket) -> bytes:
    data = b""
    with connection:
        while not data.endswith(b"\r\n0\r\n\r\n"):
            piece = connection.recv(65536)
            assert piece, data
            data += piece
    return data
