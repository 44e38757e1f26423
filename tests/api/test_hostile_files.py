"""Model files made to do harm: each ends in one line of error, without a crash and without much memory.

The files are a working model of 100 KB with one thing wrong, after published attacks on GGUF readers: counts and lengths
that overflow, shapes that wrap, offsets beyond the file, numbers that become divisors, vocabularies that point outside of
themselves, templates that never end. Every command that opens a model gets every file.

Any program will do ($KVASIR_BIN). A stray read that happens to hit mapped memory is seen only under the sanitizers:

    ./dev test python --preset asan -- -R python.api
"""

import json
import os
import re
import struct
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Kvasir
from program import BINARY, SANITIZER, SLOWNESS, assert_no_report

PEAK_BYTES = 400 << 20  # of a program that opens files of 100 KB
PEAK_BYTES_SANITIZED = 1600 << 20  # AddressSanitizer keeps freed memory for a while, ThreadSanitizer has shadows of all
SECONDS = 120 * SLOWNESS

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
PACK = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def value(kind: int, content) -> bytes:
    return struct.pack("<I", kind) + (text(content) if kind == STRING else struct.pack("<" + PACK[kind], content))


def array(element: int, items, count: int | None = None) -> bytes:
    """An array that claims `count` items."""
    body = b"".join(map(text, items)) if element == STRING else struct.pack(f"<{len(items)}{PACK[element]}", *items)
    return struct.pack("<IIQ", ARRAY, element, len(items) if count is None else count) + body


def tensor(name: str | bytes, shape, kind: int, offset: int, dims: int | None = None) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}qIQ", len(shape) if dims is None else dims, *shape, kind & 0xFFFFFFFF, offset)


E, F, V, HEADS = 32, 64, 262, 2  # embedding, feed-forward and vocabulary size


