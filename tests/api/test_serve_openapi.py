"""/openapi.json says what the server does: every route, every member, every range, and no more."""

import json

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


def test_every_reference_leads_somewhere():
    text = json.dumps(SPEC)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in SPEC["components"]["schemas"]


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
