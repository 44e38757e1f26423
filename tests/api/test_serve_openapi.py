"""/openapi.json says what the server does: every route, every member, every range, and no more."""

import json
import re

import jsonschema
import pytest
from program import ROOT

SPEC = json.loads((ROOT / "src/server/openapi.json").read_text())
MESSAGES = [{"role": "user", "content": "Hi"}]
BASE = {"/v1/chat/completions": {"messages": MESSAGES, "max_tokens": 1}, "/v1/completions": {"prompt": "Hi", "max_tokens": 1},
        "/v1/responses": {"input": "Hi", "max_output_tokens": 1},
        "/v1/messages": {"messages": MESSAGES, "max_tokens": 1}, "/v1/messages/count_tokens": {"messages": MESSAGES},
        "/v1/embeddings": {"input": "Hi"},
        "/tokenize": {"prompt": "Hi"}, "/detokenize": {"tokens": [1]}, "/apply-template": {"messages": MESSAGES}}
# What else a member needs; None takes a member of BASE away.
NEEDS = {"top_logprobs": {"logprobs": True}, "best_of": {"n": 1}, "max_completion_tokens": {"max_tokens": None},
         "stream_options": {"stream": True}, "content": {"prompt": None}}
MESSAGES_INSTEAD = {"messages": MESSAGES, "prompt": None}
OF_MESSAGES = ("messages", "add_generation_prompt", "chat_template_kwargs", "reasoning_effort", "tools", "tool_choice",
               "parallel_tool_calls")
NOT_OF_THIS_TEMPLATE = ("reasoning_effort",)


