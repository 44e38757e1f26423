"""Tools: what the model is told of them, and what the real openai client gets of its calls.

The model of these tests is too small to call functions of its own accord. So calls are required, which holds it to the
form; whether every family's form is read rightly is tested on texts, in src/server/tools.
"""

import json

import openai
import pytest
from program import MODELS
from serving import Server

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "What it is like outside.",
    "parameters": {"type": "object", "required": ["city", "days"], "additionalProperties": False,
                   "properties": {"city": {"type": "string", "enum": ["Paris", "Oslo"]}, "days": {"type": "integer"}}}}}
NOW = {"type": "function", "function": {"name": "now"}}
QUESTION = [{"role": "user", "content": "What is the weather in Paris today?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo", "days": 1}'}}
HISTORY = [*QUESTION, {"role": "assistant", "content": None, "tool_calls": [CALL]},
           {"role": "tool", "tool_call_id": "call_1", "content": "snow and wind"}]
GREEDY = {"model": "smollm2", "temperature": 0, "max_tokens": 60}


def prompt(server, **members) -> str:
    answer = server.post("/apply-template", {"messages": QUESTION, **members})
    assert answer.status == 200, answer.body
    return answer.json["prompt"]


def test_the_model_is_told_what_it_may_call(server):
    text = prompt(server, tools=[WEATHER, NOW])
    assert "get_weather" in text and "What it is like outside." in text and '"now"' in text and "<tool_call>" in text
    assert "get_weather" not in prompt(server, tools=[WEATHER], tool_choice="none")
    ask = {"messages": QUESTION, "tools": [WEATHER, NOW]}
    tokens = server.post("/tokenize", {"content": text}).json["tokens"]
    assert server.post("/tokenize", ask).json["tokens"] == tokens
    assert server.post(CHAT, {**ask, "max_tokens": 1}).json["usage"]["prompt_tokens"] == len(tokens)


def test_earlier_calls_and_results_reach_the_model(server):
    text = prompt(server, messages=HISTORY, tools=[WEATHER])
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city":"Oslo","days":1}}\n</tool_call>' in text
    assert "<tool_response>\nsnow and wind\n</tool_response>" in text
    assert server.post(CHAT, {"messages": HISTORY, "tools": [WEATHER], "max_tokens": 4}).status == 200
    assert server.post(CHAT, {"messages": HISTORY, "max_tokens": 4}).status == 200


def test_an_answer_without_a_call_is_text(client):
    free = client.chat.completions.create(messages=QUESTION, tools=[WEATHER], **GREEDY)
    assert free.choices[0].message.content and free.choices[0].message.tool_calls is None
    assert free.choices[0].finish_reason in ("stop", "length")
    chunks = list(client.chat.completions.create(messages=QUESTION, tools=[WEATHER], stream=True, **GREEDY))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == free.choices[0].message.content
    with_scores = client.chat.completions.create(messages=QUESTION, tools=[WEATHER], logprobs=True, stream=True, **GREEDY)
    scores = [t for c in with_scores if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert len(scores) == free.usage.completion_tokens


@pytest.mark.parametrize(("members", "param"), [
    ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "x" * 65}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "f", "colour": 1}}]}, "tools[0].function.colour"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
     "tools[0].function.parameters.type"),
    ({"tools": [NOW, NOW]}, "tools[1].name"),
    ({"tools": [{**NOW, "function": {"name": f"f{i}"}} for i in range(129)]}, "tools"),
    ({"tools": {}}, "tools"),
    ({"tools": [NOW], "tool_choice": "always"}, "tool_choice"),
    ({"tools": [NOW], "tool_choice": {"type": "function", "function": {"name": "then"}}}, "tool_choice"),
    ({"tools": [NOW], "tool_choice": {"type": "function"}}, "tool_choice.function"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [NOW], "parallel_tool_calls": "yes"}, "parallel_tool_calls"),
])
def test_what_cannot_be_is_refused(server, members, param):
    server.refuses(CHAT, {"messages": QUESTION, "max_tokens": 1, **members}, param=param)


