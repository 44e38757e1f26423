"""What a model thinks before it answers reaches clients apart from the answer.

The model of these tests does not think, so a grammar writes the marks that a model writes by itself.
"""

import anthropic
import openai
import pytest
from serving import running

TEMPLATE = "{% for m in messages %}[{{ m.role }}]{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}" \
    "{{ m.content }}\n{% endfor %}[assistant]"
# Nothing is between the marks in the prompt: the model would open them itself.
THINKS = 'root ::= "<think>\\nIs it?\\n</think>\\n\\nIt is."'
QUESTION = [{"role": "user", "content": "Is it?"}]
ASK = {"model": "smollm2", "temperature": 0, "max_tokens": 60}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("thoughts") / "thinks.jinja"
    path.write_text(TEMPLATE)
    return str(path)


@pytest.fixture(scope="module")
def thinker(tmp_path_factory, template):
    with running(tmp_path_factory.mktemp("home"), "--ctx", "1024", "--chat-template", template) as started:
        yield started


@pytest.fixture(scope="module")
def chats(thinker):
    return openai.OpenAI(base_url=thinker.url + "/v1", api_key="none", max_retries=0)


def test_a_chat_has_them_beside_the_content(chats):
    ask = {"messages": QUESTION, "extra_body": {"grammar": THINKS}, **ASK}
    message = chats.chat.completions.create(**ask).choices[0].message
    assert (message.reasoning_content, message.content) == ("Is it?", "It is.")
    deltas = [c.choices[0].delta for c in chats.chat.completions.create(stream=True, **ask)]
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == "Is it?"
    assert "".join(d.content or "" for d in deltas) == "It is."
    plain = chats.chat.completions.create(messages=QUESTION, extra_body={"grammar": 'root ::= "No."'}, **ASK).choices[0].message
    assert plain.content == "No." and not hasattr(plain, "reasoning_content")


def test_they_go_back_to_the_model(thinker, chats):
    ask = {"messages": QUESTION, "extra_body": {"grammar": THINKS}, **ASK}
    message = chats.chat.completions.create(**ask).choices[0].message
    history = [*QUESTION, message.model_dump(exclude_none=True), {"role": "user", "content": "Why?"}]
    prompt = thinker.post("/apply-template", {"messages": history}).json["prompt"]
    assert prompt == "[user]Is it?\n[assistant]<think>Is it?</think>It is.\n[user]Why?\n[assistant]"


def test_a_response_has_an_item_of_them(thinker, chats):
    ask = {"model": "smollm2", "input": "Is it?", "temperature": 0, "max_output_tokens": 60, "extra_body": {"grammar": THINKS}}
    whole = chats.responses.create(**ask)
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert whole.output[0].content[0].text == "Is it?" and whole.output_text == "It is."
    assert 0 < whole.usage.output_tokens_details.reasoning_tokens < whole.usage.output_tokens
    events = list(chats.responses.create(stream=True, **ask))
    assert "".join(e.delta for e in events if e.type == "response.reasoning_text.delta") == "Is it?"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "It is."
    added = [e for e in events if e.type == "response.output_item.added"]
    assert [(e.output_index, e.item.type) for e in added] == [(0, "reasoning"), (1, "message")]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    history = [{"role": "user", "content": "Is it?"}, *[item.model_dump(exclude_none=True) for item in whole.output],
               {"role": "user", "content": "Why?"}]
    assert chats.responses.create(model="smollm2", input=history, max_output_tokens=1).usage.input_tokens > whole.usage.input_tokens
    thinker.refuses("/v1/responses", {"input": [{"type": "reasoning", "encrypted_content": "x"}]}, param="input[0].encrypted_content")


def test_a_message_has_a_block_of_them(thinker):
    client = anthropic.Anthropic(base_url=thinker.url, api_key="none", max_retries=0)
    ask = {"model": "smollm2", "max_tokens": 60, "messages": QUESTION, "extra_body": {"temperature": 0, "grammar": THINKS}}
    whole = client.messages.create(**ask)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.content[0].thinking == "Is it?" and whole.content[1].text == "It is."
    with client.messages.stream(**ask) as stream:
        assert [block.type for block in stream.get_final_message().content] == ["thinking", "text"]
    history = [*QUESTION, {"role": "assistant", "content": [b.model_dump() for b in whole.content]}, {"role": "user", "content": "Why?"}]
    assert client.messages.create(model="smollm2", max_tokens=1, messages=history).usage.input_tokens > whole.usage.input_tokens


