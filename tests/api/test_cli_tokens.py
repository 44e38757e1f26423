"""tokenize, detokenize and apply-template: text in, exactly the right tokens and bytes out."""

import json
import random

import pytest
from program import DATA

VOCABULARIES = sorted((DATA / "tokenizers").glob("*.gguf"))
TEMPLATES = sorted((DATA / "templates").glob("*.jinja"))
REVERSIBLE = [path for path in VOCABULARIES if "bert" not in path.name]  # WordPiece keeps neither case nor blanks
NEVER_IN_UTF8 = bytes([0xC0, 0xC1, *range(0xF5, 0x100)])
WITHOUT_TOKEN = {"starcoder": NEVER_IN_UTF8 + b"\xF1", "deepseek-coder": NEVER_IN_UTF8}  # F1 begins no assigned character

GPT2 = DATA / "tokenizers/ggml-vocab-gpt-2.gguf"
LLAMA_BPE = DATA / "tokenizers/ggml-vocab-llama-bpe.gguf"

needs_data = pytest.mark.skipif(not VOCABULARIES, reason=f"the shared data are not at {DATA}")
name = lambda path: path.name  # noqa: E731


def cases(path):
    texts = (path.parent / (path.name + ".inp")).read_bytes().split(b"\n__ggml_vocab_test__\n")[:-1]
    ids = (path.parent / (path.name + ".out")).read_text().splitlines()
    assert len(texts) == len(ids)
    return [(text, [int(i) for i in line.split()]) for text, line in zip(texts, ids)]


def ids_of(kvasir, vocabulary, texts) -> list[list[int]]:
    """Of many texts, from one process."""
    lines = "".join(json.dumps(text.decode()) + "\n" for text in texts)
    shown = kvasir.ok("tokenize", "-m", str(vocabulary), "--lines", "--no-special", stdin=lines)
    return [json.loads(line) for line in shown.splitlines()]


@needs_data
@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=name)
def test_all_reference_texts(kvasir, vocabulary):
    texts, expected = zip(*cases(vocabulary))
    for text, got, ids in zip(texts, ids_of(kvasir, vocabulary, texts), expected, strict=True):
        assert got == ids, text


@needs_data
def test_standard_input_is_the_text(kvasir):
    for text, expected in cases(GPT2):
        assert json.loads(kvasir.ok("tokenize", "-m", str(GPT2), "--ids", "--no-special", stdin=text)) == expected, text


def there_and_back(kvasir, vocabulary, text: bytes) -> bytes:
    ids = kvasir("tokenize", "-m", str(vocabulary), "--ids", "--no-special", stdin=text).stdout
    return kvasir("detokenize", "-m", str(vocabulary), stdin=ids).stdout


@needs_data
@pytest.mark.parametrize("vocabulary", REVERSIBLE, ids=name)
def test_any_bytes_survive_the_way_there_and_back(kvasir, vocabulary):
    text = b"\n".join(text for text, _ in cases(vocabulary)) + b"\r\n \0"
    text += bytes(range(256)) + b"\n" + random.Random(1).randbytes(5000)
    lost = next((lost for name, lost in WITHOUT_TOKEN.items() if name in vocabulary.name), b"")
    for byte in lost:
        assert there_and_back(kvasir, vocabulary, bytes([byte])) != bytes([byte])
    text = text.translate(None, lost)
    assert there_and_back(kvasir, vocabulary, text) == text


@needs_data
@pytest.mark.parametrize("text", [b"", b"\n", b"no newline", b"newline\n", b"\0", b"\r\n "])
def test_nothing_is_added_to_a_text_or_taken_away(kvasir, text):
    assert there_and_back(kvasir, GPT2, text) == text


@needs_data
def test_lines_that_are_no_texts(kvasir):
    for line in ("Hello", "1", '["a"]', "", '"a'):
        message = kvasir.fails("tokenize", "-m", str(GPT2), "--lines", stdin=f'"fine"\n{line}\n')
        assert "line 2 of standard input must be a text as a JSON string" in message, line


@needs_data
def test_lines_show_each_token(kvasir):
    shown = kvasir.ok("tokenize", "-m", str(GPT2), stdin="Hello  world\n\t\\")
    assert shown.splitlines() == ["15496\tHello", "220\t ", "995\t world", "198\t\\n", "197\t\\t", "59\t\\\\"]
    shown = kvasir.ok("tokenize", "-m", str(GPT2), stdin="\u2603".encode())
    assert all("\t" in line for line in shown.splitlines())
    assert "\\x" in shown  # a character in pieces


