"""What a request may say: everything else is a 400 that names the member, and the server lives on."""

import json

import pytest
from serving import post_bytes, status_of

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]
HUGE = [2**31, 2**63, 2**64, 10**30, -(2**31) - 1, -(2**63), 1e308, -1e308]


def chat(**members) -> dict:
    return {"messages": MESSAGES, "max_tokens": 1, **members}


@pytest.mark.parametrize("member", ["temperature", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc_probability",
                                    "xtc_threshold", "dry_multiplier", "dry_base", "mirostat_tau", "mirostat_eta",
                                    "repeat_penalty", "presence_penalty", "frequency_penalty"])
def test_numbers_out_of_range(server, member):
    for value in (-1e308, 1e308, 2**63, "1", [1], {}, True):
        server.refuses(CHAT, chat(**{member: value}), param=member)
    # JSON has no NaN and no Infinity.
    body = json.dumps(chat(**{member: float("nan")})).encode()
    assert status_of(server.raw(post_bytes(CHAT, body, "Connection: close"))) == 400


@pytest.mark.parametrize("member", ["n", "max_tokens", "max_completion_tokens", "top_logprobs", "priority", "timeout_ms",
                                    "top_k", "repeat_last_n", "dry_allowed_length", "dry_penalty_last_n", "mirostat"])
def test_counts_out_of_range(server, member):
    for value in (*HUGE, 1.5, "3", [3], True):
        body = chat(logprobs=True)
        body.pop("max_tokens")
        body[member] = value
        server.refuses(CHAT, body, param=member)


def test_seed(server):
    for value in (2**63, 1.5, "x", True):
        server.refuses(CHAT, chat(seed=value), param="seed")
    for value in (-1, 0, 2**63 - 1, -(2**63)):
        assert server.post(CHAT, chat(seed=value)).status == 200


def test_a_context_that_is_too_small(server):
    error = server.refuses(CHAT, chat(max_tokens=2**31 - 1))
    assert error["code"] == "context_length_exceeded" and error["n_ctx"] == 2048
    server.refuses(TEXT, {"prompt": "a " * 2100, "max_tokens": 1})
    server.refuses(TEXT, {"prompt": [1] * 2048, "max_tokens": 1})
    assert server.post(TEXT, {"prompt": [1] * 2047, "max_tokens": 1}).status == 200


def test_n(server):
    for value in (0, 129, 10**6):
        server.refuses(CHAT, chat(n=value), param="n")
    server.refuses(TEXT, {"prompt": ["a"] * 100, "n": 100, "max_tokens": 1})


def test_unknown_members_are_named(server):
    error = server.refuses(CHAT, chat(temprature=1), param="temprature")
    assert error["code"] == "unknown_parameter"
    server.refuses(CHAT, chat(stream=True, stream_options={"x": 1}), param="stream_options.x")
    server.refuses(CHAT, chat(messages=[{"role": "user", "content": "Hi", "colour": 1}]), param="messages[0].colour")


def test_members_that_are_null_say_nothing(server):
    body = chat(audio=None, frequency_penalty=None, messages=[{**MESSAGES[0], "audio": None, "function_call": None}])
    assert server.post(CHAT, body).status == 200


def test_hints_that_change_nothing(server):
    plain = server.post(CHAT, chat(temperature=0, max_tokens=5)).json["choices"]
    hints = {"metadata": {"run": "7"}, "prompt_cache_key": "k", "verbosity": "medium", "user": "u", "safety_identifier": "s"}
    assert server.post(CHAT, chat(**{**hints, "temperature": 0, "max_tokens": 5})).json["choices"] == plain
    for name, value in (("verbosity", "low"), ("prompt_cache_key", 1), ("metadata", {"a": 1}), ("metadata", {"a": "x" * 513}),
                        ("metadata", {"x" * 65: "a"}), ("metadata", {str(i): "a" for i in range(17)})):
        server.refuses(CHAT, chat(**{name: value}), param=name)