class Model:
    """A small llama that works. A test changes `keys`, `tensors` or the counts, then writes it."""

    def __init__(self):
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b"]
        self.keys = {
            "general.architecture": value(STRING, "llama"),
            "llama.context_length": value(U32, 64),
            "llama.embedding_length": value(U32, E),
            "llama.block_count": value(U32, 1),
            "llama.feed_forward_length": value(U32, F),
            "llama.attention.head_count": value(U32, HEADS),
            "llama.attention.head_count_kv": value(U32, 1),
            "llama.attention.layer_norm_rms_epsilon": value(F32, 1e-5),
            "tokenizer.ggml.model": value(STRING, "llama"),
            "tokenizer.ggml.tokens": array(STRING, tokens),
            "tokenizer.ggml.scores": array(F32, [0.0] * 259 + [-1.0, -2.0, -3.0]),
            "tokenizer.ggml.token_type": array(I32, [2, 3, 3] + [6] * 256 + [1] * 3),
            "tokenizer.ggml.bos_token_id": value(U32, 1),
            "tokenizer.ggml.eos_token_id": value(U32, 2),
            "tokenizer.chat_template": value(STRING, "{% for m in messages %}{{ m.content }}{% endfor %}"),
        }
        shapes = {"token_embd.weight": (E, V), "output_norm.weight": (E,), "output.weight": (E, V)}
        for name, shape in {"attn_norm": (E,), "attn_q": (E, E), "attn_k": (E, E // HEADS), "attn_v": (E, E // HEADS),
                            "attn_output": (E, E), "ffn_norm": (E,), "ffn_gate": (E, F), "ffn_up": (E, F), "ffn_down": (F, E)}.items():
            shapes[f"blk.0.{name}.weight"] = shape
        self.tensors, self.data = {}, b""
        for name, shape in shapes.items():
            self.tensors[name] = tensor(name, shape, 0, len(self.data))
            count = shape[0] * (shape[1] if len(shape) == 2 else 1)
            self.data += struct.pack(f"<{count}f", *(((i * 37 % 101) - 50) / 500 for i in range(count)))
        self.version, self.n_keys, self.n_tensors, self.extra, self.end = 3, None, None, b"", b""

    def vocabulary(self, **changes):
        self.keys.update({f"tokenizer.ggml.{name}": content for name, content in changes.items()})

    def bpe(self, merges, tokens=("a", "b", "ab", "<s>")):
        for name in ("scores", "bos_token_id", "eos_token_id"):
            del self.keys[f"tokenizer.ggml.{name}"]
        self.vocabulary(model=value(STRING, "gpt2"), pre=value(STRING, "gpt-2"), tokens=array(STRING, tokens),
                        token_type=array(I32, [1] * len(tokens)), merges=array(STRING, merges))

    def bytes(self) -> bytes:
        out = b"GGUF" + struct.pack("<IQQ", self.version, len(self.tensors) if self.n_tensors is None else self.n_tensors,
                                    len(self.keys) if self.n_keys is None else self.n_keys)
        out += b"".join(text(key) + content for key, content in self.keys.items()) + self.extra + b"".join(self.tensors.values())
        alignment = struct.unpack("<I", self.keys.get("general.alignment", b"....\x20\0\0\0")[4:8])[0]
        if 0 < alignment <= 4096:
            out += bytes(-len(out) % alignment)
        return out + self.data + self.end


CASES = {}  # name -> (change the model, what the message says, the commands that must refuse it)
EVERY = ("inspect", "inspect --json", "tokenize", "apply-template", "run")
VOCABULARY = ("tokenize", "apply-template", "run")


def case(message: str, commands=EVERY):
    def add(change):
        CASES[change.__name__.replace("_", " ")] = (change, message, commands)
        return change
    return add


def cases(names: dict, message: str, commands=EVERY):
    """One function for many values: it is called with the model and one of them."""
    def add(change):
        for name, content in names.items():
            CASES[f"{change.__name__.replace('_', ' ')}: {name}"] = (lambda m, c=content: change(m, c), message, commands)
        return change
    return add


# 1, 9. Counts in the header.

HUGE = {"2^31": 2**31, "2^60": 2**60, "2^63": 2**63, "2^64-1": 2**64 - 1}


@cases(HUGE, r"keys")
def key_count(m, count):
    m.n_keys = count


@cases(HUGE, r"tensors")
def tensor_count(m, count):
    m.n_tensors = count


@case(r"m\.gguf")
def one_key_too_many(m):
    m.n_keys = len(m.keys) + 1


@cases({"0": 0, "1": 1, "4": 4, "big-endian": 0x03000000}, r"version|endian")
def other_version(m, version):
    m.version = version


# 2. Lengths of strings and arrays.

@cases({"1 GiB": 2**30, "2^40": 2**40, "2^63": 2**63, "2^64-1": 2**64 - 1}, r"bytes|string|long")
def string_length(m, length):
    m.keys["x.y"] = struct.pack("<IQ", STRING, length) + b"abc"


@cases({"2^30 bytes": (U8, 2**30), "2^32 floats": (F32, 2**32 + 1), "2^61 doubles": (F64, 2**61), "2^64-1 strings": (STRING, 2**64 - 1),
        "2^40 strings": (STRING, 2**40)}, r"elements|array|entries")
def array_length(m, claim):
    m.keys["x.y"] = array(claim[0], [], claim[1])


@case(r"x\.y")
def array_of_arrays(m):
    m.keys["x.y"] = struct.pack("<IIQ", ARRAY, ARRAY, 1) + struct.pack("<IQ", ARRAY, 1) * 64


@cases({"13": 13, "2^32-1": 2**32 - 1}, r"type")
def type_of_value(m, kind):
    m.keys["x.y"] = struct.pack("<I", kind) + bytes(8)


@cases({"empty": b"", "70 KB": b"k" * 70_000, "twice": b"llama.block_count"}, r"key")
def name_of_a_key(m, name):
    m.n_keys = len(m.keys) + 1
    m.extra = text(name) + value(U32, 1)


# 3, 6. Shapes.

@cases({"2^32 x 2^32": [2**32, 2**32], "2^42+1": [32, 2**42 + 1], "2^62 x 4": [2**62, 4], "2^31 four times": [2**31] * 4,
        "negative": [-1, 32], "-2^63": [-(2**63)], "zero": [0, 32], "2^61": [2**61]}, r"token_embd\.weight")
def shape(m, dims):
    m.tensors["token_embd.weight"] = tensor("token_embd.weight", dims, 0, 0)


@cases({"0": 0, "5": 5, "255": 255, "2^32-1": 2**32 - 1}, r"dimension")
def number_of_dimensions(m, dims):
    m.tensors["token_embd.weight"] = tensor("token_embd.weight", [E, V, 1, 1], 0, 0, dims)


@cases({"-1": -1, "4 (removed)": 4, "99": 99, "2^31": 2**31}, r"token_embd\.weight.*type|type.*token_embd\.weight")
def type_of_a_tensor(m, kind):
    m.tensors["token_embd.weight"] = tensor("token_embd.weight", [E, V], kind, 0)


@case(r"token_embd\.weight")
def row_is_no_multiple_of_the_block(m):
    m.tensors["token_embd.weight"] = tensor("token_embd.weight", [33, V], 8, 0)


@case(r"output_norm\.weight")
def two_tensors_of_one_name(m):
    m.n_tensors = len(m.tensors) + 1
    m.tensors["again"] = tensor("output_norm.weight", [E], 0, len(m.data))
    m.end = bytes(4 * E)


@case(r"name|64")
def name_of_a_tensor_is_long(m):
    m.tensors["token_embd.weight"] = tensor(b"x" * 100_000, [E, V], 0, 0)


# 4. Alignment.

@cases({"0": value(U32, 0), "3": value(U32, 3), "2^30": value(U32, 2**30), "2^31": value(U32, 2**31), "2^32-1": value(U32, 2**32 - 1),
        "of type I32": value(I32, 32), "of type U64": value(U64, 32), "a string": value(STRING, "32")}, r"alignment")
def alignment(m, content):
    m.keys["general.alignment"] = content


# 5. Tensors that are not in the file.

@cases({"beyond the end": 2**40, "2^63": 2**63, "wraps around": 2**64 - 32, "not aligned": 1, "over another": 32}, r"output_norm\.weight")
def offset(m, position):
    m.tensors["output_norm.weight"] = tensor("output_norm.weight", [E], 0, position)


@cases({"by one byte": 1, "by half": 60_000}, r"beyond|end|bytes|cut|short|incomplete")
def data_are_cut_short(m, missing):
    m.data = m.data[:-missing]


# 7. Numbers that the model is built from.

OFFSET_OF_Q = 4 * (2 * E * V + 2 * E)
HOSTILE_NUMBERS = {"0": value(U32, 0), "2^31": value(U32, 2**31), "2^32-1": value(U32, 2**32 - 1), "-1": value(I32, -1), "2^63": value(U64, 2**63),
                   "a string": value(STRING, "1"), "an array": array(U32, [1, 1, 1])}
for _key in ("block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length"):
    for _name, _content in HOSTILE_NUMBERS.items():
        CASES[f"{_key}: {_name}"] = (lambda m, k=_key, c=_content: m.keys.update({f"llama.{k}": c}), re.escape(_key), ("run",))


@cases({"3 for 2 heads": 3, "0": 0, "2^32-1": 2**32 - 1}, r"head", ("run",))
def key_value_heads(m, count):
    m.keys["llama.attention.head_count_kv"] = value(U32, count)


@cases({"0": 0, "7": 7, "2^31": 2**31}, r"rope|dimension", ("run",))
def rope_dimensions(m, count):
    m.keys["llama.rope.dimension_count"] = value(U32, count)


@cases({"NaN": float("nan"), "infinite": float("inf"), "negative": -1.0}, r"epsilon", ("run",))
def norm_epsilon(m, number):
    m.keys["llama.attention.layer_norm_rms_epsilon"] = value(F32, number)


@case(r"blk\.1\.", ("run",))
def more_layers_than_tensors(m):
    m.keys["llama.block_count"] = value(U32, 2)


@case(r"blk\.0\.attn_q\.weight", ("run",))
def a_tensor_is_missing(m):
    m.tensors["blk.0.attn_q.weight"] = tensor("blk.0.attn_x.weight", [E, E], 0, OFFSET_OF_Q)


@case(r"blk\.0\.attn_q\.weight", ("run",))
def a_tensor_has_another_shape(m):
    m.tensors["blk.0.attn_q.weight"] = tensor("blk.0.attn_q.weight", [E * 2, E // 2], 0, OFFSET_OF_Q)


@cases({"unknown": "nonesuch", "empty": "", "control characters": "\x1b]0;x\x07\x1b[31mred\n", "1 MB": "x" * (1 << 20)}, r"architecture", ("run",))
def architecture(m, name):
    m.keys["general.architecture"] = value(STRING, name)


@case(r"general\.architecture", ("run",))
def no_architecture(m):
    del m.keys["general.architecture"]


# 8. Vocabularies.

for _name, _content in {"U8": array(U8, [1] * V), "I32": array(I32, [1] * V), "strings": array(STRING, ["1"] * V), "one short": array(F32, [0.0] * (V - 1)),
                        "empty": array(F32, []), "no array": value(F32, 1.0), "NaN": array(F32, [float("nan")] * V)}.items():
    CASES[f"scores: {_name}"] = (lambda m, c=_content: m.vocabulary(scores=c), r"score|merge", VOCABULARY)
for _name, _content in {"U8": array(U8, [1] * (V - 1)), "floats": array(F32, [1.0] * V)}.items():
    CASES[f"token types: {_name}"] = (lambda m, c=_content: m.vocabulary(token_type=c), r"type", VOCABULARY)
for _name, _content in {"integers": array(I32, [1] * V), "none": array(STRING, []), "a string": value(STRING, "a")}.items():
    CASES[f"tokens: {_name}"] = (lambda m, c=_content: m.vocabulary(tokens=c), r"token", VOCABULARY)


@cases({"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding", "eot": "eot"}, r"token id is 262", VOCABULARY)
def special_token_beyond_the_vocabulary(m, name):
    m.keys[f"tokenizer.ggml.{name}_token_id"] = value(U32, V)


@cases({"2^32-2": value(U32, 2**32 - 2), "2^63": value(U64, 2**63), "a string": value(STRING, "1")}, r"token_id", VOCABULARY)
def bos(m, content):
    m.vocabulary(bos_token_id=content)


@cases({"tokens": "tokens", "model": "model"}, r"tokenizer\.ggml", VOCABULARY)
def missing_key(m, name):
    del m.keys[f"tokenizer.ggml.{name}"]


@case(r"nonesuch.*smollm|smollm.*nonesuch", VOCABULARY)
def unknown_pre_tokenizer(m):
    m.bpe(["a b"])
    m.vocabulary(pre=value(STRING, "nonesuch"))


# What is odd in a vocabulary and harmless: commands may succeed or refuse, nothing else.

@cases({"no number": ["<0xZZ>"], "negative": ["<0x-1>"], "long": ["<0x100>", "<0x" + "F" * 1000 + ">"], "unfinished": ["<0x", "<0x4"]}, "", ())
def byte_token(m, spellings):
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b"]
    tokens[3:3 + len(spellings)] = spellings
    m.vocabulary(tokens=array(STRING, tokens))


@cases({"absent": ["a b", "x y", "q q"], "without a space": ["ab", "", " ", "a", " a", "a "], "twice": ["a b"] * 3}, "", ())
def merges(m, pairs):
    m.bpe(pairs)


@cases({"1 MB": "x" * (1 << 20), "control": "\x1b[2J\x07\0", "not UTF-8": b"\xff\xc0\xed\xa0\x80", "empty": ""}, "", ())
def text_of_a_token(m, content):
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", content, content]
    m.vocabulary(tokens=array(STRING, tokens))


@cases({"77": 77, "-1": -1}, "", ())
def types_of_tokens(m, kind):
    m.vocabulary(token_type=array(I32, [2, 3, 3] + [6] * 256 + [kind] * 3))


@cases({"not UTF-8": b"\xff\xfe", "control": b"\x1b[31m\xc2\x9b"}, "", ())
def key_of_odd_bytes(m, name):
    m.n_keys = len(m.keys) + 1
    m.extra = text(name) + value(STRING, name)


@cases({"name": "general.name", "template": "tokenizer.chat_template"}, "", ())
def control_characters(m, key):
    m.keys[key] = value(STRING, "\x1b]0;x\x07\x1b[31mred\u009b31m\x7f")


# 10. Files of another purpose.

@cases({"adapter": "adapter", "imatrix": "imatrix", "mmproj": "mmproj"}, r"", ("run",))
def general_type(m, name):
    m.keys["general.type"] = value(STRING, name)
    m.keys["general.architecture"] = value(STRING, "clip" if name == "mmproj" else "llama")
    m.tensors = {"blk.0.attn_q.weight.lora_a": tensor("blk.0.attn_q.weight.lora_a", [4, 4], 0, 0)}
    m.data = bytes(64)


# 12. Templates.

TEMPLATES = {
    "a loop of 10^10": "{% for a in range(100000) %}{% for b in range(100000) %}{{ '' }}{% endfor %}{% endfor %}",
    "a string of 10^10": "{{ 'x' * 10000000000 }}",
    "doubling": "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    "lists in lists": "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "endless recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "exponential recursion": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(64) }}",
    "wide formats": "{{ '%999999999999d' % 1 }}{{ '{:>999999999}'.format(1) }}",
    "a big power": "{{ 9 ** 9 ** 9 ** 9 }}",
    "Python inside": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "Python by a filter": "{{ (''|attr('__class__')).mro() }}",
    "Python in a format": "{{ '{0.__class__.__init__.__globals__}'.format(messages)[99999] }}{{ messages.__init__.__globals__ }}",
    "100000 brackets": "{{ " + "(" * 100_000,
    "100000 ifs": "{% if 1 %}" * 100_000,
    "100000 nots": "{{ " + "not " * 100_000 + "1 }}",
    "does not parse": "{% for x in %}",
    "an include": "{% include '/etc/passwd' %}",
    "a raised message": "{{ raise_exception('\x1b[31mred\n\x07' * 100) }}",
}


@cases(TEMPLATES, r"template line \d+", ("apply-template",))
def template(m, source):
    m.keys["tokenizer.chat_template"] = value(STRING, source)


@case(r"chat_template", ("apply-template",))
def template_is_a_number(m):
    m.keys["tokenizer.chat_template"] = value(U32, 1)


def watched(kvasir: Kvasir, folder: Path, arguments, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """Exit code, output and errors, having checked time and memory."""
    (folder / "stdin").write_bytes(stdin)
    with open(folder / "stdin") as given, open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        started = time.monotonic()
        process = subprocess.Popen([BINARY, *arguments], stdin=given, stdout=out, stderr=err, env=kvasir.env)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - started > SECONDS:
                process.kill()
                os.wait4(process.pid, 0)
                pytest.fail(f"{arguments} is still running after {SECONDS} s")
            time.sleep(0.002)
    process.returncode = os.waitstatus_to_exitcode(status)
    errors = (folder / "err").read_text(encoding="utf-8")  # an error shows nothing that is not UTF-8
    assert_no_report(errors)
    limit = PEAK_BYTES_SANITIZED if SANITIZER else PEAK_BYTES
    assert usage.ru_maxrss << 10 < limit, f"{arguments} took {usage.ru_maxrss >> 10} MB"
    return process.returncode, (folder / "out").read_bytes(), errors


def commands(path: Path) -> dict:
    request = json.dumps({"messages": [{"role": "user", "content": "ab"}]}).encode()
    return {
        "inspect": (["inspect", str(path), "--metadata", "--tensors"], b""),
        "inspect --json": (["inspect", str(path), "--json"], b""),
        "tokenize": (["tokenize", "-m", str(path), "--ids"], b"abba \xff b"),
        "apply-template": (["apply-template", "-m", str(path)], request),
        "run": (["run", "-m", str(path), "-p", "ab", "-n", "2", "--raw", "-t", "1"], b""),
    }


STEERS_A_TERMINAL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def is_one_clean_line(errors: str) -> bool:
    return re.fullmatch(r"kvasir: [^\n]{5,2000}\n", errors) is not None and not STEERS_A_TERMINAL.search(errors)


def test_the_model_that_the_cases_spoil_is_good(kvasir, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(Model().bytes())
    for arguments, stdin in commands(path).values():
        code, out, errors = watched(kvasir, tmp_path, arguments, stdin)
        assert code == 0, errors
        assert out


@pytest.mark.parametrize("name", CASES)
def test_is_refused_in_one_line(kvasir, tmp_path, name):
    change, message, refusing = CASES[name]
    model = Model()
    change(model)
    path = tmp_path / "m.gguf"
    path.write_bytes(model.bytes())
    for command, (arguments, stdin) in commands(path).items():
        code, out, errors = watched(kvasir, tmp_path, arguments, stdin)
        if command in refusing:
            assert code == 1, f"{command} accepts it: exit code {code}, {errors!r}"
        if code != 0:
            assert code == 1 and is_one_clean_line(errors), f"{command}: exit code {code}, {errors!r}"
        if command == "inspect":  # shown on a terminal
            assert not STEERS_A_TERMINAL.search(out.decode()), out
        if command == "inspect --json" and code == 0:
            assert json.loads(out)["path"] == str(path)
        if command in refusing:
            assert re.search(message, errors), f"{command}: {errors}"


def test_every_length_of_a_file_is_refused(kvasir, tmp_path):
    good = Model().bytes()
    path = tmp_path / "m.gguf"
    for length in [*range(0, 64, 5), *range(64, len(good), len(good) // 60)]:
        path.write_bytes(good[:length])
        code, _, errors = watched(kvasir, tmp_path, ["inspect", str(path)])
        assert code == 1 and is_one_clean_line(errors), f"{length} bytes: {code}, {errors!r}"


# 8. Split models.

@pytest.mark.parametrize("count, number, present", [(2, 0, 1), (3, 2, 1), (65535, 0, 1), (2, 7, 2)])
def test_split_models_that_are_no_whole_are_refused(kvasir, tmp_path, count, number, present):
    for part in range(present):
        model = Model()
        model.keys.update({"split.count": value(U16, count), "split.no": value(U16, number), "split.tensors.count": value(I32, 99)})
        (tmp_path / f"m-{part + 1:05}-of-{max(present, 2):05}.gguf").write_bytes(model.bytes())
    first = tmp_path / f"m-00001-of-{max(present, 2):05}.gguf"
    for arguments, stdin in commands(first).values():
        code, _, errors = watched(kvasir, tmp_path, arguments, stdin)
        assert code == 1 and is_one_clean_line(errors), errors
        assert re.search(r"split|part|00002-of", errors), errors


# 11. Names that lead elsewhere, and paths that are no files.

@pytest.mark.parametrize("name", ["../../../../etc/passwd", "smollm2/../../../etc/passwd", "/etc/passwd", ".", "..", "/", "/dev/null", "/dev/zero",
                                  "/proc/self/mem", "~root", "nonesuch", "-", " ", "a" * 5000, "smollm2.gguf/x", "\x1b[31mred"])
def test_a_name_that_is_no_model_is_refused(kvasir, tmp_path, name):
    for command in (["inspect", "--", name], ["tokenize", "-m", name], ["run", "-p", "x", "-m", name]):
        code, out, errors = watched(kvasir, tmp_path, command)
        assert code in (1, 2) and out == b"", f"{command}: exit code {code}, {errors!r}"
        assert code == 2 or is_one_clean_line(errors), errors


def test_pipes_folders_and_links_in_a_circle_are_refused(kvasir, tmp_path):
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "circle.gguf").symlink_to(tmp_path / "circle.gguf")
    (tmp_path / "empty.gguf").write_bytes(b"")
    (tmp_path / "html.gguf").write_bytes(b"<!doctype html><title>404</title>" * 100)
    for name in ("pipe", "folder", "circle", "empty", "html"):
        code, _, errors = watched(kvasir, tmp_path, ["inspect", str(tmp_path / f"{name}.gguf")])
        assert code == 1 and is_one_clean_line(errors), f"{name}: exit code {code}, {errors!r}"
