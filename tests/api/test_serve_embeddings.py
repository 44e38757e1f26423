"""POST /v1/embeddings with the real openai client: an encoder alone, beside a model, and a model's own vectors."""

import base64
import contextlib
import http.client
import json
import threading
import time

import numpy as np
import openai
import pytest
from bert_reference import Reference
from program import MODELS
from serving import ANSWER_TIMEOUT, post_bytes, running

TEXTS = ["A man is eating food.", "A person has a meal.", "The stock market fell sharply today."]
PATH = "/v1/embeddings"


@pytest.fixture(scope="module")
def beside(tmp_path_factory, minilm, smollm2):
    """A model with an encoder beside it."""
    with running(tmp_path_factory.mktemp("home"), "--ctx", "1024", "--embedding-model", minilm, model=smollm2) as started:
        yield started


@pytest.fixture(scope="module")
def client(beside):
    return openai.OpenAI(base_url=beside.url + "/v1", api_key="none", max_retries=0, timeout=ANSWER_TIMEOUT)


def vector(embedding) -> np.ndarray:
    return np.array(embedding, dtype=np.float32)


def test_floats_and_base64_are_the_same_numbers(client, beside):
    floats = client.embeddings.create(model="minilm", input=TEXTS[0], encoding_format="float").data[0].embedding
    encoded = client.embeddings.create(model="minilm", input=TEXTS[0]).data[0].embedding  # the client asks for base64
    assert len(floats) == 384 and np.array_equal(vector(floats), vector(encoded))
    raw = beside.post(PATH, {"input": TEXTS[0], "encoding_format": "base64"}).json["data"][0]["embedding"]
    assert np.array_equal(np.frombuffer(base64.b64decode(raw), "<f4"), vector(floats))


def test_vectors_are_those_of_the_published_recipe(client, beside):
    reference = Reference(MODELS / "minilm")
    answer = client.embeddings.create(model="minilm", input=TEXTS)
    ids = [[101, 1037, 2158, 2003, 5983, 2833, 1012, 102]]
    assert vector(answer.data[0].embedding) @ reference.embed(ids[0]) > 1 - 1e-6
    by_ids = client.embeddings.create(model="minilm", input=ids)
    assert by_ids.data[0].embedding == answer.data[0].embedding and by_ids.usage.prompt_tokens == 8
    assert client.embeddings.create(model="minilm", input=ids[0]).data[0].embedding == answer.data[0].embedding


def test_batches_keep_their_order(client):
    texts = [f"{TEXTS[i % 3]} Number {i}." for i in range(300)]
    answer = client.embeddings.create(model="minilm", input=texts)
    assert answer.object == "list" and answer.model == "minilm"
    assert [item.index for item in answer.data] == list(range(300))
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > 300 * 8
    for i in (0, 150, 299):
        assert client.embeddings.create(model="minilm", input=texts[i]).data[0].embedding == answer.data[i].embedding


def test_meaning_is_near(client):
    vectors = [vector(item.embedding) for item in client.embeddings.create(model="minilm", input=TEXTS).data]
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


async def fetch(url: str) -> list[float]:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="none") as client:
        return (await client.embeddings.create(model="minilm", input=TEXTS[0])).data[0].embedding


def test_the_async_client(beside, client):
    import asyncio
    assert asyncio.run(fetch(beside.url)) == client.embeddings.create(model="minilm", input=TEXTS[0]).data[0].embedding


def test_both_models_are_listed_and_each_does_its_own(client, beside):
    models = {model.id: model for model in client.models.list().data}
    assert list(models) == ["smollm2", "minilm"]
    assert models["minilm"].max_model_len == 256 and models["minilm"].meta["n_embd"] == 384
    answer = client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Hi"}], max_tokens=2)
    assert answer.choices
    with pytest.raises(openai.NotFoundError, match="for embeddings; this server has .*minilm"):
        client.embeddings.create(model="smollm2", input="a")
    assert beside.post(PATH, {"input": "a"}).json["model"] == "minilm"