def test_responses_take_calls_and_their_outputs(server):
    flat = {"type": "function", **WEATHER["function"]}
    items = [{"role": "user", "content": "How is Oslo?"},
             {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": '{"city": "Oslo", "days": 1}'},
             {"type": "function_call_output", "call_id": "c1", "output": "snow and wind"}]
    answer = server.post(RESPONSES, {"input": items, "tools": [flat], "max_output_tokens": 4})
    assert answer.status == 200, answer.body
    assert answer.json["tools"][0]["name"] == "get_weather" and answer.json["tool_choice"] == "auto"
    chat = server.post(CHAT, {"messages": [{"role": "user", "content": "How is Oslo?"}, *HISTORY[1:]], "tools": [WEATHER],
                              "max_tokens": 4}).json
    assert answer.json["usage"]["input_tokens"] == chat["usage"]["prompt_tokens"]
    server.refuses(RESPONSES, {"input": items, "tools": [WEATHER]}, param="tools[0].name")
    server.refuses(RESPONSES, {"input": items, "tools": [{"type": "web_search"}]}, param="tools[0].type")
    server.refuses(RESPONSES, {"input": [{"type": "function_call_output", "output": "x"}]}, param="input[0].call_id")


def test_a_template_of_ones_own(serve, data):
    server = serve("--ctx", "2048", "--chat-template", str(data / "templates/Qwen-Qwen2.5-7B-Instruct.jinja"))
    text = prompt(server, messages=HISTORY, tools=[WEATHER])
    assert "# Tools\n\nYou may call one or more functions to assist with the user query." in text
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 1}}\n</tool_call>' in text
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    assert client.chat.completions.create(messages=HISTORY, tools=[WEATHER], **GREEDY).choices[0].message.content is not None


def test_a_template_that_cannot_be_read(kvasir, smollm2, tmp_path):
    broken = tmp_path / "broken.jinja"
    broken.write_text("{% if %}")
    assert "broken.jinja" in kvasir("serve", "-m", smollm2, "--port", "0", "--chat-template", str(broken)).stderr.decode()
    missing = kvasir("serve", "-m", smollm2, "--port", "0", "--chat-template", str(tmp_path / "none"))
    assert missing.returncode == 1 and "cannot read the chat template" in missing.stderr.decode()


def check_weather(call):
    assert call.type == "function" and call.id.startswith("call_") and call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "days"} and arguments["city"] in ("Paris", "Oslo") and isinstance(arguments["days"], int)
    return arguments


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}], ids=["required", "named"])
def test_a_required_call_fits_the_schema(client, choice):
    tools = [WEATHER] if choice == "required" else [NOW, WEATHER]
    ask = {"messages": QUESTION, "tools": tools, "tool_choice": choice, "parallel_tool_calls": False, **GREEDY}
    answer = client.chat.completions.create(**ask)
    message = answer.choices[0].message
    assert message.content is None and len(message.tool_calls) == 1 and answer.choices[0].finish_reason == "tool_calls"
    arguments = check_weather(message.tool_calls[0])
    parts, content, ids = [], "", []
    for chunk in client.chat.completions.create(stream=True, **ask):
        content += chunk.choices[0].delta.content or ""
        for call in chunk.choices[0].delta.tool_calls or []:
            assert call.index == 0
            ids += [call.id] if call.id else []
            parts.append((call.function.name, call.function.arguments))
        finish = chunk.choices[0].finish_reason or None
    assert content == "" and finish == "tool_calls" and len(ids) == 1
    assert parts[0] == ("get_weather", "") and all(name is None for name, _ in parts[1:]) and len(parts) > 2
    assert json.loads("".join(text for _, text in parts)) == arguments


def test_the_clients_own_stream_helper_understands_it(client):
    with client.chat.completions.stream(messages=QUESTION, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False,
                                        **GREEDY) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.delta" in kinds and "tool_calls.function.arguments.done" in kinds
    check_weather(final.choices[0].message.tool_calls[0])


def test_each_choice_has_calls_of_its_own(client):
    ask = {**GREEDY, "temperature": 1.5, "seed": 3, "n": 3, "messages": QUESTION, "tools": [WEATHER], "tool_choice": "required",
           "parallel_tool_calls": False, "logprobs": True}
    whole = client.chat.completions.create(**ask)
    wanted = [[call.function.arguments for call in choice.message.tool_calls] for choice in whole.choices]
    assert len(wanted) == 3 and all(len(choice) == 1 for choice in wanted)
    assert len({call.id for choice in whole.choices for call in choice.message.tool_calls}) == 3
    found, scores = [[""] for _ in range(3)], 0
    for chunk in client.chat.completions.create(stream=True, **ask):
        choice = chunk.choices[0]
        scores += len(choice.logprobs.content) if choice.logprobs else 0
        for call in choice.delta.tool_calls or []:
            found[choice.index][call.index] += call.function.arguments or ""
    assert found == wanted and scores == whole.usage.completion_tokens


def test_a_call_that_was_cut_off_says_so(client):
    answer = client.chat.completions.create(messages=QUESTION, tools=[WEATHER], tool_choice="required",
                                            **{**GREEDY, "max_tokens": 24})
    assert answer.choices[0].finish_reason == "length"


