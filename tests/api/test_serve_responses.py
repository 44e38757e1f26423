"""/v1/responses with the real openai client."""

import openai
import pytest

ASK = {"model": "smollm2", "temperature": 0, "max_output_tokens": 12}
QUESTION = "What is the capital of France?"


def test_a_response_is_what_a_chat_would_answer(client):
    response = client.responses.create(input=QUESTION, **ASK)
    chat = client.chat.completions.create(model="smollm2", temperature=0, max_tokens=12,
                                          messages=[{"role": "user", "content": QUESTION}])
    assert response.object == "response" and response.output_text == chat.choices[0].message.content
    assert response.usage.input_tokens == chat.usage.prompt_tokens
    assert response.usage.output_tokens == chat.usage.completion_tokens
    assert response.status == {"stop": "completed", "length": "incomplete"}[chat.choices[0].finish_reason]


def test_instructions_and_earlier_answers(client, server):
    first = client.responses.create(input=QUESTION, instructions="Answer in one word.", **ASK)
    items = [{"role": "user", "content": QUESTION}, *[item.model_dump() for item in first.output],
             {"role": "user", "content": [{"type": "input_text", "text": "And of Italy?"}]}]
    second = client.responses.create(input=items, **ASK)
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": first.output_text},
                {"role": "user", "content": "And of Italy?"}]
    assert second.usage.input_tokens == server.post("/tokenize", {"messages": messages}).json["count"]


def test_what_the_client_says_for_itself(client):
    hints = {"metadata": {"run": "7"}, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
             "reasoning": {"effort": None, "summary": "auto"}, "text": {"verbosity": "medium"}}
    response = client.responses.create(input=QUESTION, **ASK, **hints)
    assert response.metadata == hints["metadata"]
    assert response.output_text == client.responses.create(input=QUESTION, **ASK).output_text
    for member in ({"include": ["message.output_text.logprobs"]}, {"text": {"verbosity": "low"}}, {"reasoning": {"summary": "detailed"}}):
        with pytest.raises(openai.BadRequestError) as bad:
            client.responses.create(input=QUESTION, **ASK, **member)
        assert bad.value.param.startswith(next(iter(member)))


def test_too_few_tokens_leave_it_incomplete(client):
    response = client.responses.create(model="smollm2", input="Tell me a long story.", temperature=0, max_output_tokens=4)
    assert response.status == "incomplete" and response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 4


def test_events_open_and_close_each_level(client):
    whole = client.responses.create(input=QUESTION, **ASK)
    events = list(client.responses.create(input=QUESTION, stream=True, **ASK))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    kinds = [e.type.removeprefix("response.") for e in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", whole.status]
    assert "".join(e.delta for e in events if e.type.endswith("delta")) == whole.output_text
    assert events[-1].response.output_text == whole.output_text and events[-1].response.usage == whole.usage


def test_what_needs_stored_state_is_refused(client):
    for member in ({"previous_response_id": "resp_1"}, {"store": True}, {"truncation": "auto"}, {"background": True}):
        with pytest.raises(openai.BadRequestError) as bad:
            client.responses.create(input=QUESTION, **ASK, **member)
        assert bad.value.param == next(iter(member))
    with pytest.raises(openai.BadRequestError) as bad:
        client.responses.create(input=[{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}], **ASK)
    assert bad.value.param.startswith("input[0].content[0]")