def test_reasoning_effort_goes_to_templates_that_read_it(serve, server, data):
    error = server.refuses(CHAT, chat(reasoning_effort="low"), param="reasoning_effort")
    assert "template" in error["message"]
    server.refuses("/v1/responses", {"input": "Hi", "reasoning": {"effort": "low"}}, param="reasoning.effort")
    thinking = serve("--ctx", "2048", "--chat-template", str(data / "templates/openai-gpt-oss-120b.jinja"))
    for effort in ("low", "high"):
        prompt = thinking.post("/apply-template", {"messages": MESSAGES, "reasoning_effort": effort}).json["prompt"]
        assert f"Reasoning: {effort}\n" in prompt
        tokens = thinking.post("/tokenize", {"messages": MESSAGES, "reasoning_effort": effort}).json["count"]
        assert thinking.post(CHAT, chat(reasoning_effort=effort)).json["usage"]["prompt_tokens"] == tokens
        response = thinking.post("/v1/responses", {"input": "Hi", "max_output_tokens": 1, "reasoning": {"effort": effort}})
        assert response.json["usage"]["input_tokens"] == tokens
    thinking.refuses(CHAT, chat(reasoning_effort="huge"), param="reasoning_effort")
    thinking.refuses(CHAT, chat(reasoning_effort="low", chat_template_kwargs={"reasoning_effort": "high"}), param="reasoning_effort")


def test_what_is_not_supported_says_so(server):
    server.refuses(CHAT, chat(store=True), param="store")
    server.refuses(CHAT, chat(modalities=["audio"]), param="modalities")
    server.refuses(TEXT, {"prompt": "a", "best_of": 4}, param="best_of")
    server.refuses(TEXT, {"prompt": "a", "suffix": "b"}, param="suffix")
    server.refuses(TEXT, {"prompt": "a", "echo": True, "logprobs": 1, "stream": True}, param="stream")
    assert server.post(CHAT, chat(response_format={"type": "text"}, tools=[], store=False, user="me")).status == 200


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"null", b"1", b"{", b'{"a":1,"a":2}', b"{'a': 1}", b'{"a": NaN}',
                                  b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"a": "\xff"}', b"\xef\xbb\xbf\xef\xbb\xbf{}",
                                  b"[" * 100_000, b'{"a":' * 100_000, b"[" + b"1," * 600_000 + b"1]"], ids=range(16))
@pytest.mark.parametrize("path", [CHAT, "/tokenize"])
def test_bodies_that_are_no_request(server, path, body):
    answer = server.request("POST", path, body)
    assert answer.status == 400 and answer.error["type"] == "invalid_request_error"


def test_a_body_that_is_no_json_is_told_its_place(server):
    error = server.request("POST", CHAT, b'{\n  "messages": [],\n}').error
    assert "line 3, column 1: a comma stands before '}'" in error["message"]


