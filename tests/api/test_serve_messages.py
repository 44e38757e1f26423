"""/v1/messages with the real anthropic client."""

import asyncio
import json

import anthropic
import pytest
from serving import ANSWER_TIMEOUT

PATH = "/v1/messages"
SAME = {"model": "smollm2", "max_tokens": 12, "temperature": 0}
ASK = {"model": "smollm2", "max_tokens": 12, "extra_body": {"temperature": 0}}  # the client leaves sampling to models
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {"name": "get_weather", "description": "What it is like outside.",
           "input_schema": {"type": "object", "required": ["city"], "additionalProperties": False,
                            "properties": {"city": {"type": "string", "enum": ["Paris", "Oslo"]}}}}


@pytest.fixture(scope="module")
def claude(server):
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=ANSWER_TIMEOUT)


def test_a_message_is_what_a_chat_would_answer(claude, client):
    message = claude.messages.create(messages=QUESTION, **ASK)
    chat = client.chat.completions.create(messages=QUESTION, **SAME)
    assert message.type == "message" and message.role == "assistant" and message.id.startswith("msg_")
    assert [b.type for b in message.content] == ["text"] and message.content[0].text == chat.choices[0].message.content
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens == chat.usage.prompt_tokens
    assert message.usage.output_tokens == chat.usage.completion_tokens
    assert message.stop_reason == {"stop": "end_turn", "length": "max_tokens"}[chat.choices[0].finish_reason]


def test_system_and_blocks(claude, server):
    blocks = [{"role": "user", "content": [{"type": "text", "text": "What is the capital", "cache_control": {"type": "ephemeral"}},
                                           {"type": "text", "text": " of France?"}]}]
    plain = [{"role": "system", "content": "Be brief."}, *QUESTION]
    wanted = server.post("/tokenize", {"messages": plain}).json["count"]
    for system in ("Be brief.", [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]):
        assert claude.messages.count_tokens(model="smollm2", system=system, messages=blocks).input_tokens == wanted
    message = claude.messages.create(system="Be brief.", messages=blocks, metadata={"user_id": "me"}, model="smollm2", max_tokens=2,
                                     extra_body={"top_k": 5, "top_p": 0.9, "temperature": 0.5})
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens == wanted


def test_stop_sequences_are_named(claude):
    message = claude.messages.create(messages=QUESTION, stop_sequences=["zzzz", " of"], **ASK)
    assert message.stop_reason == "stop_sequence" and message.stop_sequence == " of"
    assert " of" not in message.content[0].text
    assert claude.messages.create(messages=QUESTION, stop_sequences=["zzzz"], **ASK).stop_sequence is None


def test_a_stream_opens_and_closes_each_level(claude):
    whole = claude.messages.create(messages=QUESTION, **ASK)
    events = list(claude.messages.create(messages=QUESTION, stream=True, **ASK))
    kinds = [e.type for e in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    inner = [k for k in kinds[1:-2] if k != "ping"]
    assert inner[0] == "content_block_start" and inner[-1] == "content_block_stop"
    assert set(inner[1:-1]) == {"content_block_delta"}
    assert events[0].message.usage.input_tokens > 0 and events[0].message.content == []
    assert events[-2].usage.output_tokens == whole.usage.output_tokens
    with claude.messages.stream(messages=QUESTION, **ASK) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        final = stream.get_final_message()
    assert final.stop_reason == whole.stop_reason and final.content[0].text == whole.content[0].text
    cached = claude.messages.create(messages=QUESTION, **ASK).usage
    assert final.usage.input_tokens == cached.input_tokens
    assert final.usage.cache_read_input_tokens == cached.cache_read_input_tokens


def test_pings_are_events(server):
    body = server.post(PATH, {"messages": QUESTION, "max_tokens": 1, "stream": True}).body.decode()
    assert 'event: ping\ndata: {"type":"ping"}' in body and "[DONE]" not in body
    for line in body.splitlines():
        assert not line or line.startswith(("event: ", "data: "))


def test_what_was_computed_before_is_counted_apart(claude):
    text = [{"role": "user", "content": "The following is a long story about a lake. " * 30}]
    ask = {"messages": text, "model": "smollm2", "max_tokens": 2, "extra_body": {"cache_salt": "m1", "cache_explain": True}}
    cold, warm = claude.messages.create(**ask).usage, claude.messages.create(**ask).usage
    assert cold.cache_read_input_tokens == 0 and warm.cache_read_input_tokens > 0
    assert cold.input_tokens == warm.input_tokens + warm.cache_read_input_tokens


def test_both_kinds_of_client(server):
    async def ask():
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0) as client:
            whole = await client.messages.create(messages=QUESTION, **ASK)
            async with client.messages.stream(messages=QUESTION, **ASK) as stream:
                return whole, await stream.get_final_message()

    whole, streamed = asyncio.run(ask())
    assert "Paris" in whole.content[0].text and streamed.content[0].text == whole.content[0].text


