"""The two smallest vocabularies that an engine can load: byte-level BPE and SentencePiece, of any size from a few hundred tokens."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from string import ascii_lowercase

import gguf
from gguf import TokenType


@dataclass(frozen=True)
class Vocabulary:
    tokens: list[str]
    types: list[int]
    bos: int
    eos: int
    first_plain: int  # ordinary tokens are [first_plain, end_plain)
    end_plain: int


def _letter_pairs(count: int) -> list[str]:
    return ["".join(pair) for pair in islice(product(ascii_lowercase, repeat=2), count)]


def _byte_alphabet() -> list[str]:
    """The printable stand-ins that byte-level BPE uses for the 256 bytes, in byte order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


def add_bpe(writer: gguf.GGUFWriter, size: int, pre: str) -> Vocabulary:
    """256 bytes, letter pairs as merges, and <|bos|>, <|eos|> at the end. No BOS is added to a prompt."""
    pairs = _letter_pairs(size - 258)
    tokens = [*_byte_alphabet(), *pairs, "<|bos|>", "<|eos|>"]
    types = [int(TokenType.NORMAL)] * (size - 2) + [int(TokenType.CONTROL)] * 2
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([f"{pair[0]} {pair[1]}" for pair in pairs])
    writer.add_add_bos_token(False)
    return _finish(writer, Vocabulary(tokens, types, size - 2, size - 1, 0, size - 2))


def add_sentencepiece(writer: gguf.GGUFWriter, size: int) -> Vocabulary:
    """<unk> <s> </s>, 256 byte tokens, the space, letters and letter pairs. A prompt starts with <s>."""
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    pieces = ["\u2581", *ascii_lowercase, *_letter_pairs(size)][: size - 259]
    tokens = ["<unk>", "<s>", "</s>", *byte_tokens, *pieces]
    types = [int(TokenType.UNKNOWN)] + [int(TokenType.CONTROL)] * 2 + [int(TokenType.BYTE)] * 256
    types += [int(TokenType.NORMAL)] * len(pieces)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(len(pieces))])
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    return _finish(writer, Vocabulary(tokens, types, 1, 2, 3, size))


def _finish(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> Vocabulary:
    writer.add_bos_token_id(vocabulary.bos)
    writer.add_eos_token_id(vocabulary.eos)
    return vocabulary