def test_strict_functions_hold_a_free_answer_to_the_form(client):
    strict = {"type": "function", "function": {**WEATHER["function"], "strict": True}}
    free = client.chat.completions.create(messages=QUESTION, tools=[strict], **GREEDY)
    assert free.choices[0].message.content or free.choices[0].message.tool_calls
    for call in free.choices[0].message.tool_calls or []:
        check_weather(call)


def test_schemas_that_cannot_be_held_to_are_refused(server):
    bad = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string", "format": "no-such-format"}}}}
    tool = {"type": "function", "function": bad}
    error = server.refuses(CHAT, {"messages": QUESTION, "tools": [tool], "tool_choice": "required"}, param="tools")
    assert "'f'" in error["message"] and "/properties/a" in error["message"]
    assert server.post(CHAT, {"messages": QUESTION, "tools": [tool], "max_tokens": 1}).status == 200
    server.refuses(CHAT, {"messages": QUESTION, "tools": [WEATHER], "tool_choice": "required", "ignore_eos": True},
                   param="ignore_eos")


def test_a_response_with_a_required_call(client):
    flat = {"type": "function", "strict": True, **WEATHER["function"]}
    ask = {"model": "smollm2", "input": QUESTION[0]["content"], "tools": [flat], "temperature": 0, "max_output_tokens": 60,
           "tool_choice": {"type": "function", "name": "get_weather"}, "parallel_tool_calls": False}
    whole = client.responses.create(**ask)
    item = whole.output[0]
    assert [i.type for i in whole.output] == ["function_call"] and item.status == "completed" and whole.status == "completed"
    assert item.name == "get_weather" and item.call_id.startswith("call_")
    events = list(client.responses.create(stream=True, **ask))
    kinds = [e.type.removeprefix("response.") for e in events]
    assert kinds[:3] == ["created", "in_progress", "output_item.added"]
    assert set(kinds[3:-3]) == {"function_call_arguments.delta"}
    assert kinds[-3:] == ["function_call_arguments.done", "output_item.done", "completed"]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert "".join(e.delta for e in events if e.type.endswith("delta")) == item.arguments == events[-3].arguments
    assert events[-1].response.output[0].arguments == item.arguments
    # And the way back.
    history = [{"role": "user", "content": ask["input"]}, item.model_dump(),
               {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}]
    assert client.responses.create(model="smollm2", input=history, tools=[flat], max_output_tokens=4).usage.input_tokens > 0


@pytest.mark.parametrize("name", ["Qwen-Qwen2.5-7B-Instruct", "meta-llama-Llama-3.2-3B-Instruct", "Qwen3-Coder", "GLM-4.6", "LFM2-8B-A1B",
                                  "mistralai-Mistral-Nemo-Instruct-2407", "deepseek-ai-DeepSeek-V3.1", "MiniMax-M2"])
def test_every_kind_of_format_can_be_required(serve, data, name):
    # MiniMax's prompt opens thoughts, which this model would never end: as text they are not free.
    server = serve("--ctx", "2048", "--thoughts", "text", "--chat-template", str(data / f"templates/{name}.jinja"))
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    answer = client.chat.completions.create(messages=QUESTION, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False,
                                            **{**GREEDY, "max_tokens": 200})
    assert answer.choices[0].finish_reason == "tool_calls" and not answer.choices[0].message.content
    check_weather(answer.choices[0].message.tool_calls[0])


def test_markers_may_be_control_tokens(smollm2, data, tmp_path):
    """Granite's marker is a control token, which has no text. This model gets one of that name, and Granite's template."""
    model = (MODELS / f"{smollm2}.gguf").read_bytes()
    assert model.count(b"<issue_start>") == 1
    (tmp_path / "marked.gguf").write_bytes(model.replace(b"<issue_start>", b"<|tool_call|>"))
    server = Server(tmp_path, "--ctx", "2048", "--model-name", "smollm2", "--chat-template",
                    str(data / "templates/ibm-granite-granite-3.3-2B-Instruct.jinja"), model=str(tmp_path / "marked.gguf"))
    try:
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
        ask = {"messages": QUESTION, "tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False, "logprobs": True,
               **GREEDY}
        answer = client.chat.completions.create(**ask)
        assert answer.choices[0].logprobs.content[0].token == "<|tool_call|>", "one token"
        assert answer.choices[0].message.content is None
        check_weather(answer.choices[0].message.tool_calls[0])
        text = "".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(stream=True, **ask))
        assert text == "", "no marker in the text of a stream"
        # Without tools the token has no text, as any control token.
        biased = {**GREEDY, "max_tokens": 1, "logit_bias": {"8": 100}, "messages": QUESTION}
        assert client.chat.completions.create(**biased).choices[0].message.content == ""
        assert client.chat.completions.create(tools=[WEATHER], **biased).choices[0].message.content == "<|tool_call|>"
    finally:
        server.stop()