def test_tool_uses_and_results_reach_the_model(claude, server):
    messages = [{"role": "user", "content": "How is Oslo?"},
                {"role": "assistant", "content": [{"type": "text", "text": "I look."},
                                                  {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Oslo"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": True,
                                              "content": [{"type": "text", "text": "snow"}]},
                                             {"type": "text", "text": "And now?"}]}]
    same = [messages[0],
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "Error: snow"}, {"role": "user", "content": "And now?"}]
    tools = [{"type": "function", "function": {"name": "get_weather", "description": WEATHER["description"],
                                               "parameters": WEATHER["input_schema"]}}]
    wanted = server.post("/tokenize", {"messages": same, "tools": tools}).json["count"]
    assert claude.messages.count_tokens(model="smollm2", messages=messages, tools=[WEATHER]).input_tokens == wanted
    message = claude.messages.create(messages=messages, tools=[WEATHER], tool_choice={"type": "auto"}, **ASK)
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens == wanted


@pytest.mark.parametrize(("members", "named"), [
    ({"max_tokens": None}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
    ({"messages": [*QUESTION, {"role": "assistant", "content": "It is"}]}, "messages[1].role"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]},
     "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}]},
     "messages[0].content[0].tool_use_id"),
    ({"system": [{"type": "image"}]}, "system[0].type"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
    ({"tools": [WEATHER], "tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "f"}}, "tool_choice"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"metadata": {"x": 1}}, "metadata.x"),
    ({"n": 2}, "n"),
    ({"colour": 1}, "colour"),
])
def test_errors_have_anthropics_shape(server, members, named):
    body = {"messages": QUESTION, "max_tokens": 1, **members}
    answer = server.post(PATH, {k: v for k, v in body.items() if v is not None})
    assert answer.status == 400, answer.body
    assert set(answer.json) == {"type", "error"} and answer.json["type"] == "error"
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert answer.json["error"]["message"].startswith(named), answer.json


def test_errors_have_the_clients_own_types(claude, server):
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(messages=QUESTION, model="smollm2", max_tokens=1, extra_body={"temperature": -1})
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.messages.create(messages=QUESTION, model="another", max_tokens=1)
    assert unknown.value.body["error"]["type"] == "not_found_error"
    assert server.request("POST", PATH, b"{").json["error"]["type"] == "invalid_request_error"
    assert server.get(PATH).json["type"] == "error"
    bad = server.post(PATH, {"messages": QUESTION, "max_tokens": 1}, **{"anthropic-version": "latest"})
    assert bad.status == 400 and "anthropic-version" in bad.json["error"]["message"]


def test_the_key_is_anthropics_header(serve, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("me secret-of-mine\n")
    server = serve("--ctx", "512", "--api-key-file", str(keys))
    assert server.post(PATH, {"messages": QUESTION, "max_tokens": 1}, **{"x-api-key": "secret-of-mine"}).status == 200
    refused = server.post(PATH, {"messages": QUESTION, "max_tokens": 1}, **{"x-api-key": "secret-of-yours"})
    assert refused.status == 401 and refused.json["error"]["type"] == "authentication_error"
    client = anthropic.Anthropic(base_url=server.url, api_key="secret-of-mine", max_retries=0)
    assert client.messages.create(messages=QUESTION, **ASK).content


@pytest.mark.parametrize("choice", [{"type": "any", "disable_parallel_tool_use": True},
                                    {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}], ids=["any", "tool"])
def test_a_required_tool_use_fits_the_schema(claude, choice):
    ask = {**ASK, "max_tokens": 60, "messages": QUESTION, "tools": [WEATHER], "tool_choice": choice}
    message = claude.messages.create(**ask)
    assert message.stop_reason == "tool_use" and [b.type for b in message.content] == ["tool_use"]
    use = message.content[0]
    assert use.id.startswith("toolu_") and use.name == "get_weather" and set(use.input) == {"city"}
    assert use.input["city"] in ("Paris", "Oslo")
    events = list(claude.messages.create(stream=True, **ask))
    parts = [e.delta.partial_json for e in events if e.type == "content_block_delta"]
    assert json.loads("".join(parts)) == use.input
    with claude.messages.stream(**ask) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == use.input and final.stop_reason == "tool_use"
    back = [*QUESTION, {"role": "assistant", "content": [use.model_dump(include={"type", "id", "name", "input"})]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]}]
    assert claude.messages.create(messages=back, tools=[WEATHER], **ASK).usage.output_tokens > 0


def test_a_tool_use_that_was_cut_off_is_text(claude):
    message = claude.messages.create(messages=QUESTION, tools=[WEATHER], tool_choice={"type": "any"}, **{**ASK, "max_tokens": 22})
    assert message.stop_reason == "max_tokens" and all(b.type == "text" for b in message.content)
