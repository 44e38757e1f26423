#!/usr/bin/env python3
"""lm-evaluation-harness over our server, beside kvasir eval: the same texts must give the same numbers.

Pieces of a text are scored twice: by `kvasir eval ppl`, in the library, and by lm-eval's `local-completions` client through
/v1/completions (echo, logprobs) and the server's own tokenizer, as a local task. The sums of log probabilities of each piece
are compared. lm-eval comes from PyPI into an environment of its own in the cache, since it brings a few hundred megabytes.
Writes bench/results/DATE-COMMIT-lm-eval.json; ends with status 1 where the two differ.

    ./dev bench lm_eval [--model smollm2] [--pieces 4] [--text FILE]
"""
from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import sys
import tempfile

from harness import models, places, results, servers
from harness.places import CPUS, KVASIR, die, note, run
from harness.tokens import detokenize, tokenize

VERSION = "0.4.13"
HOME = places.CACHE / "peers" / f"lm-eval-{VERSION}"
PIECE = 512  # tokens; the second half is scored, as eval ppl does
CLOSE = 1e-4  # of the sum of 255 log probabilities; both are sums of the same doubles, printed with few digits
FILLER = " and so on" * PIECE  # eval ppl wants a text of two pieces at least, and is told to take the first
TASK = """task: kvasir_pieces
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{{{context}}}}"
doc_to_target: "{{{{continuation}}}}"
target_delimiter: ""
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""


def harness_python() -> pathlib.Path:
    """A Python that has lm-eval, installed at the first use."""
    python = HOME / "bin" / "python"
    if not (HOME / "ready").exists():
        note(f"installing lm-eval {VERSION} into {HOME}")
        run([sys.executable, "-m", "venv", HOME])
        run([python, "-m", "pip", "install", "-q", f"lm-eval[api]=={VERSION}"], "PyPI must be reachable.")
        (HOME / "ready").touch()
    return python


def pieces_of(model: pathlib.Path, text: str, count: int) -> list[tuple[str, str]]:
    """Context and continuation. Only pieces count that are read back as the same tokens, whole and as a context alone: the
    harness tokenises both, and moves spaces at the end of a context into the continuation."""
    ids = tokenize(model, text)
    scored_from = PIECE // 2 + 1
    found = []
    for begin in range(0, len(ids) - PIECE, PIECE):
        whole = ids[begin:begin + PIECE]
        context, continuation = detokenize(model, whole[:scored_from]), detokenize(model, whole[scored_from:])
        if context.rstrip() == context and tokenize(model, context) == whole[:scored_from] and (
                tokenize(model, context + continuation) == whole == tokenize(model, context + continuation + FILLER)[:PIECE]):
            found.append((context, continuation))
        if len(found) == count:
            return found
    die(f"only {len(found)} of {count} pieces of {PIECE} tokens are read back as they were: name a longer --text")


def by_eval(model: pathlib.Path, pieces: list[tuple[str, str]], folder: pathlib.Path, threads: int) -> list[float]:
    sums = []
    for context, continuation in pieces:
        (folder / "piece.txt").write_text(context + continuation + FILLER)
        report = json.loads(run([KVASIR, "eval", "ppl", "-m", model, "-f", folder / "piece.txt", "-c", PIECE, "--chunks", 1, "-t",
                                 threads, "--json"]))
        sums.append(-math.log(report["ppl"]) * report["tokens"])
    return sums


def by_harness(model: pathlib.Path, pieces: list[tuple[str, str]], folder: pathlib.Path, threads: int) -> list[float]:
    data = folder / "pieces.jsonl"
    data.write_text("".join(json.dumps({"context": a, "continuation": b}) + "\n" for a, b in pieces))
    (folder / "task.yaml").write_text(TASK.format(data=data))
    with servers.running(servers.ours(model, threads, "-c", 2 * PIECE, "--model-name", "piece-scorer")) as server:
        url = f"http://127.0.0.1:{server.port}/v1/completions"
        arguments = f"model=piece-scorer,base_url={url},tokenizer_backend=remote,num_concurrent=4,max_length={2 * PIECE}"
        run([harness_python(), "-m", "lm_eval", "--model", "local-completions", "--model_args", arguments, "--include_path", folder,
             "--tasks", "kvasir_pieces", "--log_samples", "--output_path", folder / "out"], cwd=folder,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")})
    samples = [json.loads(line) for path in folder.glob("out/**/samples_*.jsonl") for line in path.read_text().splitlines()]
    return [float(sample["filtered_resps"][0][0]) for sample in sorted(samples, key=lambda sample: sample["doc_id"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="one that adds no beginning-of-text token, as eval ppl would")
    parser.add_argument("--pieces", type=int, default=4)
    parser.add_argument("--text", type=pathlib.Path, help="default this project's documents")
    parser.add_argument("-t", "--threads", type=int, default=CPUS)
    parser.add_argument("--no-result", action="store_true", help="write no file")
    options = parser.parse_args()
    model = models.path_of(options.model)
    texts = [options.text] if options.text else sorted(places.ROOT.glob("docs/**/*.md"))
    pieces = pieces_of(model, "\n".join(path.read_text() for path in texts), options.pieces)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        ours = by_eval(model, pieces, folder, options.threads)
        theirs = by_harness(model, pieces, folder, options.threads)
    print("| piece | kvasir eval ppl | lm-eval over the server |\n|---|---|---|")
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        print(f"| {number} | {a:.5f} | {b:.5f} |")
    worst = max(abs(a - b) / abs(a) for a, b in zip(ours, theirs))
    print(f"largest relative difference {worst:.1e}")
    if not options.no_result:
        found = results.describe() | {"model": options.model, "lm_eval": VERSION, "piece_tokens": PIECE, "kvasir_eval": ours,
                                      "lm_eval_over_the_server": theirs, "largest_relative_difference": worst}
        note(f"written to {results.write(found, '-lm-eval')}")
    if worst > CLOSE:
        die("the two differ")


if __name__ == "__main__":
    main()
