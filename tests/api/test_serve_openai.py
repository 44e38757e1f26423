"""The real openai client against the real server."""

import math
import threading

import openai
import pytest

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"model": "smollm2", "temperature": 0, "max_tokens": 12}


def test_models(client):
    models = client.models.list().data
    assert [m.id for m in models] == ["smollm2"]
    assert models[0].max_model_len == 2048
    assert client.models.retrieve("smollm2").model_dump() == models[0].model_dump()
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("gpt-4o")
    assert missing.value.code == "model_not_found"


def test_chat(client):
    answer = client.chat.completions.create(messages=QUESTION, **GREEDY)
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.role == "assistant"
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id.startswith("req-")


def test_an_answer_goes_back_as_the_library_writes_it(client, server):
    """With all its members, those without a value as null."""
    message = client.chat.completions.create(messages=QUESTION, **GREEDY).choices[0].message
    dumped = message.model_dump()
    assert None in dumped.values()
    more = [*QUESTION, dumped, {"role": "user", "content": "And of Italy?"}]
    answer = client.chat.completions.create(messages=more, **GREEDY)
    short = [*QUESTION, {"role": "assistant", "content": message.content}, more[-1]]
    assert answer.usage.prompt_tokens == server.post("/tokenize", {"messages": short}).json["count"]


def test_a_stream_is_the_same_answer_in_pieces(client):
    whole = client.chat.completions.create(messages=QUESTION, **GREEDY)
    chunks = list(client.chat.completions.create(messages=QUESTION, stream=True, stream_options={"include_usage": True},
                                                 **GREEDY))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({c.id for c in chunks}) == 1
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        whole.choices[0].finish_reason]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert all(c.usage is None for c in chunks[:-1])


def test_without_include_usage_there_is_no_usage(client):
    chunks = list(client.chat.completions.create(messages=QUESTION, stream=True, **GREEDY))
    assert all(c.usage is None and c.choices for c in chunks)


def test_same_seed_same_text(client):
    ask = {"model": "smollm2", "messages": QUESTION, "max_tokens": 12, "temperature": 1.5, "n": 3, "seed": 7}
    first, second = (client.chat.completions.create(**ask) for _ in range(2))
    texts = [c.message.content for c in first.choices]
    assert texts == [c.message.content for c in second.choices]
    assert len(set(texts)) > 1, "choices of one request have seeds of their own"
    assert [c.index for c in first.choices] == [0, 1, 2]
    assert first.usage.prompt_tokens == client.chat.completions.create(messages=QUESTION, **GREEDY).usage.prompt_tokens


def test_choices_of_a_stream_are_told_apart(client):
    ask = {"model": "smollm2", "messages": QUESTION, "max_tokens": 8, "temperature": 1.5, "n": 2, "seed": 7}
    whole = client.chat.completions.create(**ask)
    texts = ["", ""]
    for chunk in client.chat.completions.create(stream=True, **ask):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == [c.message.content for c in whole.choices]


def test_stop(client):
    answer = client.chat.completions.create(messages=QUESTION, stop=["Paris"], **GREEDY)
    assert "Paris" not in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


def test_max_completion_tokens(client):
    answer = client.chat.completions.create(model="smollm2", messages=QUESTION, max_completion_tokens=3, temperature=0)
    assert answer.usage.completion_tokens == 3 and answer.choices[0].finish_reason == "length"


def test_logit_bias_bans_a_token(client, server):
    token = server.post("/tokenize", {"content": " Paris"}).json["tokens"]
    free = client.chat.completions.create(messages=QUESTION, **GREEDY)
    banned = client.chat.completions.create(messages=QUESTION, logit_bias={str(token[0]): -100}, **GREEDY)
    assert "Paris" in free.choices[0].message.content
    assert " Paris" not in banned.choices[0].message.content


def test_logprobs(client):
    answer = client.chat.completions.create(messages=QUESTION, logprobs=True, top_logprobs=3, **GREEDY)
    content = answer.choices[0].logprobs.content
    assert len(content) == answer.usage.completion_tokens
    assert "".join(t.token for t in content).startswith(answer.choices[0].message.content)
    for token in content:
        assert len(token.top_logprobs) == 3
        assert token.logprob == token.top_logprobs[0].logprob, "greedy takes the likeliest"
        assert sum(math.exp(t.logprob) for t in token.top_logprobs) <= 1 + 1e-6
        assert bytes(token.bytes).decode(errors="replace") == token.token


def test_logprobs_of_a_stream(client):
    whole = client.chat.completions.create(messages=QUESTION, logprobs=True, top_logprobs=2, **GREEDY)
    tokens = []
    for chunk in client.chat.completions.create(messages=QUESTION, logprobs=True, top_logprobs=2, stream=True, **GREEDY):
        if chunk.choices[0].logprobs:
            tokens += chunk.choices[0].logprobs.content
    assert tokens == whole.choices[0].logprobs.content


def test_completions_continue_a_text(client):
    answer = client.completions.create(model="smollm2", prompt="The capital of France is", temperature=0, max_tokens=5)
    assert answer.object == "text_completion" and "Paris" in answer.choices[0].text
    default = client.completions.create(model="smollm2", prompt="Once", temperature=0, extra_body={"ignore_eos": True})
    assert default.usage.completion_tokens == 16