def tokens_of(thinker, messages):
    return thinker.post("/tokenize", {"messages": messages}).json["count"]


def test_thoughts_without_an_answer_stay_what_they_are(thinker, chats):
    """An answer that was cut off while it was thought about; and thoughts in several pieces."""
    cut = chats.responses.create(model="smollm2", input="Is it?", temperature=0, max_output_tokens=9, extra_body={"grammar": THINKS})
    assert [item.type for item in cut.output] == ["reasoning"]
    thoughts = cut.output[0].content[0].text
    why = {"role": "user", "content": "Why?"}
    told = [*QUESTION, {"role": "assistant", "content": "", "reasoning_content": thoughts}, why]
    response = chats.responses.create(model="smollm2", input=[*QUESTION, cut.output[0].model_dump(exclude_none=True), why],
                                      max_output_tokens=1)
    assert response.usage.input_tokens == tokens_of(thinker, told) > tokens_of(thinker, [*QUESTION, why])
    message = thinker.post("/v1/messages/count_tokens", {"messages": [
        *QUESTION, {"role": "assistant", "content": [{"type": "thinking", "thinking": thoughts, "signature": ""}]}, why]})
    assert message.json["input_tokens"] == tokens_of(thinker, told)

    def reasoning(text):
        return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}

    pieces = [reasoning("One."), {"role": "assistant", "content": "Yes."}, reasoning("Two."), reasoning("Three."),
              {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"}, why]
    call = {"type": "function", "id": "c", "function": {"name": "now", "arguments": "{}"}}
    answer = {"role": "assistant", "content": "Yes.", "reasoning_content": "One.Two.Three.", "tool_calls": [call]}
    response = chats.responses.create(model="smollm2", input=[*QUESTION, *pieces], max_output_tokens=1)
    assert response.usage.input_tokens == tokens_of(thinker, [*QUESTION, answer, why])


def test_thoughts_that_the_prompt_opens(serve, tmp_path):
    (tmp_path / "opens.jinja").write_text(TEMPLATE + "{{ '<think>\\n' }}")
    server = serve("--ctx", "1024", "--chat-template", str(tmp_path / "opens.jinja"))
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    # A form is that of the answer: the thoughts before it are free, and this model's have no end.
    for form in ({}, {"extra_body": {"regex": "yes|no"}}):
        choice = client.chat.completions.create(messages=QUESTION, **{**ASK, "max_tokens": 8}, **form).choices[0]
        assert choice.message.reasoning_content and choice.message.content == "" and choice.finish_reason == "length"


def test_they_may_be_part_of_the_text(serve, template):
    server = serve("--ctx", "1024", "--chat-template", template, "--thoughts", "text")
    message = server.post("/v1/chat/completions", {"messages": QUESTION, "grammar": THINKS}).json["choices"][0]["message"]
    assert message["content"] == "<think>\nIs it?\n</think>\n\nIt is." and "reasoning_content" not in message


def test_channels_are_thoughts_text_and_calls(serve, data):
    server = serve("--ctx", "2048", "--chat-template", str(data / "templates/openai-gpt-oss-120b.jinja"))
    now = {"type": "function", "function": {"name": "now", "description": "The time."}}
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    answer = client.chat.completions.create(messages=QUESTION, tools=[now], tool_choice="required", parallel_tool_calls=False,
                                            logit_bias={"44": -100}, **ASK)  # no "<": straight to the call
    assert answer.choices[0].message.tool_calls[0].function.name == "now" and answer.choices[0].finish_reason == "tool_calls"
    ask = {"messages": QUESTION, "max_tokens": 60, "regex": "yes|no"}
    message = server.post("/v1/chat/completions", {**ask, "logit_bias": {"44": -100}}).json["choices"][0]["message"]
    assert message["content"] in ("", "yes", "no") and "<|" not in message.get("reasoning_content", "")
