"""Requests that are made to cost: whatever is too large or too deep is refused soon, memory stays bounded, and others are answered
meanwhile. Sizes and shapes that are merely wrong are in test_serve_requests.py."""

import json
import threading
import time

import pytest
from program import SANITIZER, SLOWNESS
from serving import Server, post_bytes, resident_bytes, running, status_of

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
SOON = 5 * SLOWNESS  # seconds within which whatever is refused is refused


@pytest.fixture(scope="module")
def large(tmp_path_factory, small_model):
    """A server that takes large bodies, so that it is not their size which saves it."""
    with running(tmp_path_factory.mktemp("home"), "--max-body", "32M", model=small_model) as started:
        yield started


def ask(server: Server, status: int = 400, **members) -> dict:
    start = time.monotonic()
    answer = server.post(TEXT, {"prompt": "Hi", "max_tokens": 1, **members})
    assert answer.status == status, answer.body[:500]
    assert time.monotonic() - start < SOON
    return answer.json


def bounded(server: Server, before: int, megabytes: int):
    """Memory that a request took is given back, or is small; sanitizers keep what was freed."""
    grown = (resident_bytes(server) - before) / 1e6
    assert grown < megabytes or SANITIZER, f"{grown:.0f} MB more"
    server.alive()


def test_a_million_biases(large):
    before = resident_bytes(large)
    error = ask(large, logit_bias=[[i % 300, 1] for i in range(10**6)])["error"]
    assert "more than 1000000 values" in error["message"]
    assert ask(large, logit_bias=[[i % 300, 1] for i in range(300_000)])["error"]["param"].startswith("logit_bias")
    ask(large, logit_bias={str(i): 1 for i in range(10**5)})
    bounded(large, before, 100)