def test_messages(server):
    for messages in ([], {}, "x", None, [1], [[]], [{}], [{"role": "user"}], [{"role": "king", "content": "x"}],
                     [{"role": 1, "content": "x"}], [{"role": "user", "content": 1}], [{"role": "user", "content": [1]}],
                     [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
                     [{"role": "user", "content": [{"type": "text"}]}], [{"role": "user", "content": [{"type": "text", "text": None}]}],
                     [{"role": "user", "content": "x", "tool_calls": [{}]}]):
        error = server.refuses(CHAT, chat(messages=messages))
        assert error["param"].startswith("messages"), error
    for messages in ([{"role": "user", "content": ""}], [{"role": "developer", "content": "Be brief."}, *MESSAGES],
                     [{"role": "user", "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]}],
                     [*MESSAGES, {"role": "assistant", "content": "Hi", "refusal": None}, *MESSAGES]):
        assert server.post(CHAT, chat(messages=messages)).status == 200, messages
    server.refuses(CHAT, {"max_tokens": 1}, param="messages")
    error = server.refuses(CHAT, chat(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text"}]}]))
    assert error["param"] == "messages[0].content[1].text" and error["message"].endswith("is missing")


def test_variables_of_the_template_cannot_replace_the_request(server):
    for name in ("messages", "tools", "add_generation_prompt"):
        server.refuses(CHAT, chat(chat_template_kwargs={name: []}), param=f"chat_template_kwargs.{name}")
    server.refuses(CHAT, chat(chat_template="{{ 1 }}"), param="chat_template")


def test_prompts(server):
    for prompt in ("", [], [[]], [""], [1, "a"], ["a", 1], [[1], "a", [-1]], [1.5], [-1], [49152], [2**40], {}, True, [[[1]]],
                   None):
        error = server.refuses(TEXT, {"prompt": prompt, "max_tokens": 1})
        assert error["param"].startswith("prompt"), error
    for prompt in ("\0", "a\0b", "\n" * 100, [0], [49151], ["a", [1, 2]]):
        assert server.post(TEXT, {"prompt": prompt, "max_tokens": 1}).status == 200, prompt
    server.refuses(TEXT, {"prompt": ["a"] * 2000}, param="prompt")


def test_stop(server):
    for stop in ("", [""], [1], 1, {}, ["a"] * 100_000, ["a"] * 33):
        error = server.refuses(CHAT, chat(stop=stop))
        assert error["param"].startswith("stop")
    assert server.post(CHAT, chat(stop=None)).status == 200
    server.refuses(CHAT, chat(stop_token_ids=[49152]), param="stop_token_ids[0]")


def test_logit_bias(server):
    for bias in ({"49152": 1}, {"-1": 1}, {"x": 1}, {"1.5": 1}, {"1": "a"}, {"1": None}, {"1": 1e300}, "x", [1], [[1]], [["a", 1]],
                 [[1, 1]] * 60_000):
        error = server.refuses(CHAT, chat(logit_bias=bias))
        assert error["param"].startswith("logit_bias"), error
    assert "more than 1024 members" in server.refuses(CHAT, chat(logit_bias={str(i): 1 for i in range(60_000)}))["message"]
    assert server.post(CHAT, chat(logit_bias={str(i): -100 for i in range(1000)})).status == 200
    assert server.post(CHAT, chat(logit_bias=[[i, -100] for i in range(20_000)])).status == 200
    assert server.post(CHAT, chat(logit_bias=[[1, -1.5]])).status == 200


def test_logprobs(server):
    server.refuses(CHAT, chat(top_logprobs=2), param="top_logprobs")
    server.refuses(CHAT, chat(logprobs=True, top_logprobs=21), param="top_logprobs")
    server.refuses(CHAT, chat(logprobs=1), param="logprobs")
    server.refuses(TEXT, {"prompt": "a", "logprobs": 49152}, param="logprobs")
    server.refuses(TEXT, {"prompt": "a", "logprobs": True}, param="logprobs")


def test_samplers(server):
    assert server.post(CHAT, chat(samplers="top_k;temperature", top_k=3)).status == 200
    assert server.post(CHAT, chat(samplers=["top_k", "temperature"])).status == 200
    server.refuses(CHAT, chat(samplers="tfs_z"), param="samplers")
    server.refuses(CHAT, chat(samplers=[1]), param="samplers[0]")
    server.refuses(CHAT, chat(repeat_penalty=1.1, repetition_penalty=1.1), param="repetition_penalty")
    server.refuses(CHAT, chat(dry_sequence_breakers=[""]), param="dry_sequence_breakers[0]")


def test_tokens_there_and_back(server):
    text = "Hello, wörld! 日本 <|im_end|>\n"
    tokens = server.post("/tokenize", {"prompt": text}).json
    assert tokens["count"] == len(tokens["tokens"]) and tokens["max_model_len"] == 2048
    assert server.post("/tokenize", {"content": text}).json["tokens"] == tokens["tokens"]
    assert server.post("/detokenize", {"tokens": tokens["tokens"]}).json["content"] == text
    pieces = server.post("/tokenize", {"content": "日", "with_pieces": True}).json["tokens"]
    data = b"".join(p["piece"].encode() if isinstance(p["piece"], str) else bytes(p["piece"]) for p in pieces)
    assert data.decode() == "日"
    server.refuses("/tokenize", {}, param="prompt")
    server.refuses("/tokenize", {"prompt": "a", "content": "b"}, param="content")
    server.refuses("/detokenize", {"tokens": [1, 49152]}, param="tokens[1]")
    server.refuses("/detokenize", {}, param="tokens")


def test_the_template_is_shown(server):
    prompt = server.post("/apply-template", {"messages": MESSAGES}).json["prompt"]
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    count = server.post("/tokenize", {"messages": MESSAGES}).json["count"]
    usage = server.post(CHAT, chat()).json["usage"]
    assert usage["prompt_tokens"] == count
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert server.post("/apply-template", {"messages": parts}).json["prompt"] == prompt
    info = server.get("/tokenizer_info").json
    assert info["eos_token"] == "<|im_end|>" and info["vocab_size"] == 49152


def test_after_all_that_the_server_is_as_before(server):
    server.alive()
    slots = server.idle()
    assert slots["requests"] == []
    text = server.get("/metrics").body.decode()
    assert 'status="500"' not in text and 'status="503"' not in text
