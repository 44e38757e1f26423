"""kvasir embed: the vectors of the published recipe, and everything that can be wrong with a call."""

import json

import numpy as np
import pytest
from bert_reference import Reference
from program import MODELS, ROOT

PAIRS = [("A man is eating food.", "A person has a meal."), ("The cat sits outside.", "A kitten is sitting in the garden."),
         ("How do I reset my password?", "I forgot my login and want to set a new one."),
         ("The stock market fell sharply today.", "Share prices dropped a lot this afternoon.")]
SENTENCES = [sentence for pair in PAIRS for sentence in pair]
PARAGRAPH = " ".join(SENTENCES * 3)


@pytest.fixture(scope="module")
def reference(minilm):
    return Reference(MODELS / minilm)


def vectors_of(text: str) -> np.ndarray:
    return np.array([[float(number) for number in line.split()] for line in text.splitlines()])


def test_vectors_are_those_of_the_published_recipe(kvasir, minilm, reference):
    # The ids are those of Hugging Face's tokenizers, so nothing of ours is on the other side.
    cases = json.loads((ROOT / "src/text/testdata/wordpiece.json").read_text())
    cases = [case for case in cases if case["text"].strip() and not set(case["text"]) & set("\n\r\0") and len(case["ids"]) <= 256]
    assert len(cases) > 30
    ours = vectors_of(kvasir.ok("embed", "-m", minilm, stdin="".join(case["text"] + "\n" for case in cases)))
    expected = reference.embed_all([case["ids"] for case in cases])
    assert ours.shape == expected.shape == (len(cases), 384)
    assert np.abs(np.linalg.norm(ours, axis=1) - 1).max() < 1e-6
    assert (ours * expected).sum(1).min() > 1 - 1e-6
    assert np.abs(ours - expected).max() < 2e-6


def test_a_text_near_the_longest(kvasir, minilm, reference):
    text = "word " * 254
    ids = json.loads(kvasir.ok("tokenize", "-m", minilm, "--ids", stdin=text))
    assert len(ids) == 256
    ours = vectors_of(kvasir.ok("embed", "-m", minilm, text))[0]
    assert ours @ reference.embed(ids) > 1 - 1e-6
    message = kvasir.fails("embed", "-m", minilm, "fine", text + "word")
    assert "TEXT 2: the text has 257 tokens, but the model reads 256 at most" in message
    longer = vectors_of(kvasir.ok("embed", "-m", minilm, "-c", "512", text + "word " * 200))[0]
    assert abs(np.linalg.norm(longer) - 1) < 1e-6


@pytest.mark.parametrize("model", ["minilm", "gemma3-270m"])
def test_a_sentence_is_nearest_to_its_paraphrase(kvasir, model, minilm, gemma3):
    vectors = vectors_of(kvasir.ok("embed", "-m", model, *SENTENCES))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    right = [int(row.argmax()) == (i ^ 1) for i, row in enumerate(cosines)]
    # An encoder is trained for it; a decoder was not, so it may be wrong now and then.
    assert sum(right) >= (len(SENTENCES) if model == "minilm" else len(SENTENCES) // 2), cosines.round(2)


def test_a_text_does_not_depend_on_the_others_or_on_threads(kvasir, minilm, smollm2):
    for model in (minilm, smollm2):
        together = kvasir.ok("embed", "-m", model, "-t", "2", *SENTENCES, PARAGRAPH)
        alone = "".join(kvasir.ok("embed", "-m", model, "-t", "1", sentence) for sentence in (*SENTENCES, PARAGRAPH)[-3:])
        assert "".join(together.splitlines(keepends=True)[-3:]) == alone


def test_lines_and_json(kvasir, minilm):
    lines = kvasir.ok("embed", "-m", minilm, stdin="A man is eating food.\r\nThe cat sits outside.")
    assert lines == kvasir.ok("embed", "-m", minilm, "A man is eating food.", "The cat sits outside.")
    answer = json.loads(kvasir.ok("embed", "-m", minilm, "--json", "A man is eating food.", "The cat sits outside."))
    assert {key: answer[key] for key in answer if key != "data"} == {
        "model": "minilm", "architecture": "bert", "pooling": "mean", "normalised": True, "dimensions": 384, "max_tokens": 256}
    assert [item["index"] for item in answer["data"]] == [0, 1]
    assert [item["tokens"] for item in answer["data"]] == [8, 7]
    assert np.array_equal(np.array([item["embedding"] for item in answer["data"]]), vectors_of(lines))


def test_decoders_give_vectors_too(kvasir, smollm2):
    answer = json.loads(kvasir.ok("embed", "-m", smollm2, "--json", *SENTENCES[:2]))
    assert (answer["architecture"], answer["pooling"], answer["normalised"], answer["dimensions"], answer["max_tokens"]) == (
        "llama", "mean", True, 576, 2048)
    for item in answer["data"]:
        assert abs(np.linalg.norm(item["embedding"]) - 1) < 1e-5


def test_a_folder_of_the_same_name_is_no_model(kvasir, minilm, tmp_path):
    (tmp_path / minilm).mkdir()
    assert len(vectors_of(kvasir.ok("embed", "-m", minilm, "a", cwd=tmp_path))[0]) == 384


def test_calls_that_are_wrong(kvasir, minilm, tmp_path):
    assert "there is no text" in kvasir.fails("embed", "-m", minilm)
    assert "line 2 of standard input is empty" in kvasir.fails("embed", "-m", minilm, stdin="a\n\nb\n")
    assert "line 1" in kvasir.fails("embed", "-m", minilm, stdin=b"\xff\xfe\n")
    assert "TEXT is empty" in kvasir.fails("embed", "-m", minilm, "", code=2)
    assert "513 tokens were asked for" in kvasir.fails("embed", "-m", minilm, "-c", "513", "a")
    for command in (["run", "-p", "Hi"], ["bench"]):
        assert "is an encoder" in kvasir.fails(command[0], "-m", minilm, *command[1:])
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "t5"}')
    assert 'model_type is "t5"' in kvasir.fails("embed", "-m", str(folder), "a")
    (folder / "config.json").write_bytes((MODELS / minilm / "config.json").read_bytes())
    assert "model.safetensors" in kvasir.fails("embed", "-m", str(folder), "a")
    (folder / "model.safetensors").write_bytes((MODELS / minilm / "model.safetensors").read_bytes()[:1_000_000])
    assert "cut off or damaged" in kvasir.fails("embed", "-m", str(folder), "a")
