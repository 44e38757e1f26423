"""Two calls in one answer, and text before them, in the words of each API.

The model of these tests would not make two calls by itself. So its answer is one that a grammar spells out; it reads like any
other answer to what finds the calls in it.
"""

import json

import anthropic
import pytest
from serving import ANSWER_TIMEOUT

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTIONS = [{"name": "get_weather", "description": "What it is like outside.", "parameters": CITY}, {"name": "now", "parameters": {}}]
CALLS = [("get_weather", {"city": "Oslo"}), ("now", {}), ("get_weather", {"city": "Paris"})]
SAID = "Let me see."
ANSWER = f"{SAID}\n" + "\n".join(f'<tool_call>\n{json.dumps({"name": name, "arguments": given})}\n</tool_call>' for name, given in CALLS)
QUESTION = [{"role": "user", "content": "What is the weather in Oslo and in Paris, and what time is it?"}]


@pytest.fixture(scope="module")
def spelled(server) -> dict:
    """Members that make the model write ANSWER. With tools a grammar allows calls as well as its own texts, so the first token is
    the one choice that there is."""
    first = server.post("/tokenize", {"content": ANSWER}).json["tokens"][0]
    text = ANSWER.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return {"grammar": f'root ::= "{text}"', "logit_bias": {str(first): 100}}


def test_chat(client, spelled):
    tools = [{"type": "function", "function": function} for function in FUNCTIONS]
    ask = {"model": "smollm2", "messages": QUESTION, "tools": tools, "temperature": 0, "max_tokens": 200,
           "logit_bias": spelled["logit_bias"], "extra_body": {"grammar": spelled["grammar"]}}
    whole = client.chat.completions.create(**ask).choices[0]
    assert whole.finish_reason == "tool_calls" and whole.message.content == SAID
    calls = whole.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == CALLS
    assert len({call.id for call in calls}) == 3 and all(call.type == "function" for call in calls)

    chunks = list(client.chat.completions.create(stream=True, **ask))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["tool_calls"]
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert [piece.index for piece in pieces] == sorted(piece.index for piece in pieces), "one call after the other"
    for index, (name, given) in enumerate(CALLS):
        mine = [piece for piece in pieces if piece.index == index]
        assert mine[0].id.startswith("call_") and (mine[0].type, mine[0].function.name) == ("function", name)
        assert all(piece.id is None and piece.type is None and piece.function.name is None for piece in mine[1:])
        assert json.loads("".join(piece.function.arguments for piece in mine)) == given
    assert len(pieces) > 6 and len({piece.id for piece in pieces if piece.id}) == 3
    with client.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion().choices[0].message
    assert [(call.function.name, json.loads(call.function.arguments)) for call in final.tool_calls] == CALLS


def test_responses(client, spelled):
    ask = {"model": "smollm2", "input": QUESTION[0]["content"], "tools": [{"type": "function", **f} for f in FUNCTIONS], "temperature": 0,
           "max_output_tokens": 200, "extra_body": spelled}
    whole = client.responses.create(**ask)
    assert whole.status == "completed" and [item.type for item in whole.output] == ["message", *["function_call"] * 3]
    assert whole.output_text == SAID
    assert [(item.name, json.loads(item.arguments)) for item in whole.output[1:]] == CALLS
    assert len({item.id for item in whole.output}) == 4 and len({item.call_id for item in whole.output[1:]}) == 3

    events = list(client.responses.create(stream=True, **ask))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    places = [event.output_index for event in events if hasattr(event, "output_index")]
    assert places == sorted(places) and set(places) == {0, 1, 2, 3}, "each item is closed before the next begins"
    for place, (name, given) in enumerate(CALLS, 1):
        mine = [event for event in events if getattr(event, "output_index", None) == place]
        kinds = [event.type.removeprefix("response.") for event in mine]
        assert kinds[0] == "output_item.added" and kinds[-2:] == ["function_call_arguments.done", "output_item.done"]
        assert set(kinds[1:-2]) == {"function_call_arguments.delta"}
        assert (mine[0].item.name, mine[0].item.status, mine[-1].item.status) == (name, "in_progress", "completed")
        assert len({event.item_id for event in mine[1:-1]} | {mine[0].item.id, mine[-1].item.id}) == 1
        written = "".join(event.delta for event in mine[1:-2])
        assert written == mine[-2].arguments == mine[-1].item.arguments and json.loads(written) == given
    assert [item.type for item in events[-1].response.output] == [item.type for item in whole.output]


def test_messages(server, spelled):
    claude = anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=ANSWER_TIMEOUT)
    tools = [{"name": f["name"], "description": f.get("description", ""), "input_schema": f["parameters"] or {"type": "object"}}
             for f in FUNCTIONS]
    ask = {"model": "smollm2", "messages": QUESTION, "tools": tools, "max_tokens": 200, "extra_body": {"temperature": 0, **spelled}}
    whole = claude.messages.create(**ask)
    assert whole.stop_reason == "tool_use" and [block.type for block in whole.content] == ["text", *["tool_use"] * 3]
    assert whole.content[0].text == SAID and [(block.name, block.input) for block in whole.content[1:]] == CALLS
    assert len({block.id for block in whole.content[1:]}) == 3

    events = [event for event in claude.messages.create(stream=True, **ask) if event.type.startswith("content_block")]
    assert [event.index for event in events] == sorted(event.index for event in events), "each block is closed before the next"
    for index, (name, given) in enumerate([(None, None), *CALLS]):
        mine = [event for event in events if event.index == index]
        assert [event.type for event in mine] == ["content_block_start", *["content_block_delta"] * (len(mine) - 2), "content_block_stop"]
        if name is None:
            assert mine[0].content_block.type == "text" and "".join(event.delta.text for event in mine[1:-1]) == SAID
        else:
            assert (mine[0].content_block.type, mine[0].content_block.name, mine[0].content_block.input) == ("tool_use", name, {})
            assert json.loads("".join(event.delta.partial_json for event in mine[1:-1])) == given
    with claude.messages.stream(**ask) as stream:
        assert [(block.name, block.input) for block in stream.get_final_message().content[1:]] == CALLS
