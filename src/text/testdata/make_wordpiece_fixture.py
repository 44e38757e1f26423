"""Writes wordpiece.json beside it: the ids that Hugging Face's tokenizers give for awkward texts (pip install tokenizers).

    python make_wordpiece_fixture.py MODELS/minilm/tokenizer.json
"""
import json
import pathlib
import sys

from tokenizers import Tokenizer

TEXTS = [
    "", " ", "\n\t ", "a", "Hello world", "HELLO, World!!", "The quick brown fox jumps over the lazy dog.",
    "unaffordability antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u00dcber stra\u00dfe \u0130stanbul \u0131\u015f\u0131k", "cafe\u0301 n\u0303 o\u0308",
    "don't it's we'll I'd rock'n'roll", "state-of-the-art e-mail co_op a/b x&y 50% $5.00 #tag @user", "http://a.b/c?d=e&f=g#h",
    "3.14159 1,000,000 2024-01-31 10:45pm \u00bd \u00b2 \u2167", "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8\u3068\u3072\u3089\u304c\u306a",
    "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8", "\u0420\u0443\u0441\u0441\u043a\u0438\u0439 \u0442\u0435\u043a\u0441\u0442 \u0439 \u0451", "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u039f\u0394\u039f\u03a3", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627",
    "\u05e2\u05d1\u05e8\u05d9\u05ea \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01", "\U0001f680 \U0001f468\u200d\U0001f469\u200d\U0001f466 ok \u2705\ufe0f!",
    "zero\u200bwidth soft\u00adhyphen bom\ufeffmark word\u2060joiner", "a\u00a0b\u2003c\u2028d\u3000e\u1680f", "a\u0000b\u0001c\u007fd\u0085e\u001cf",
    "tab\tand\r\nlines\n\n\nend", "\u201cquoted\u201d \u2018single\u2019 \u2014 dash \u2026 \u00abguillemets\u00bb \u00bfqu\u00e9? \u00a1s\u00ed!", "+=<>|~`^$ \u00a9\u00ae\u2122 \u20ac\u00a3\u00a5 \u2192\u21d2 \u2211\u222b\u221a",
    "x" * 99, "x" * 100, "x" * 101, "\u00e9" * 100, "\u00e9" * 101, "word " * 20, "UPPER lower MiXeD", "\ufb01ne \uff28\uff45\uff4c\uff4c\uff4f \u210cello",
    "ing ##ing # #ing", "a.b.c...d", "((nested [brackets] {here}))", "\U00020000\U0002a6d6 rare ideographs \uf900", "Sentence embeddings map meaning to vectors.",
    "A man is eating food. A woman is playing violin.", "e=mc^2 H2O CO\u2082", "\u01c5 \u1e9e \ufb03 \u0149", "\u1100\u1161\u11a8 \uac01", "line one\nline two",
    "I\u0307 \u0345 \u0370", "\u2e80\u3007\u3021", "\u00b7\u30fb\u2022",
]


def main():
    tokenizer = Tokenizer.from_file(sys.argv[1])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    cases = [{"text": text, "ids": tokenizer.encode(text).ids} for text in TEXTS]
    out = pathlib.Path(__file__).with_name("wordpiece.json")
    out.write_text("[\n" + ",\n".join(json.dumps(case, separators=(", ", ": ")) for case in cases) + "\n]\n")
    print(f"{len(cases)} texts, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