@pytest.mark.parametrize("body, param, words", [
    ({}, "input", "is missing"),
    ({"input": None}, "input", "is missing"),
    ({"input": ""}, "input", "is empty"),
    ({"input": []}, "input", "has 0 items"),
    ({"input": ["a", ""]}, "input[1]", "is empty"),
    ({"input": ["a", 1]}, "input[1]", "must be a text"),
    ({"input": [[]]}, "input[0]", "empty list"),
    ({"input": {"a": 1}}, "input", "an object"),
    ({"input": 7}, "input", "is 7"),
    ({"input": [1, 30522]}, "input[1]", "from 0 to 30521"),
    ({"input": [[1], [-1]]}, "input[1][0]", "from 0 to 30521"),
    ({"input": [[1], [1.5]]}, "input[1][0]", "1.5"),
    ({"input": ["a"] * 2049}, "input", "2049 items, but it must have 1 to 2048"),
    ({"input": "a", "encoding_format": "int8"}, "encoding_format", '"float" or "base64"'),
    ({"input": "a", "dimensions": 128}, "dimensions", "have 384"),
    ({"input": "a", "dimensions": 0}, "dimensions", "is 0"),
    ({"input": "a", "user": 1}, "user", "a text"),
    ({"input": "a", "truncate": True}, "truncate", "not a member"),
])
def test_requests_that_are_wrong(beside, body, param, words):
    error = beside.refuses(PATH, body, param=param)
    assert words in error["message"], error


def test_the_models_own_dimensions_may_be_named(beside):
    assert len(beside.post(PATH, {"input": "a", "dimensions": 384, "user": "me"}).json["data"][0]["embedding"]) == 384


def test_nothing_is_cut_off(beside):
    error = beside.refuses(PATH, {"input": ["a", "word " * 255]}, param="input[1]")
    assert error["code"] == "context_length_exceeded" and "257 tokens, but the model reads 256" in error["message"]
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (257, 256)
    error = beside.refuses(PATH, {"input": [5] * 300}, param="input")
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (300, 256)
    assert beside.post(PATH, {"input": "word " * 254}).status == 200


def test_metrics_count(beside):
    before = beside.metric("kvasir_embedding_texts_total")
    assert beside.post(PATH, {"input": TEXTS}).status == 200
    assert beside.metric("kvasir_embedding_texts_total") == before + 3
    assert beside.metric("kvasir_embedding_requests_accepted_total") > 0
    assert beside.metric("kvasir_embedding_requests_waiting") == 0


def test_an_encoder_alone(serve, minilm):
    server = serve(model="minilm")
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    assert len(client.embeddings.create(model="minilm", input="a").data[0].embedding) == 384
    assert [model.id for model in client.models.list().data] == ["minilm"]
    for path in ("/v1/chat/completions", "/v1/completions", "/tokenize"):
        error = server.refuses(path, {}, status=404)
        assert error["code"] == "model_not_found" and "/v1/embeddings" in error["message"]
    assert server.get("/slots").status == 404
    assert server.get("/health").status == 200
    assert server.metric("kvasir_ready") == 1 and server.metric("kvasir_embedding_texts_total") == 1
    assert "Serving minilm at" in server.log and "/v1/embeddings" in server.log
    assert server.stop() == 0


def test_a_models_own_vectors(server, client):
    """Without an encoder the tokens' last vectors are averaged; streams go on meanwhile."""
    own = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    answer = own.embeddings.create(model="smollm2", input=TEXTS)
    vectors = [vector(item.embedding) for item in answer.data]
    assert all(len(v) == 576 and abs(np.linalg.norm(v) - 1) < 1e-5 for v in vectors)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert [model.id for model in own.models.list().data] == ["smollm2"]
    assert server.idle()["memory"]["kv"] == server.idle()["memory"]["kv_cached"], "embeddings hold no page of the cache"