def test_prompts_come_as_text_ids_and_batches(client, server):
    texts = ["The capital of France is", "One, two, three,"]
    ids = [server.post("/tokenize", {"prompt": t}).json["tokens"] for t in texts]
    ask = {"model": "smollm2", "temperature": 0, "max_tokens": 4}
    single = [client.completions.create(prompt=t, **ask).choices[0].text for t in texts]
    for prompts in (texts, ids):
        answer = client.completions.create(prompt=prompts, **ask)
        assert [c.text for c in answer.choices] == single
        assert [c.index for c in answer.choices] == [0, 1]
        assert answer.usage.prompt_tokens == sum(map(len, ids))
    assert client.completions.create(prompt=ids[0], **ask).choices[0].text == single[0]


def test_echo_scores_the_prompt(client, server):
    """What evaluation harnesses do: the same numbers whether a text is scored as a prompt or as it is generated."""
    ids = server.post("/tokenize", {"prompt": "The capital of France is"}).json["tokens"]
    made = client.completions.create(model="smollm2", prompt=ids, temperature=0, max_tokens=4, logprobs=2)
    generated = made.choices[0].logprobs
    whole = ids + [server.post("/tokenize", {"content": t}).json["tokens"][0] for t in generated.tokens]
    scored = client.completions.create(model="smollm2", prompt=whole, temperature=0, max_tokens=1, logprobs=2, echo=True)
    logprobs = scored.choices[0].logprobs
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset) == len(whole) + 1
    assert logprobs.token_logprobs[len(ids):-1] == generated.token_logprobs
    assert logprobs.top_logprobs[len(ids):-1] == generated.top_logprobs
    for token, value, top in list(zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True))[1:]:
        assert top[token] == value and value <= max(top.values()) and 2 <= len(top) <= 3
    for token, value, top in zip(generated.tokens, generated.token_logprobs, generated.top_logprobs, strict=True):
        assert value == max(top.values()), "the model's own choice, compared exactly"
    text = scored.choices[0].text
    assert text.startswith("The capital of France is")
    for token, offset in zip(logprobs.tokens, logprobs.text_offset, strict=True):
        assert text[offset:offset + len(token)] == token
    only = client.completions.create(model="smollm2", prompt=whole, temperature=0, max_tokens=0, logprobs=1, echo=True)
    assert only.usage.completion_tokens == 0
    assert only.choices[0].logprobs.token_logprobs == logprobs.token_logprobs[:-1]


def test_completions_stream(client):
    ask = {"model": "smollm2", "prompt": "The capital of France is", "temperature": 0, "max_tokens": 5}
    whole = client.completions.create(**ask)
    chunks = list(client.completions.create(stream=True, stream_options={"include_usage": True}, **ask))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage or chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_what_was_computed_before_is_cached(client):
    text = "The following is a long story about a river. " * 30
    ask = {"model": "smollm2", "max_tokens": 2, "temperature": 0, "extra_body": {"cache_explain": True, "cache_salt": "t1"}}
    cold = client.completions.create(prompt=text, **ask)
    warm = client.completions.create(prompt=text + "And then", **ask)
    assert cold.usage.prompt_tokens_details.cached_tokens == 0
    cached = warm.usage.prompt_tokens_details.cached_tokens
    assert 0 < cached < warm.usage.prompt_tokens
    assert warm.cache[0]["matched_tokens"] == cached and warm.cache[0]["ended_because"]
    ask["extra_body"]["cache_salt"] = "t2"
    assert client.completions.create(prompt=text, **ask).usage.prompt_tokens_details.cached_tokens == 0


def test_many_at_once_get_what_each_gets_alone(client):
    prompts = [f"Write the number {i} in words:" for i in range(12)]
    ask = {"model": "smollm2", "temperature": 0, "max_tokens": 8}
    alone = [client.completions.create(prompt=p, **ask).choices[0].text for p in prompts]
    together = [""] * len(prompts)

    def run(i: int):
        together[i] = client.completions.create(prompt=prompts[i], **ask).choices[0].text

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_errors_have_the_clients_own_types(client):
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="smollm2", messages=QUESTION, temperature=-1)
    assert bad.value.param == "temperature"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-4", messages=QUESTION)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as long:
        client.completions.create(model="smollm2", prompt="word " * 3000)
    assert long.value.code == "context_length_exceeded"
    assert long.value.body["n_ctx"] == 2048 and long.value.body["n_prompt_tokens"] > 3000


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_both_kinds_of_client(server, kind):
    options = {"base_url": server.url + "/v1", "api_key": "none", "max_retries": 0}
    if kind == "sync":
        answer = openai.OpenAI(**options).chat.completions.create(messages=QUESTION, **GREEDY)
    else:
        import asyncio
        answer = asyncio.run(openai.AsyncOpenAI(**options).chat.completions.create(messages=QUESTION, **GREEDY))
    assert "Paris" in answer.choices[0].message.content