def test_many_answers_to_a_long_prompt(large):
    """Their prompt is computed once; what they add is bounded by the cache's memory."""
    before = resident_bytes(large)
    answer = ask(large, 200, prompt=[i % 300 for i in range(1000)], n=128, max_tokens=8, ignore_eos=True, seed=1)
    assert len(answer["choices"]) == 128 and answer["usage"]["completion_tokens"] == 128 * 8
    ask(large, prompt=[[1] * 1000] * 100, n=128)
    bounded(large, before, large.slots()["memory"]["kv_budget"] // 10**6 + 50)


@pytest.mark.parametrize("members", [
    {"regex": "a|" * 10**6}, {"regex": "(" * 60_000}, {"regex": "(a|b)*a(a|b){30}"}, {"regex": "+"},
    {"grammar": "root ::= " + " | ".join(['"a"'] * 10**6)}, {"grammar": "root ::= " + "(" * 60_000 + '"a"' + ")" * 60_000},
    {"grammar": 'root ::= "x"{0,1000000}'}, {"grammar": "%llguidance {}"},
    {"json_schema": {"enum": list(range(999_000))}}, {"json_schema": {"enum": ["x" * 1000] * 10_000}},
], ids=lambda members: f"{next(iter(members))}-{str(next(iter(members.values())))[:24]}")
def test_forms_that_are_too_large(large, members):
    assert ask(large, **members)["error"]["param"].startswith(next(iter(members)))
    large.alive()


@pytest.mark.parametrize("members", [
    {"grammar": "root ::= " + " | ".join(f'"{i}"' for i in range(80_000))}, {"json_schema": {"enum": [f"word {i}" for i in range(50_000)]}},
    {"regex": "|".join(f"{i}x" for i in range(9_000))},
], ids=lambda members: next(iter(members)))
def test_forms_that_are_nearly_too_large_cost_little_either_way(large, members):
    before = resident_bytes(large)
    start = time.monotonic()
    assert large.post(TEXT, {"prompt": "Hi", "max_tokens": 1, **members}).status in (200, 400)
    assert time.monotonic() - start < SOON
    bounded(large, before, 300)


BAD_SCHEMAS = {
    "pattern +": {"type": "string", "pattern": "+"}, "pattern ((((": {"type": "string", "pattern": "((((("},
    "pattern look-behind": {"type": "string", "pattern": "(?<=x)*"},
    "pattern catastrophic": {"type": "string", "pattern": "(a|b)*a(a|b){30}"},
    "remote ref": {"$ref": "https://evil.example/schema.json"}, "file ref": {"$ref": "file:///etc/passwd"},
    "endless object": {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    "missing ref": {"$ref": "#/$defs/none"}, "type 123": {"type": 123}, "type unknown": {"type": "strin"},
    "huge length": {"type": "string", "minLength": 10**9}, "huge count": {"type": "array", "minItems": 10**12},
}


@pytest.mark.parametrize("schema", BAD_SCHEMAS.values(), ids=BAD_SCHEMAS)
def test_bad_schemas(server, schema):
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    for members, param in (({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}},
                            "response_format.json_schema.schema"),
                           ({"json_schema": schema}, "json_schema")):
        start = time.monotonic()
        server.refuses(CHAT, {**body, **members}, param=param)
        assert time.monotonic() - start < SOON
    inside = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    for choice, strict in (("required", False), ("auto", True)):
        tool = {"type": "function", "function": {"name": "f", "strict": strict, "parameters": inside}}
        if "#" in json.dumps(schema):
            continue  # what it refers to is another schema there
        error = server.refuses(CHAT, {**body, "tools": [tool], "tool_choice": choice}, param="tools")
        assert error["message"].startswith("tools cannot be used: ")
    server.alive()


def test_schemas_that_are_only_themselves_are_refused(server):
    """Nothing could be held to them, and a client that sends one has made a mistake."""
    for schema in ({"$ref": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}):
        start = time.monotonic()
        ask = {"messages": [{"role": "user", "content": "Say true."}], "max_tokens": 40, "json_schema": schema}
        refusal = server.refuses(CHAT, ask, param="json_schema")
        assert time.monotonic() - start < SOON and "leads back to itself for the same value" in refusal["message"]


def test_health_is_answered_while_schemas_keep_all_workers_busy(serve, small_model):
    """Whoever watches the server must not take it for dead because of what somebody asks."""
    server = serve("--max-body", "32M", model=small_model)
    hostile = [{"regex": f"(a|b)*{letter}(a|b){{30}}"} for letter in "abcdefgh"]
    hostile += [{"json_schema": {"enum": [f"{i} {j}" for j in range(60_000)]}} for i in range(4)]
    until = time.monotonic() + 3
    answered = []

    def flood(members: dict):
        while time.monotonic() < until:
            answered.append(server.post(TEXT, {"prompt": "Hi", "max_tokens": 1, **members}).status)

    threads = [threading.Thread(target=flood, args=[members]) for members in hostile]
    for thread in threads:
        thread.start()
    waits = []
    while time.monotonic() < until:
        start = time.monotonic()
        assert server.get("/health").status == 200
        waits.append(time.monotonic() - start)
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert len(waits) > 3 and max(waits) < SLOWNESS, waits
    assert len(answered) >= len(hostile) and set(answered) <= {200, 400}


def test_a_template_that_refuses_a_conversation(serve, tmp_path, small_model):
    """Chat templates say by raise_exception what they cannot take: an error of the request, in the template's own words."""
    template = tmp_path / "strict.jinja"
    template.write_text("{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
                        "{{ raise_exception('System message must be at the beginning.') }}{% endif %}"
                        "{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}")
    server = serve("--chat-template", str(template), model=small_model)
    good = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    for path in (CHAT, "/apply-template", "/tokenize", "/v1/responses"):
        limit = {CHAT: {"max_tokens": 1}, "/v1/responses": {"max_output_tokens": 1}}.get(path, {})
        member = "input" if path == "/v1/responses" else "messages"
        assert server.post(path, {member: good, **limit}).status == 200
        error = server.refuses(path, {member: good[::-1], **limit})
        assert error["code"] == "chat_template_error" and "System message must be at the beginning." in error["message"]
    server.alive()


def test_a_model_without_a_template(large):
    """Nothing is put in its place: a conversation is refused, a text is continued."""
    messages = [{"role": "user", "content": "Hi"}]
    for path in (CHAT, "/apply-template"):
        error = large.refuses(path, {"messages": messages} | ({"max_tokens": 1} if path == CHAT else {}))
        assert error["code"] == "no_chat_template"
    anthropic = large.post("/v1/messages", {"messages": messages, "max_tokens": 1})
    assert anthropic.status == 400 and anthropic.json["error"]["type"] == "invalid_request_error"
    assert large.refuses("/v1/responses", {"input": "Hi"})["code"] == "no_chat_template"
    ask(large, 200)


def test_bodies_that_do_not_come_are_refused_in_the_words_of_the_api(serve, small_model):
    server = serve("--body-timeout", "0.3", "--max-body", "1K", model=small_model)
    for path, members in ((CHAT, {"error"}), ("/v1/messages", {"type", "error"})):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        slow = server.raw(head.encode() + b"Content-Length: 10\r\n\r\n{")
        large = server.raw(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + b" " * 0x1000 + b"\r\n0\r\n\r\n")
        for answer, status in ((slow, 408), (large, 413)):
            assert status_of(answer) == status and set(json.loads(answer.split(b"\r\n\r\n", 1)[1])) == members
    server.alive()


def test_half_a_request_and_a_whole_one_from_who_sends_no_more(server):
    """A client that has closed its sending side counts as gone: no answer is computed for it, and no page is kept."""
    body = {"prompt": "Once", "max_tokens": 1500, "ignore_eos": True}
    whole = post_bytes(TEXT, body)
    for data in (whole, post_bytes(TEXT, {**body, "stream": True}), whole[:-5], whole[:60]):
        answer = server.raw(data, half_close=True)
        assert answer == b"" or b"[DONE]" not in answer and status_of(answer) in (200, 400)
    slots = server.idle(timeout=5)
    assert slots["memory"]["kv"] == slots["memory"]["kv_cached"]
    server.alive()