def test_a_stream_goes_on_beside_a_large_request(beside, client):
    texts = [f"{TEXTS[i % 3]} {i}" for i in range(2000)]
    done = threading.Event()

    def embed():
        assert beside.post(PATH, {"input": texts}).status == 200
        done.set()

    thread = threading.Thread(target=embed)
    thread.start()
    time.sleep(0.2)
    small = time.monotonic()
    assert beside.post(PATH, {"input": "a small one"}).status == 200
    assert not done.is_set(), "a small request does not wait for a large one"
    assert time.monotonic() - small < 5
    stream = client.chat.completions.create(model="smollm2", messages=[{"role": "user", "content": "Count."}], stream=True,
                                            max_tokens=5)
    # How many tokens arrive together says how busy the machine is; the end is what counts.
    assert list(stream)[-1].choices[0].finish_reason in ("length", "stop")
    thread.join()


def test_a_client_that_leaves_is_forgotten(beside):
    before = beside.metric("kvasir_embedding_requests_cancelled_total")
    connection = http.client.HTTPConnection("127.0.0.1", beside.port)
    texts = [f"{TEXTS[i % 3]} {i}" for i in range(2000)]
    connection.request("POST", PATH, json.dumps({"input": texts}), {"Content-Type": "application/json"})
    time.sleep(0.3)
    connection.close()
    end = time.monotonic() + 30
    while beside.metric("kvasir_embedding_requests_cancelled_total") == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    while beside.metric("kvasir_embedding_requests_waiting") > 0:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_full_queue_says_so(serve, minilm):
    server = serve("--max-queue", "1", model="minilm")

    def occupy():
        with contextlib.suppress(ConnectionError):  # the server ends before this is answered
            server.post(PATH, {"input": ["word " * 200] * 400})

    occupied = threading.Thread(target=occupy)
    occupied.start()
    end = time.monotonic() + 30
    while server.metric("kvasir_embedding_requests_waiting") == 0:
        assert time.monotonic() < end
        time.sleep(0.01)
    answer = server.post(PATH, {"input": "a"})
    assert answer.status == 429 and answer.headers["retry-after"] == "1" and answer.error["code"] == "queue_full"
    assert server.metric("kvasir_embedding_requests_refused_total") == 1
    server.process.kill()
    occupied.join()


def test_one_key_leaves_places_for_others(serve, minilm, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("alice alice-secret-1\nbob bob-secret-22\n")
    server = serve("--max-queue", "4", "--api-key-file", str(keys), model="minilm")
    alice, bob = {"Authorization": "Bearer alice-secret-1"}, {"Authorization": "Bearer bob-secret-22"}
    many = post_bytes(PATH, {"input": ["word " * 200] * 400}, "Authorization: Bearer alice-secret-1")
    connections = [server.connect() for _ in range(3)]
    for connection in connections:
        connection.sendall(many)
    end = time.monotonic() + 30
    while b'kvasir_embedding_requests_waiting{model_name="minilm"} 3\n' not in server.get("/metrics", **alice).body:
        assert time.monotonic() < end
        time.sleep(0.01)
    refused = server.post(PATH, {"input": "a"}, **alice)
    assert refused.status == 429 and refused.error["code"] == "queue_full" and "3 of them with this API key" in refused.error["message"]
    assert server.post(PATH, {"input": "a"}, **bob).status == 200
    for connection in connections:
        connection.close()
    while b'kvasir_embedding_requests_waiting{model_name="minilm"} 0\n' not in server.get("/metrics", **alice).body:
        assert time.monotonic() < end + 30
        time.sleep(0.01)
    assert server.post(PATH, {"input": "a"}, **alice).status == 200, "what clients leave is no longer counted"


def test_starts_that_are_wrong(kvasir, minilm, smollm2):
    serve = lambda *args: kvasir.fails("serve", "--port", "0", *args)  # noqa: E731
    assert "leave --embedding-model out" in serve("-m", "minilm", "--embedding-model", "minilm")
    assert "nowhere" in serve("-m", "smollm2", "--embedding-model", "nowhere")
    assert "--model-name" in serve("-m", "smollm2", "--model-name", "minilm", "--embedding-model", "minilm")