@needs_data
def test_special_tokens(kvasir):
    text = "<|begin_of_text|>a"
    ids = lambda *flags: json.loads(kvasir.ok("tokenize", "-m", str(LLAMA_BPE), "--ids", *flags, stdin=text))  # noqa: E731
    assert ids()[:2] == [128000, 128000]  # the model's own, and the one in the text
    assert 128000 not in ids("--no-special")
    back = lambda *flags: kvasir.ok("detokenize", "-m", str(LLAMA_BPE), *flags, stdin="[128000, 64]")  # noqa: E731
    assert back() == "a"
    assert back("--special") == "<|begin_of_text|>a"


@needs_data
@pytest.mark.parametrize("ids, expected", [
    ("[1, 2, x]", "'x' (item 3) is not a token id"),
    ("15496 -1", "'-1' (item 2) is not a token id"),
    ("15496 99999", "99999"),
    ("[15496", "does not end with ]"),
    (b"\xff\xfe", "item 1"),
    ("1e5", "'1e5' (item 1)"),
])
def test_ids_that_are_none(kvasir, ids, expected):
    assert expected in kvasir.fails("detokenize", "-m", str(GPT2), stdin=ids)


@needs_data
def test_ids_in_every_notation(kvasir):
    for ids in ("[15496, 995]", "15496 995", "15496\n995\n", "15496,995"):
        assert kvasir.ok("detokenize", "-m", str(GPT2), stdin=ids) == "Hello world"
    assert kvasir.ok("detokenize", "-m", str(GPT2), stdin="") == ""


# ---- apply-template

CONVERSATION = {
    "messages": [
        {"role": "user", "content": "  What's \"2 < 3\"?\n"},
        {"role": "assistant", "content": "True & Gr\u00fc\u00dfe \U0001f642"},
        {"role": "user", "content": "Sure?"},
    ],
    "add_generation_prompt": True,
}


def jinja(source: str, request: dict, bos: str, eos: str) -> str:
    """The text as transformers makes it."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message):
        raise ValueError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: __import__("datetime").datetime.now().strftime(form)
    request = {"tools": None, "documents": None, **request}
    return environment.from_string(source).render(bos_token=bos, eos_token=eos, **request)


@needs_data
@pytest.mark.parametrize("template", TEMPLATES, ids=name)
def test_templates_of_published_models(kvasir, template):
    args = ["apply-template", "-f", str(template), "--bos", "<s>", "--eos", "</s>"]
    try:
        expected = jinja(template.read_text(), CONVERSATION, "<s>", "</s>")
    except Exception:  # a template that insists on tools, say
        assert kvasir.fails(*args, stdin=json.dumps(CONVERSATION))
        return
    assert kvasir.ok(*args, stdin=json.dumps(CONVERSATION)) == expected


def test_integers_of_any_length_keep_their_digits(kvasir, tmp_path):
    template = tmp_path / "a.jinja"
    template.write_text("{{ numbers }} {{ numbers|tojson }}")
    numbers = [2**63 - 1, 2**63, -2**63 - 1, 2**64, 10**50 + 7]
    text = kvasir.ok("apply-template", "-f", str(template), stdin=json.dumps({"messages": [], "numbers": numbers}))
    assert text == f"{numbers} {json.dumps(numbers)}"
    template.write_text("\n{{ numbers[4] + 1 }}")
    message = kvasir.fails("apply-template", "-f", str(template), stdin=json.dumps({"messages": [], "numbers": numbers}))
    assert f"{template}:2: the integer 100000" in message and "beyond 64 bits" in message


def test_a_models_own_template(kvasir, smollm2):
    request = {"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": True}
    text = kvasir.ok("apply-template", "-m", smollm2, stdin=json.dumps(request))
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_requests_and_templates_that_are_wrong(kvasir, tmp_path, gemma3):
    template = tmp_path / "a.jinja"
    template.write_text("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
    apply = lambda stdin: kvasir.fails("apply-template", "-f", str(template), stdin=stdin)  # noqa: E731
    assert "the chat request is not valid JSON: line 1, column 2: the text ends too early" in apply("{")
    assert "line 2, column 16: a comma stands before '}'" in apply('{\n"messages": [],}')
    assert "standard input is empty" in apply("") and "standard input is empty" in apply(" \n")
    assert "messages" in apply("{}")
    assert "messages" in apply('{"messages": 3}')
    assert apply(b"\xff")
    template.write_text("ok\n{% for m in messages %}\n{{ m.content ")
    assert f"{template}:3: " in apply('{"messages": []}')
    template.write_text("ok\n{{ messages.nothing.at_all }}")
    assert f"{template}:2: " in apply('{"messages": []}')
    template.write_text("\n\n{{ raise_exception('no tools here') }}")
    assert f"{template}:3: no tools here" in apply('{"messages": []}')
    assert str(template) not in apply('{"messages": 3}')
    assert "nowhere.jinja" in kvasir.fails("apply-template", "-f", str(tmp_path / "nowhere.jinja"))
    assert "chat template" in kvasir.fails("apply-template", "-m", gemma3, stdin='{"messages": []}')
