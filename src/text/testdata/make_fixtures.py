"""Writes the fixtures beside it with the reference implementations: pip install sentencepiece tokenizers.

    python make_fixtures.py CORPUS    # any English text, for example WikiText-2

unigram.json: two small Unigram vocabularies trained by SentencePiece (with its own compiled normalisation table) and the
ids it gives. pre_tokenizers.json: the words into which Hugging Face's tokenizers cuts awkward texts, by expressions taken
from the models' tokenizer.json files.
"""
import json
import pathlib
import sys
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Regex, pre_tokenizers

HERE = pathlib.Path(__file__).parent

UNIGRAM_TEXTS = [
    "", " ", "a", "Hello world", "  two  spaces  inside ", "The history of the game, 1990 and after.",
    "\uff28\uff45\uff4c\uff4c\uff4f \ufb01ve \u2460\u2461 \u210cn", "tab\tand\nline", "na\u00efve caf\u00e9 \u4f60\u597d\u4e16\u754c ok",
    "un\U0001f999known\U0001f999\U0001f999", "aaaaaaaaaaaaaaaaaaaaaaaa", "<mark>in<mark> text", "internationalisation",
    "e\u0301 and \u00e9", "x" * 40 + " " + "y" * 40, "\u2581literal", "THE END", "a\u3000b\u00a0c",
]

RULES = {  # source -> target, in code points: a few of each kind that NFKC has
    "\uff28": "H", "\uff45": "e", "\uff4c": "l", "\uff4f": "o", "\ufb01": "fi", "\u2460": "1", "\u2461": "2", "\u210c": "H",
    "e\u0301": "\u00e9", "\t": " ", "\n": " ", "\u3000": " ", "\u00a0": " ", "\u00ad": "",
}


def train(corpus, folder, **options):
    rules = folder / "rules.tsv"
    to_hex = lambda s: " ".join(f"{ord(c):X}" for c in s)
    rules.write_text("".join(f"{to_hex(a)}\t{to_hex(b)}\n" for a, b in RULES.items()))
    spm.SentencePieceTrainer.train(
        input=corpus, model_prefix=str(folder / "m"), model_type="unigram", input_sentence_size=3000,
        shuffle_input_sentence=False, normalization_rule_tsv=str(rules), pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        num_threads=1, minloglevel=2, **options)
    model = pb.ModelProto()
    model.ParseFromString((folder / "m.model").read_bytes())
    encoder = spm.SentencePieceProcessor(model_file=str(folder / "m.model"))
    return {
        "tokens": [p.piece for p in model.pieces],
        "scores": [p.score for p in model.pieces],
        "types": [p.type for p in model.pieces],
        "charsmap": model.normalizer_spec.precompiled_charsmap.hex(),
        "remove_extra_whitespaces": model.normalizer_spec.remove_extra_whitespaces,
        "add_space_prefix": model.normalizer_spec.add_dummy_prefix,
        "cases": [{"text": t, "ids": encoder.encode(t)} for t in UNIGRAM_TEXTS],
    }


WORD_TEXTS = [
    "Hello, y'all! How're you? I'D say 'tis I'LL WE'VE", "a1b22c333d4444e55555 \u0663\u0664\u00bd \u2167", "  lead   in\t\ttabs\r\n\r\n  x \n",
    "camelCase HTTPServer iPhone \u01c5x \u00c4\u00d6\u00fc\u00df \u0130I\u0131", "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8 \ud55c\uad6d\uc5b4", "e\u0301 n\u0303 \u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "a\u180eb\u00a0c\u2003d\u2028e\u3000f\u200bg\u0085h\u001ci", "\U0001f680\U0001f468\u200d\U0001f469\u200d\U0001f466 ok \u2705\ufe0f!", "http://a.b/c?d=e&f=g#h // /* x */ <<>> $$ ^^ `~`",
    "'\u017f \u212aelvin 'S'T", "x=1;\n\n\n  y\t=2 \n", "   5", "\u00b2\u00b3 \u00bc\u2460", "\u0c85\u0ca8\u0ccd\u0ca8\u0ca1 \u05e2\u05d1\u05e8\u05d9\u05ea \u0627\u0644\u0639\u0631\u0628\u064a\u0629\u060c \u061f",
    "trailing   ", "\n", " ", "\u2014dash\u2014 \u201cquote\u201d \u2026",
]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LEAD = r"[^\r\n\p{L}\p{N}]?"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
             r"\s*[\r\n]+|\s+(?!\S)|\s+")
WAYS = {
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "llama-bpe": [CL100K],
    "qwen2": [CL100K.replace("{1,3}", "")],
    "tekken": [f"{LEAD}{UPPER}*{LOWER}+|{LEAD}{UPPER}+{LOWER}*|\\p{{N}}|{TAIL}"],
    "gpt-4o": [f"{LEAD}{UPPER}*{LOWER}+{CONTRACTION}|{LEAD}{UPPER}+{LOWER}*{CONTRACTION}|\\p{{N}}{{1,3}}|{TAIL}"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", DEEPSEEK3],
}


def cut(expressions, text):
    stages = [pre_tokenizers.Split(Regex(e), behavior="isolated") for e in expressions]
    return [piece for piece, _ in pre_tokenizers.Sequence(stages).pre_tokenize_str(text)]


def main():
    unigram = []
    for options in ({"vocab_size": 300, "user_defined_symbols": ["<mark>"]}, {"vocab_size": 600, "byte_fallback": True}):
        with tempfile.TemporaryDirectory() as folder:
            unigram.append(train(sys.argv[1], pathlib.Path(folder), **options))
    (HERE / "unigram.json").write_text(json.dumps(unigram) + "\n")
    words = [{"pre": name, "text": t, "words": cut(e, t)} for name, e in WAYS.items() for t in WORD_TEXTS]
    (HERE / "pre_tokenizers.json").write_text(json.dumps(words) + "\n")


if __name__ == "__main__":
    main()