def resolve(schema: dict) -> dict:
    return SPEC["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def body_of(path: str) -> dict:
    return resolve(SPEC["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"])


def members():
    return [(path, name, schema) for path in BASE for name, schema in body_of(path)["properties"].items()]


def example(name: str, schema: dict):
    """A value that the schema allows."""
    schema = resolve(schema)
    if "default" in schema and schema["default"] is not None:
        return schema["default"]
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(name, schema["anyOf"][0])
    kind = schema["type"]
    if kind == "string":
        return "smollm2" if name == "model" else "Hi"[: schema.get("maxLength", 2)]
    if kind == "array":
        if name == "messages":
            return MESSAGES
        return [] if schema.get("maxItems") == 0 or schema["items"].get("type") == "object" else [example(name, schema["items"])]
    if kind == "null":
        return None
    if kind == "object":
        return {member: example(member, schema["properties"][member]) for member in schema.get("required", [])}
    return {"integer": 1, "number": 0.5, "boolean": False}[kind]


def test_the_description_is_what_is_served(server):
    answer = server.get("/openapi.json")
    assert answer.json == SPEC and answer.headers["content-type"] == "application/json"


def test_every_route_is_described(server):
    source = (ROOT / "src/server/routes.cc").read_text()
    routes = {(line.split('"')[1].lower(), line.split('"')[3]) for line in source.splitlines() if line.startswith('      {"')}
    assert routes == {(method, path) for path, item in SPEC["paths"].items() for method in item}
    for method, path in routes:
        answer = server.get(path.replace("{model}", "smollm2")) if method == "get" else server.post(path, BASE[path])
        assert answer.status == 200, path


def events_of(body: bytes) -> list[dict]:
    return [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: {")]


CITY = {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]}
CALLED = {"/v1/chat/completions": {"tools": [{"type": "function", "function": {"name": "f", "parameters": CITY}}], "tool_choice": "required"},
          "/v1/responses": {"tools": [{"type": "function", "name": "f", "parameters": CITY}], "tool_choice": "required"},
          "/v1/messages": {"tools": [{"name": "f", "input_schema": CITY}], "tool_choice": {"type": "any"}}, "/v1/completions": {"logprobs": 2}}


@pytest.mark.parametrize("path", CALLED)
def test_every_event_of_a_stream_is_described(server, path):
    schema = SPEC["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": SPEC["components"]})
    limit = "max_output_tokens" if path == "/v1/responses" else "max_tokens"
    kinds = set()
    for members in ({limit: 12}, {limit: 60, "cache_explain": True, "temperature": 0, **CALLED[path]}):
        body = server.post(path, {**BASE[path], "stream": True, **members}).body
        events = events_of(body)
        assert len(events) > 2
        for event in events:
            validator.validate(event)
            assert set(event) <= set(resolve(schema)["properties"]), event
            kinds.add(event.get("type"))
    if "type" in resolve(schema)["properties"]:
        described = set(resolve(schema)["properties"]["type"]["enum"])
        assert kinds <= described and len(described - kinds) <= 2, "but for failures, and one way to end"


def test_every_parameter_is_described():
    named = SPEC["components"]["parameters"]
    used = {one["$ref"].rsplit("/", 1)[1] for item in SPEC["paths"].values() for operation in item.values() for one in operation["parameters"]
            if "$ref" in one}
    assert all("RequestId" in json.dumps(operation["parameters"]) for item in SPEC["paths"].values() for operation in item.values())
    assert used == set(named)


def test_headers_mean_what_is_described(server):
    version = SPEC["components"]["parameters"]["AnthropicVersion"]["schema"]
    body = BASE["/v1/messages"]
    for value in (*version["examples"], "2023-06-01x", "latest", "20230601"):
        answer = server.post("/v1/messages", body, **{"anthropic-version": value})
        assert answer.status == (200 if re.search(version["pattern"], value) else 400), value
        assert answer.headers["x-request-id"]
    etag = server.get("/").headers["etag"]
    assert server.get("/", **{"if-none-match": etag}).status == 304
    answer = server.request("DELETE", "/tokenize")
    assert answer.status == 405 and set(answer.error) >= {"message", "type"} and "POST" in answer.headers["allow"]
    assert server.raw(b"GET /health HTTP/3.0\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 505 ")


def test_every_reference_leads_somewhere():
    text = json.dumps(SPEC)
    for group in ("schemas", "parameters"):
        for name in {part.split('"')[0] for part in text.split(f"#/components/{group}/")[1:]}:
            assert name in SPEC["components"][group]


@pytest.mark.parametrize(("path", "name", "schema"), members(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_member_is_taken_and_bounded(server, path, name, schema):
    needs = MESSAGES_INSTEAD if path == "/tokenize" and name in OF_MESSAGES else NEEDS.get(name, {})

    def ask(value):
        body = {**BASE[path], **needs, name: value}
        return server.post(path, {key: item for key, item in body.items() if item is not None})

    good = ask(example(name, schema))
    assert good.status == (400 if name in NOT_OF_THIS_TEMPLATE else 200), good.body
    schema = resolve(schema)
    bad = {"integer": [1.5, "x"], "number": ["x", True], "boolean": [1, "x"], "string": [1, []], "array": [1, {}],
           "object": [1, []], "null": ["x", 1]}.get(schema.get("type"), [{"x": "y"}, True])
    for bound, step in (("minimum", -1), ("maximum", 1)):
        if bound in schema:
            bad.append(schema[bound] + step)
    if "maxLength" in schema:
        bad.append("x" * (schema["maxLength"] + 1))
    if "maxItems" in schema:
        bad.append([example(name, schema["items"]) if schema["items"] else 1] * (schema["maxItems"] + 1))
    for value in bad:
        answer = ask(value)
        expected = 404 if name == "model" and isinstance(value, str) else 400
        assert answer.status == expected, (value, answer.body)
        assert_names(answer, path, name)


def assert_names(answer, path: str, name: str):
    """Anthropic's errors have nothing but a message, which begins with the member."""
    if path.startswith("/v1/messages"):
        message = answer.json["error"]["message"]
        assert message.startswith(name) or "context holds" in message or "no model" in message, message
    elif answer.error["code"] != "context_length_exceeded":
        assert answer.error["param"].startswith(name), answer.error


def test_members_that_are_not_described_are_refused(server):
    for path, body in BASE.items():
        answer = server.post(path, {**body, "no_such_member": 1})
        assert answer.status == 400
        assert_names(answer, path, "no_such_member")
